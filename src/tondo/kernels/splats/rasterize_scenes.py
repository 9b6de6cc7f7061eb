"""`rasterize_scenes`: many small scenes at once, each with its own splats and its own camera."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tondo import _native
from tondo.checks import check_shape
from tondo.kernels.native import plain
from tondo.kernels.splats.gaussians import (
    Cameras,
    Gaussians,
    check_alike,
    check_gaussians,
)
from tondo.kernels.splats.rasterize import rasterize_path, scenes_gsplat
from tondo.kernels.splats.rasterize_scenes_torch import rasterize_scenes_torch

NEAR_PLANE = 0.01  # world units; the default of gsplat's `rasterization`


class ScenePictures(NamedTuple):
    """What the cameras see: sums by weight, the background not included.

    Attributes:
        colors: [B, H, W, 3].
        depths: [B, H, W, 1] camera z times weight, summed; divide by `alphas` for the mean depth.
        alphas: [B, H, W, 1] 0..1.
    """

    colors: Tensor
    depths: Tensor
    alphas: Tensor


def rasterize_scenes(
    gaussians: Gaussians, colors: Tensor, cameras: Cameras, *, eps2d: float = 0.3
) -> ScenePictures:
    """Render B scenes of N Gaussians, scene b into camera b; differentiable, but for `Ks`.

    The same pictures as B calls of `tondo.rasterize` (whose twin defines them), in one native call
    that gives each thread a scene of its own. float32 on the CPU takes the native path; on a GPU
    gsplat draws all scenes at once where it is installed, and the twin in torch does elsewhere.

    Args:
        gaussians: [B, N, ...]. colors: [B, N, 3]. cameras: B of them.
        eps2d: low-pass term added to the 2D covariances, pixels^2.

    Raises:
        TypeError, ValueError: shapes, dtypes or devices that do not fit each other.
    """
    sizes = check_gaussians(gaussians, cameras, scenes=True)
    check_shape("colors", colors, "B N 3", sizes)
    check_alike({"means": gaussians.means, "colors": colors})
    path, _ = rasterize_path(colors.device, colors.dtype)
    if path == "native":
        images, alphas = _Scenes.apply(*gaussians, colors, cameras.viewmats, cameras, eps2d)
        return ScenePictures(images[..., :3], images[..., 3:], alphas[..., None])
    # gsplat 1.5.3 has wrong gradients of viewmats where there are several scenes
    posing = torch.is_grad_enabled() and cameras.viewmats.requires_grad
    draw = rasterize_scenes_torch
    if path == "gsplat" and colors.numel() > 0 and not posing:
        draw = scenes_gsplat
    images, alphas = draw(gaussians, colors, cameras, near_plane=NEAR_PLANE, eps2d=eps2d)
    return ScenePictures(images[..., :3], images[..., 3:], alphas)


class _Splats(NamedTuple):
    """`Gaussians` of B scenes and their colours, or the gradients of these."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor


class _Scenes(torch.autograd.Function):
    """Pictures [B, H, W, 4] (colour, depth) and alphas [B, H, W]."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor]:
        *tensors, (_, Ks, width, height), eps2d = inputs
        *each, viewmats, Ks = plain(*tensors, Ks)
        splats = _Splats(*each)
        images = torch.empty(len(Ks), height, width, 4)
        alphas = torch.empty(len(Ks), height, width)
        batch = _native.SceneBatch()
        _native.scenes_forward(batch, splats, viewmats, Ks, NEAR_PLANE, eps2d, images, alphas)
        ctx.save_for_backward(*splats, images)
        ctx.batch = batch
        return images, alphas

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_images: Tensor, v_alphas: Tensor) -> tuple[Tensor | None, ...]:
        *each, images = ctx.saved_tensors
        splats = _Splats(*each)
        grads = _Splats(*map(torch.empty_like, each))
        v_images, v_alphas = plain(v_images, v_alphas)
        rows = torch.empty(len(images), 3, 4) if ctx.needs_input_grad[5] else None
        _native.scenes_backward(ctx.batch, splats, images, v_images, v_alphas, grads, rows)
        v_viewmats = None if rows is None else torch.nn.functional.pad(rows, (0, 0, 0, 1))
        return (*grads, v_viewmats, None, None)
