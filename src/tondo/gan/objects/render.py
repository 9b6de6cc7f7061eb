"""Pictures of generated objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from tondo.gan.networks.generator import Generator
from tondo.gan.networks.skin import Skins
from tondo.gan.networks.tri_planes import march
from tondo.gan.objects.inner_layer import with_inner_layer
from tondo.kernels.fields.tri_planes_torch import Planes
from tondo.kernels.sphere.matcap import matcap
from tondo.kernels.splats.gaussians import Cameras, Gaussians
from tondo.kernels.splats.rasterize_scenes import rasterize_scenes


class Rendered(NamedTuple):
    """Attributes:
    images: [B, H, W, 3] sRGB 0..1, over the background. depths: [B, H, W] mean camera z,
        0 where nothing is. alphas: [B, H, W] 0..1.
    """

    images: Tensor
    depths: Tensor
    alphas: Tensor


LOW_PASS = 0.3  # pixels^2, added to covariances in the picture (Kerbl et al. 2023, 3DGS)


def render_splats(
    skins: Skins,
    viewmats: Tensor,
    Ks: Tensor,
    size: int,
    background: Tensor,
    low_pass: float = LOW_PASS,
) -> Rendered:
    """Object b seen by camera b, with its inner layer where it has one.

    Args:
        viewmats: [B, 4, 4]. Ks: [B, 3, 3] pixels. size: pixels a side.
        background: [B, H, W, 3] sRGB, the background.
    """
    skins = with_inner_layer(skins)
    gaussians = Gaussians(skins.means, skins.quats, skins.scales, skins.opacities)
    cameras = Cameras(viewmats, Ks, size, size)
    rendered = rasterize_scenes(gaussians, shaded(skins, viewmats), cameras, eps2d=low_pass)
    images = rendered.colors + (1 - rendered.alphas) * background
    depths = rendered.depths / rendered.alphas.clamp_min(1e-6)
    return Rendered(images, depths[..., 0], rendered.alphas[..., 0])


def shaded(skins: Skins, viewmats: Tensor) -> Tensor:
    """[B, N, 3] colours of the splats as the cameras see them, under the light of `skins`."""
    if skins.matcap is None:
        return skins.colors
    return matcap(skins.quats, viewmats, skins.matcap, skins.colors)


def render_styles(
    generator: Generator, w: Tensor, viewmats: Tensor, Ks: Tensor, size: int
) -> tuple[Rendered, Skins | Planes]:
    """Styles w [B, W] to pictures and the splats or fields that they show."""
    objects = make_objects(generator, w)
    background = generator.render_background(w, size)
    return render(objects, viewmats, Ks, background, enlargement(generator, size)), objects


def enlargement(generator: Generator, size: int) -> float:
    """How much larger than in its training pictures of `size` pixels a side are, at least 1."""
    return max(1.0, size / generator.shape.size)


def make_objects(generator: Generator, w: Tensor) -> Skins | Planes:
    """Styles w [B, W] to the generator's own kind of objects."""
    return generator(w) if generator.planes is None else generator.planes(w)


def render(
    objects: Skins | Planes, viewmats: Tensor, Ks: Tensor, background: Tensor, larger: float = 1.0
) -> Rendered:
    """Object b seen by camera b over `background` [B, S, S, 3]. `larger`: how much larger than in
    training the pictures are (`enlargement`); the splats' low-pass filter grows with them."""
    size = background.shape[1]
    if isinstance(objects, Skins):
        return render_splats(objects, viewmats, Ks, size, background, LOW_PASS * larger**2)
    images, depths, alphas = march(objects, viewmats, Ks, size)
    depths = torch.where(alphas > 1e-3, depths / alphas.clamp_min(1e-6), 0.0)
    return Rendered(images + (1 - alphas[..., None]) * background, depths, alphas)


def take_first(objects: Skins | Planes, count: int) -> Skins | Planes:
    """The first `count` objects."""
    return _each(objects, lambda x: x[:count])


def repeat(objects: Skins | Planes, count: int) -> Skins | Planes:
    """Every object `count` times, one after the other."""
    return _each(objects, lambda x: x.repeat_interleave(count, dim=0))


def _each(objects: Skins | Planes, change: Callable[[Tensor], Tensor]) -> Skins | Planes:
    """Objects of which everything that is their own was changed along the batch."""
    if isinstance(objects, Planes):
        return objects._replace(maps=change(objects.maps))
    return Skins(*(change(x) if isinstance(x, Tensor) else x for x in objects))  # type: ignore[arg-type]
