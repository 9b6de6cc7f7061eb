"""Rasterisation by the native code: float32 on the CPU, all threads.

Three operations for each camera, as in the twin: project, colour from harmonics, blend. Sums are in
a fixed order, so the result is the same for any number of threads.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tondo import _native  # type: ignore[attr-defined]
from tondo.kernels.splats.project import Projection, ProjectionOptions
from tondo.kernels.splats.rasterize_torch import (
    Layers,
    Request,
    camera_positions,
    join_parts,
    screen_meta,
    splat_normals,
    split_parts,
)

MAX_CHANNELS = 8  # of one native call


def layers_native(request: Request) -> Layers:
    """The same as `layers_torch`, which is its definition; no gradient in `Ks`."""
    projection = _project(request)
    opacities = request.opacities * projection.compensations
    parts: dict[str, Tensor] = {}
    if request.wants_color:
        parts["colors"] = _colors(request, projection.radii)
    if request.wants_depth:
        parts["depths"] = projection.depths[..., None]
    if request.with_normals:
        parts["normals"] = splat_normals(
            request.means, request.quats, request.scales, camera_positions(request.viewmats)
        )
    channels = join_parts(parts)
    blended = [
        _blend(request, projection, opacities[c], channels[c], camera=c)
        for c in range(len(request.viewmats))
    ]
    pictures, alphas = (torch.stack(tensors) for tensors in zip(*blended, strict=True))
    return Layers(
        **split_parts(parts, pictures),
        alphas=alphas[..., None],
        meta=screen_meta(projection, opacities),
    )


def _project(request: Request) -> Projection:
    each = [
        _Project.apply(
            request.means,
            request.quats,
            request.scales,
            request.opacities,
            viewmat,
            K,
            request.projection,
        )
        for viewmat, K in zip(request.viewmats, request.Ks, strict=True)
    ]
    return Projection(*(torch.stack(tensors) for tensors in zip(*each, strict=True)))


def _colors(request: Request, radii: Tensor) -> Tensor:
    """[C, N, D]; with harmonics, culled splats have colour 0."""
    cameras, sh, degree = len(request.viewmats), request.sh, request.sh_degree
    if degree is None:
        return sh if sh.dim() == 3 else sh.expand(cameras, *sh.shape)
    positions = camera_positions(request.viewmats)
    return torch.stack(
        [
            _Harmonics.apply(
                request.means, sh if sh.dim() == 3 else sh[c], positions[c], radii[c], degree
            )
            for c in range(cameras)
        ]
    )


def _blend(
    request: Request, projection: Projection, opacities: Tensor, channels: Tensor, camera: int
) -> tuple[Tensor, Tensor]:
    """Sums [H, W, X] of `channels` [N, X] and alphas [H, W], at most 8 channels at a time."""
    blended = [
        _NativeRasterize.apply(
            projection.means2d[camera],
            projection.conics[camera],
            opacities,
            chunk,
            projection.depths[camera].detach(),
            projection.radii[camera],
            (request.width, request.height),
        )
        for chunk in channels.split(MAX_CHANNELS, dim=-1)
    ]
    return torch.cat([sums for sums, _ in blended], dim=-1), blended[0][1]


def _plain(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Tensors as the native code takes them: contiguous, outside autograd."""
    return tuple(tensor.detach().contiguous() for tensor in tensors)


class _Project(torch.autograd.Function):
    """One camera: (radii, means2d, depths, conics, compensations) of `Projection`."""

    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        viewmat: Tensor,
        K: Tensor,
        options: ProjectionOptions,
    ) -> tuple[Tensor, ...]:
        means, quats, scales, viewmat, K = _plain(means, quats, scales, viewmat, K)
        n = len(means)
        radii = torch.empty(n, 2, dtype=torch.int32)
        means2d, depths, conics = means.new_empty(n, 2), means.new_empty(n), means.new_empty(n, 3)
        compensations = means.new_empty(n)
        _native.project_forward(
            means,
            quats,
            scales,
            *_plain(opacities),
            viewmat,
            K,
            options.width,
            options.height,
            options.near_plane,
            options.far_plane,
            options.radius_clip,
            options.eps2d,
            means2d,
            depths,
            conics,
            radii,
            compensations if options.antialiased else None,
        )
        if not options.antialiased:
            compensations = (radii[:, 0] > 0).to(means.dtype)
        ctx.save_for_backward(means, quats, scales, viewmat, K, radii)
        ctx.options = options
        ctx.mark_non_differentiable(radii)
        return radii, means2d, depths, conics, compensations

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _radii: Tensor, *grads: Tensor) -> tuple[Tensor | None, ...]:
        means, quats, scales, viewmat, K, radii = ctx.saved_tensors
        options: ProjectionOptions = ctx.options
        v_means2d, v_depths, v_conics, v_compensations = _plain(*grads)
        v_means, v_quats, v_scales = (torch.zeros_like(t) for t in (means, quats, scales))
        v_viewmat = torch.zeros_like(viewmat)
        _native.project_backward(
            means,
            quats,
            scales,
            viewmat,
            K,
            options.width,
            options.height,
            options.eps2d,
            radii,
            v_means2d,
            v_depths,
            v_conics,
            v_compensations if options.antialiased else None,
            v_means,
            v_quats,
            v_scales,
            v_viewmat[:3] if ctx.needs_input_grad[4] else None,
        )
        return v_means, v_quats, v_scales, None, v_viewmat, None, None


class _Harmonics(torch.autograd.Function):
    """One camera: colours [N, 3] of visible splats, 0 of culled ones."""

    @staticmethod
    def forward(
        ctx: Any, means: Tensor, sh: Tensor, position: Tensor, radii: Tensor, degree: int
    ) -> Tensor:
        means, sh, position, radii = _plain(means, sh, position, radii)
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
        _native.sh_backward(
            ctx.degree,
            means,
            position,
            sh,
            radii,
            colors,
            *_plain(v_colors),
            v_means,
            v_sh,
            v_position if ctx.needs_input_grad[2] else None,
        )
        return v_means, v_sh, v_position, None, None


class _NativeRasterize(torch.autograd.Function):
    """One camera: sums [H, W, X] of channels [N, X] by weight, and alphas [H, W]."""

    @staticmethod
    def forward(
        ctx: Any,
        means2d: Tensor,
        conics: Tensor,
        opacities: Tensor,
        channels: Tensor,
        depths: Tensor,
        radii: Tensor,
        size: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        means2d, conics, depths, radii, opacities, channels = _plain(
            means2d, conics, depths, radii, opacities, channels
        )
        width, height = size
        bins = _native.Bins()
        splats = (means2d, conics, depths, radii, opacities, channels)
        _native.bin_splats(bins, *splats, width, height)
        sums, alphas = (
            means2d.new_empty(height, width, channels.shape[1]),
            means2d.new_empty(height, width),
        )
        _native.rasterize_forward(bins, *splats, None, sums, alphas)
        ctx.save_for_backward(*splats, sums)
        ctx.bins = bins
        return sums, alphas

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_sums: Tensor, v_alphas: Tensor) -> tuple[Tensor | None, ...]:
        *splats, sums = ctx.saved_tensors
        means2d, conics, _depths, _radii, opacities, channels = splats
        grads = [torch.empty_like(t) for t in (means2d, conics, opacities, channels)]
        _native.rasterize_backward(ctx.bins, *splats, sums, *_plain(v_sums, v_alphas), *grads, None)
        return (*grads, None, None, None)
