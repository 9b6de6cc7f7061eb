"""Projection of 3D Gaussians into cameras, by native code where float32 is on the CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tondo import _native
from tondo.kernels.native import plain
from tondo.kernels.splats.gaussians import Cameras, Gaussians
from tondo.kernels.splats.project_torch import Projection, ProjectionOptions, project_torch


def project(gaussians: Gaussians, cameras: Cameras, options: ProjectionOptions) -> Projection:
    """What `project_torch` is; the native code has no gradient in `Ks`."""
    means = gaussians.means
    if means.device.type != "cpu" or means.dtype != torch.float32:
        return project_torch(gaussians, cameras, options)
    viewmats, Ks, *size = cameras
    each = [
        _Project.apply(*gaussians, viewmat, K, size, options)
        for viewmat, K in zip(viewmats, Ks, strict=True)
    ]
    return Projection(*(torch.stack(tensors) for tensors in zip(*each, strict=True)))


class _Project(torch.autograd.Function):
    """One camera: the fields of `Projection` without C."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        *tensors, size, options = inputs
        *gaussians, viewmat, K = plain(*tensors)
        means = gaussians[0]
        n = len(means)
        radii = torch.empty(n, 2, dtype=torch.int32)
        means2d, depths, conics = means.new_empty(n, 2), means.new_empty(n), means.new_empty(n, 3)
        kept = means.new_empty(n) if options.antialiased else None
        out = (means2d, depths, conics, radii, kept)
        _native.project_forward(Gaussians(*gaussians), (viewmat, K, *size), options[:4], out)
        ctx.save_for_backward(*gaussians, viewmat, K, radii)
        ctx.size, ctx.options = size, options
        ctx.mark_non_differentiable(radii)
        compensations = (radii[:, 0] > 0).to(means.dtype) if kept is None else kept
        return radii, means2d, depths, conics, compensations

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _radii: Tensor, *grads: Tensor) -> tuple[Tensor | None, ...]:
        *gaussians, viewmat, K, radii = ctx.saved_tensors
        options: ProjectionOptions = ctx.options
        v_means2d, v_depths, v_conics, v_kept = plain(*grads)
        v_means, v_quats, v_scales = (torch.zeros_like(t) for t in gaussians[:3])
        v_viewmat = torch.zeros_like(viewmat)
        _native.project_backward(
            Gaussians(*gaussians),
            (viewmat, K, *ctx.size),
            options.eps2d,
            radii,
            (v_means2d, v_depths, v_conics, v_kept if options.antialiased else None),
            (v_means, v_quats, v_scales),
            v_viewmat[:3] if ctx.needs_input_grad[4] else None,
        )
        return v_means, v_quats, v_scales, None, v_viewmat, None, None, None
