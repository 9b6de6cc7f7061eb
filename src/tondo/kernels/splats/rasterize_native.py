"""Rasterisation by the native code: float32 on the CPU, all threads.

Three operations for each camera, as in the twin: project, colour from harmonics, blend. Sums are in
a fixed order, so the result is the same for any number of threads.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tondo import _native
from tondo.kernels.native import plain
from tondo.kernels.splats.gaussians import ScreenGaussians, ScreenGrads
from tondo.kernels.splats.project import project
from tondo.kernels.splats.project_torch import Projection
from tondo.kernels.splats.rasterize_torch import (
    Layers,
    Request,
    camera_positions,
    join_parts,
    parts_of,
    plain_colors,
    screen_meta,
    split_parts,
)

MAX_CHANNELS = 8  # of one native call


def layers_native(request: Request) -> Layers:
    """The same as `layers_torch`, which is its definition; no gradient in `Ks`."""
    projection = project(request.gaussians, request.cameras, request.projection)
    opacities = request.gaussians.opacities * projection.compensations
    colors = _colors(request, projection.radii) if request.wants_color else None
    parts = parts_of(request, projection, colors)
    channels = join_parts(parts)
    blended = [
        _blend(request, projection, opacities[c], channels[c], camera=c)
        for c in range(len(opacities))
    ]
    pictures, alphas = (torch.stack(tensors) for tensors in zip(*blended, strict=True))
    return Layers(
        **split_parts(parts, pictures),
        alphas=alphas[..., None],
        meta=screen_meta(projection, opacities),
    )


def _colors(request: Request, radii: Tensor) -> Tensor:
    """[C, N, D]; with harmonics, culled splats have colour 0."""
    if request.sh_degree is None:
        return plain_colors(request)
    means, sh, degree = request.gaussians.means, request.sh, request.sh_degree
    each = sh if sh.dim() == 4 else [sh] * len(radii)
    positions = camera_positions(request.cameras.viewmats)
    seen = zip(each, positions, radii, strict=True)
    return torch.stack([_Harmonics.apply(means, *one, degree) for one in seen])


def _blend(
    request: Request, projection: Projection, opacities: Tensor, channels: Tensor, camera: int
) -> tuple[Tensor, Tensor]:
    """Sums [H, W, X] of `channels` [N, X] and alphas [H, W], at most 8 channels at a time."""
    blended = [
        _NativeRasterize.apply(
            projection.means2d[camera],
            projection.conics[camera],
            projection.depths[camera].detach(),
            projection.radii[camera],
            opacities,
            chunk,
            request.cameras[2:],
        )
        for chunk in channels.split(MAX_CHANNELS, dim=-1)
    ]
    return torch.cat([sums for sums, _ in blended], dim=-1), blended[0][1]


class _Harmonics(torch.autograd.Function):
    """One camera: colours [N, 3] of visible splats, 0 of culled ones."""

    @staticmethod
    def forward(
        ctx: Any, means: Tensor, sh: Tensor, position: Tensor, radii: Tensor, degree: int
    ) -> Tensor:
        means, sh, position, radii = plain(means, sh, position, radii)
        colors = torch.zeros_like(means)
        _native.sh_forward(degree, means, position, sh, radii, colors)
        ctx.save_for_backward(means, sh, position, radii, colors)
        ctx.degree = degree
        return colors

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_colors: Tensor) -> tuple[Tensor | None, ...]:
        means, sh, position, radii, colors = ctx.saved_tensors
        v_means, v_sh, v_position = (torch.zeros_like(t) for t in (means, sh, position))
        out = (v_means, v_sh, v_position if ctx.needs_input_grad[2] else None)
        _native.sh_backward(
            ctx.degree, means, position, sh, radii, colors, v_colors.contiguous(), out
        )
        return v_means, v_sh, v_position, None, None


class _NativeRasterize(torch.autograd.Function):
    """One camera: sums [H, W, X] of channels [N, X] by weight, and alphas [H, W]."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor]:
        *tensors, (width, height) = inputs
        splats = ScreenGaussians(*plain(*tensors))
        bins = _native.Bins()
        _native.bin_splats(bins, splats, width, height)
        sums = splats.channels.new_empty(height, width, splats.channels.shape[1])
        alphas = splats.channels.new_empty(height, width)
        _native.rasterize_forward(bins, splats, None, sums, alphas)
        ctx.save_for_backward(*splats, sums)
        ctx.bins = bins
        return sums, alphas

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_sums: Tensor, v_alphas: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, sums = ctx.saved_tensors
        splats = ScreenGaussians(*tensors)
        v_sums, v_alphas = plain(v_sums, v_alphas)
        grads = ScreenGrads(*(torch.empty_like(getattr(splats, x)) for x in ScreenGrads._fields))
        _native.rasterize_backward(ctx.bins, splats, sums, v_sums, v_alphas, grads, None)
        return grads.means2d, grads.conics, None, None, grads.opacities, grads.channels, None
