"""Pictures of generated objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from tondo.gan.networks.generator import Generator
from tondo.gan.networks.skin import Skins
from tondo.gan.networks.tri_planes import march
from tondo.gan.objects.inner_layer import with_lining
from tondo.kernels.fields.tri_planes_torch import Planes
from tondo.kernels.sphere.matcap import lit
from tondo.kernels.splats.rasterize_scenes import rasterize_scenes


class Shots(NamedTuple):
    """Attributes:
    images: [B, H, W, 3] sRGB 0..1, over the background. depths: [B, H, W] mean camera z,
        0 where nothing is. alphas: [B, H, W] 0..1.
    """

    images: Tensor
    depths: Tensor
    alphas: Tensor


LOW_PASS = 0.3  # pixels^2, added to the splats' covariances in the picture


def photograph(
    skins: Skins,
    viewmats: Tensor,
    Ks: Tensor,
    size: int,
    behind: Tensor,
    low_pass: float = LOW_PASS,
) -> Shots:
    """Object b seen by camera b, with its lining where it has one.

    Args:
        viewmats: [B, 4, 4]. Ks: [B, 3, 3] pixels. size: pixels a side.
        behind: [B, H, W, 3] sRGB, the background.
    """
    skins = with_lining(skins)
    seen = rasterize_scenes(
        skins.means,
        skins.quats,
        skins.scales,
        skins.opacities,
        shaded(skins, viewmats),
        viewmats,
        Ks,
        size,
        size,
        eps2d=low_pass,
    )
    images = seen.colors + (1 - seen.alphas) * behind
    depths = seen.depths / seen.alphas.clamp_min(1e-6)
    return Shots(images, depths[..., 0], seen.alphas[..., 0])


def shaded(skins: Skins, viewmats: Tensor) -> Tensor:
    """[B, N, 3] colours of the splats as the cameras see them, under the light of `skins`."""
    if skins.light is None:
        return skins.colors
    return lit(skins.quats, viewmats, skins.light, skins.colors)


def pictures_of(
    generator: Generator, w: Tensor, viewmats: Tensor, Ks: Tensor, size: int
) -> tuple[Shots, Skins | Planes]:
    """Styles w [B, W] to pictures and the splats or fields that they show."""
    made = objects_of(generator, w)
    behind = generator.backdrop(w, size)
    return seen(made, viewmats, Ks, behind, enlarged(generator, size)), made


def enlarged(generator: Generator, size: int) -> float:
    """How much larger than in its training pictures of `size` pixels a side are, at least 1."""
    return max(1.0, size / generator.shape.size)


def objects_of(generator: Generator, w: Tensor) -> Skins | Planes:
    """Styles w [B, W] to the generator's own kind of objects."""
    return generator(w) if generator.planes is None else generator.planes(w)


def seen(
    made: Skins | Planes, viewmats: Tensor, Ks: Tensor, behind: Tensor, larger: float = 1.0
) -> Shots:
    """Object b seen by camera b before `behind` [B, S, S, 3]. `larger`: how much larger than in
    training the pictures are (`enlarged`); splats have learned to look right as soft as there."""
    size = behind.shape[1]
    if isinstance(made, Skins):
        return photograph(made, viewmats, Ks, size, behind, LOW_PASS * larger**2)
    images, depths, alphas = march(made, viewmats, Ks, size)
    depths = torch.where(alphas > 1e-3, depths / alphas.clamp_min(1e-6), 0.0)
    return Shots(images + (1 - alphas[..., None]) * behind, depths, alphas)


def first_of(made: Skins | Planes, count: int) -> Skins | Planes:
    """The first `count` objects."""
    return _each(made, lambda x: x[:count])


def repeated(made: Skins | Planes, count: int) -> Skins | Planes:
    """Every object `count` times, one after the other."""
    return _each(made, lambda x: x.repeat_interleave(count, dim=0))


def _each(made: Skins | Planes, change: Callable[[Tensor], Tensor]) -> Skins | Planes:
    """Objects of which everything that is their own was changed along the batch."""
    if isinstance(made, Planes):
        return made._replace(maps=change(made.maps))
    return Skins(*(change(x) if isinstance(x, Tensor) else x for x in made))  # type: ignore[arg-type]
