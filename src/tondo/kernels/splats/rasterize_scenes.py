"""`rasterize_scenes`: many small scenes at once, each with its own splats and its own camera."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tondo import _native
from tondo.checks import check_one_device, check_shape
from tondo.kernels.splats.rasterize import rasterize_path, scenes_gsplat
from tondo.kernels.splats.rasterize_scenes_torch import rasterize_scenes_torch

NEAR_PLANE = 0.01


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
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    eps2d: float = 0.3,
) -> ScenePictures:
    """Render B scenes of N Gaussians, scene b into camera b; differentiable.

    The same pictures as B calls of `tondo.rasterize` (whose twin defines them), in one native call
    that gives each thread a scene of its own. float32 on the CPU takes the native path; on a GPU
    gsplat draws all scenes at once where it is installed, and the twin in torch does elsewhere.

    Args:
        means: [B, N, 3] world space. quats: [B, N, 4] (w, x, y, z), any length.
        scales: [B, N, 3] standard deviations. opacities: [B, N] 0..1. colors: [B, N, 3].
        viewmats: [B, 4, 4] world-to-camera, OpenCV axes. Ks: [B, 3, 3] pixels; no gradient.
        eps2d: low-pass term added to the 2D covariances, pixels^2.

    Raises:
        ValueError: shapes or devices that do not fit each other.
    """
    sizes = check_shape("means", means, "B N 3")
    check_shape("quats", quats, "B N 4", sizes)
    check_shape("scales", scales, "B N 3", sizes)
    check_shape("opacities", opacities, "B N", sizes)
    check_shape("colors", colors, "B N 3", sizes)
    check_shape("viewmats", viewmats, "B 4 4", sizes)
    check_shape("Ks", Ks, "B 3 3", sizes)
    check_one_device(
        means=means,
        quats=quats,
        scales=scales,
        opacities=opacities,
        colors=colors,
        viewmats=viewmats,
        Ks=Ks,
    )
    if means.device.type == "cpu" and means.dtype == torch.float32:
        images, alphas = _Scenes.apply(
            means, quats, scales, opacities, colors, viewmats, Ks, (width, height), eps2d
        )
        return ScenePictures(images[..., :3], images[..., 3:], alphas[..., None])
    arguments = (means, quats, scales, opacities, colors, viewmats, Ks, width, height)
    path, _ = rasterize_path(means.device, means.dtype)
    # gsplat 1.5.3 has wrong gradients of viewmats where there are several scenes
    posing = torch.is_grad_enabled() and viewmats.requires_grad
    if path == "gsplat" and means.numel() > 0 and not posing:
        images, alphas = scenes_gsplat(*arguments, near_plane=NEAR_PLANE, eps2d=eps2d)
    else:
        images, alphas = rasterize_scenes_torch(*arguments, near_plane=NEAR_PLANE, eps2d=eps2d)
    return ScenePictures(images[..., :3], images[..., 3:], alphas)


class _Scenes(torch.autograd.Function):
    """Pictures [B, H, W, 4] (colour, depth) and alphas [B, H, W]."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor]:
        *tensors, (width, height), eps2d = inputs
        *splats, viewmats, Ks = [tensor.detach().contiguous() for tensor in tensors]
        count = len(viewmats)
        images = torch.empty(count, height, width, 4)
        alphas = torch.empty(count, height, width)
        batch = _native.SceneBatch()
        _native.scenes_forward(batch, *splats, viewmats, Ks, NEAR_PLANE, eps2d, images, alphas)
        ctx.save_for_backward(*splats, images)
        ctx.batch = batch
        return images, alphas

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_images: Tensor, v_alphas: Tensor) -> tuple[Tensor | None, ...]:
        *splats, images = ctx.saved_tensors
        grads = [torch.empty_like(tensor) for tensor in splats]
        v_viewmats = None
        if ctx.needs_input_grad[5]:
            v_viewmats = torch.zeros(len(images), 4, 4)
        rows = None if v_viewmats is None else torch.empty(len(images), 3, 4)
        _native.scenes_backward(
            ctx.batch, *splats, images, v_images.contiguous(), v_alphas.contiguous(), *grads, rows
        )
        if v_viewmats is not None and rows is not None:
            v_viewmats[:, :3] = rows
        return (*grads, v_viewmats, None, None, None)
