"""The shape of a generator: what decides which weights it has."""

from __future__ import annotations

from dataclasses import dataclass

BASIS_MAPS = 32  # of a new generator of splats (docs/notes/gan.md)
COMPONENTS = 8  # of the mixture of latents of a new generator (docs/notes/gan.md)
ROWS, SMALL_ROWS, SMALL = 64, 48, 32  # latitudes; for pictures up to SMALL (docs/notes/gan.md)


@dataclass(frozen=True)
class GeneratorShape:
    """What the generator's networks look like; stands in its file.

    Attributes:
        z: numbers of a latent code. w: numbers of a style.
        rows, columns: the grid of splats, latitudes x longitudes; multiples of 16.
        channels: of the feature maps at (rows / 16, rows / 8, rows / 4) latitudes; the last maps
            have half the grid's latitudes and are interpolated: close splats that lie smoothly.
        background: "white", or "scene": a picture behind the object, made from w.
        light: "camera": shading and highlights that stay with the camera while the object turns,
            made from w; "none": all light is painted on the object.
        size: pixels a side of the pictures that it was trained on.
        representation: "splats" or "field".
        mirror: left and right are alike: every splat at x has its twin at -x.
        axial: what all objects have in common is the same all round their upright axis, but for
            noise; what one has of its own need not be. Cells move away from the axis and along it,
            little round it, and neither through it nor past each other: where they may they roll
            up, and lie skin within skin, from where no small step leads back.
        basis_maps: feature maps of which each object has its own weighted sum; of splats alone.
        mixture_components: normal distributions that random z are drawn from
            (`tondo.gan.networks.latent_mixture`).
        has_inner_layer: a second, coarse layer of splats lies inside the first, whose splats may
            then be small (`tondo.gan.objects.inner_layer`); of splats alone.
    """

    z: int = 64
    w: int = 128
    rows: int = ROWS
    columns: int = 2 * ROWS
    channels: tuple[int, int, int] = (96, 96, 64)
    background: str = "white"
    light: str = "none"
    size: int = 64
    representation: str = "splats"
    mirror: bool = False
    axial: bool = False
    basis_maps: int = 0
    mixture_components: int = COMPONENTS
    has_inner_layer: bool = False
