"""Pictures of generated objects."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from tondo.gan.generator import Generator, Skins
from tondo.kernels.rasterize_scenes import rasterize_scenes


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
    """Object b seen by camera b.

    Args:
        viewmats: [B, 4, 4]. Ks: [B, 3, 3] pixels. size: pixels a side.
        behind: [B, H, W, 3] sRGB, the background.
    """
    seen = rasterize_scenes(
        skins.means,
        skins.quats,
        skins.scales,
        skins.opacities,
        skins.colors,
        viewmats,
        Ks,
        size,
        size,
        eps2d=low_pass,
    )
    images = seen.colors + (1 - seen.alphas) * behind
    depths = seen.depths / seen.alphas.clamp_min(1e-6)
    return Shots(images, depths[..., 0], seen.alphas[..., 0])


def pictures_of(
    generator: Generator, w: Tensor, viewmats: Tensor, Ks: Tensor, size: int
) -> tuple[Shots, Skins]:
    """Styles w [B, W] to pictures and the splats that they show.

    Larger pictures than those of the training are low-passed as far, relative to the object, as
    those were: else the gaps and specks show that training could not see.
    """
    skins = generator(w)
    low_pass = LOW_PASS * max(1.0, size / generator.shape.size) ** 2
    return photograph(skins, viewmats, Ks, size, generator.backdrop(w, size), low_pass), skins
