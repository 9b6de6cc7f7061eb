"""Splats as planes, and the depth-normal loss, by native code where float32 is on the CPU.
`planes_torch` is the definition."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tondo import _native
from tondo.kernels.native import plain
from tondo.kernels.splats.gaussians import Gaussians
from tondo.kernels.splats.planes_torch import depth_normal_loss_torch, splat_planes_torch

_NO_K = torch.eye(3)  # planes are in camera space: only the pose counts


def splat_planes(gaussians: Gaussians, viewmat: Tensor) -> Tensor:
    """The plane of each of N splats: through its mean, across its shortest axis.

    Huang et al. 2024 (2DGS) make splats flat; Chen et al. 2024 (PGSR), section 3.1, take the
    shortest axis for the normal, as is done here.

    Args:
        gaussians: float32 or float64. viewmat: [4, 4] world-to-camera, OpenCV axes.

    Returns:
        [N, 4]: unit normal in camera space, turned towards the camera, and the camera's distance
        from the plane, world units, >= 0. Differentiable in means and quats.
    """
    if not _is_native(gaussians.means):
        return splat_planes_torch(gaussians, viewmat)
    planes: Tensor = _Planes.apply(*gaussians[:3], viewmat)
    return planes


def depth_normal_loss(planes: Tensor, alphas: Tensor, K: Tensor) -> Tensor:
    """How far the normals of a picture are from those of its depth.

    The mean over all pixels of alpha - N . n, with N the pixel's summed normal and n the unit
    normal of the points that its four neighbours' planes show, over those pixels that have all of
    them (Huang et al. 2024, 2DGS, equation 14). Pixels of alpha <= 1/2 show no surface.

    Args:
        planes: [H, W, 4] splats' planes summed by weight, float32 or float64. alphas: [H, W] 0..1.
            K: [3, 3] pixels, pixel centres at +0.5.

    Returns:
        [] loss, 0 or more up to rounding; differentiable in planes alone.
    """
    if not _is_native(planes):
        return depth_normal_loss_torch(planes, alphas, K)
    loss: Tensor = _DepthNormals.apply(planes, alphas, K)
    return loss


def _is_native(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32


class _Planes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, means: Tensor, quats: Tensor, scales: Tensor, viewmat: Tensor) -> Tensor:
        means, quats, scales, viewmat = plain(means, quats, scales, viewmat)
        planes = means.new_empty(len(means), 4)
        radii, camera = _seen(means), (viewmat, _NO_K, 1, 1)
        gaussians = (means, quats, scales, scales[:, 0].contiguous())
        _native.splat_planes_forward(gaussians, camera, radii, planes)
        ctx.save_for_backward(means, quats, scales, viewmat)
        return planes

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_planes: Tensor) -> tuple[Tensor | None, ...]:
        means, quats, scales, viewmat = ctx.saved_tensors
        v_means, v_quats = torch.zeros_like(means), torch.zeros_like(quats)
        radii, camera = _seen(means), (viewmat, _NO_K, 1, 1)
        gaussians = (means, quats, scales, scales[:, 0].contiguous())
        v_planes, out = v_planes.contiguous(), (v_means, v_quats)
        _native.splat_planes_backward(gaussians, camera, radii, v_planes, out)
        return v_means, v_quats, None, None


def _seen(means: Tensor) -> Tensor:
    """[N, 2] radii: every splat is visible."""
    return torch.ones(len(means), 2, dtype=torch.int32)


class _DepthNormals(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, planes: Tensor, alphas: Tensor, K: Tensor) -> Tensor:
        planes, alphas, K = plain(planes, alphas, K)
        v_planes = torch.empty_like(planes)
        loss = _native.depth_normal_loss(_native.PlaneScratch(), K, planes, alphas, v_planes)
        ctx.save_for_backward(v_planes)
        return planes.new_tensor(loss)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_loss: Tensor) -> tuple[Tensor | None, ...]:
        (v_planes,) = ctx.saved_tensors
        return v_loss * v_planes, None, None
