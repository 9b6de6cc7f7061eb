"""The native CPU path of `tondo.rasterize`: three differentiable operations over tondo._native.

Projection, harmonics and blending are separate autograd functions, so that code which asks for the
gradient of `meta["means2d"]` gets it, as with gsplat.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tondo import _native
from tondo.kernels.project import ProjectionOptions
from tondo.kernels.rasterize_torch import Layers, Request, camera_positions, splat_normals

_MAX_CHANNELS = 8  # kMaxChannels in cpp/include/tondo/rasterize.h


def layers_native(request: Request) -> Layers:
    """The same as `layers_torch`, which is its definition; no gradient in `Ks`."""
    positions = camera_positions(request.viewmats)
    views = [_layers_of_camera(request, positions, c) for c in range(len(request.viewmats))]

    def stacked(parts: list[Tensor | None]) -> Tensor | None:
        found = [part for part in parts if part is not None]
        return torch.stack(found) if found else None

    return Layers(
        stacked([view.colors for view in views]),
        stacked([view.depths for view in views]),
        stacked([view.normals for view in views]),
        torch.stack([view.alphas for view in views]),
        {name: torch.stack([view.meta[name] for view in views]) for name in views[0].meta},
    )


def _layers_of_camera(request: Request, positions: Tensor, camera: int) -> Layers:
    """`Layers` without the leading dimension of cameras."""
    options = request.projection
    means2d, depths, conics, compensations, radii = _Project.apply(
        request.means,
        request.quats,
        request.scales,
        request.opacities,
        request.viewmats[camera],
        request.Ks[camera],
        options,
    )
    opacities = request.opacities * compensations if options.antialiased else request.opacities
    parts: dict[str, Tensor] = {}
    if request.wants_color:
        sh = request.sh
        if request.sh_degree is None:
            parts["colors"] = sh[camera] if sh.dim() == 3 else sh
        else:
            coefficients = sh[camera] if sh.dim() == 4 else sh
            parts["colors"] = _Harmonics.apply(
                request.means, positions[camera], coefficients, radii, request.sh_degree
            )
    if request.wants_depth:
        parts["depths"] = depths[:, None]
    if request.with_normals:
        parts["normals"] = splat_normals(
            request.means, request.quats, request.scales, positions[camera : camera + 1]
        )[0]
    size = (options.width, options.height)
    blended = [
        _Blend.apply(means2d, conics, depths, radii, opacities, group, size)
        for group in torch.cat(list(parts.values()), dim=1).split(_MAX_CHANNELS, dim=1)
    ]
    picture = torch.cat([picture for picture, _ in blended], dim=2)
    layers = dict(zip(parts, picture.split([p.shape[1] for p in parts.values()], 2), strict=True))
    meta = {
        "radii": radii,
        "means2d": means2d,
        "depths": depths,
        "conics": conics,
        "opacities": opacities,
    }
    return Layers(
        layers.get("colors"),
        layers.get("depths"),
        layers.get("normals"),
        blended[0][1][..., None],
        meta,
    )


class _Project(torch.autograd.Function):
    """(means, quats, scales, opacities, viewmat, K, options) to means2d, depths, conics,
    compensations, radii."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> tuple[Tensor, ...]:
        *tensors, options = args
        means, quats, scales, opacities, viewmat, K = (t.detach().contiguous() for t in tensors)
        o: ProjectionOptions = options
        n = len(means)
        means2d, depths, conics = means.new_empty(n, 2), means.new_empty(n), means.new_empty(n, 3)
        radii = means.new_empty(n, 2, dtype=torch.int32)
        compensations = means.new_ones(n)
        _native.project_forward(
            means,
            quats,
            scales,
            opacities,
            viewmat,
            K,
            o.width,
            o.height,
            o.near_plane,
            o.far_plane,
            o.radius_clip,
            o.eps2d,
            means2d,
            depths,
            conics,
            radii,
            compensations if o.antialiased else None,
        )
        ctx.save_for_backward(means, quats, scales, viewmat, K, radii)
        ctx.options = o
        ctx.mark_non_differentiable(radii)
        return means2d, depths, conics, compensations, radii

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, v_means2d: Tensor, v_depths: Tensor, v_conics: Tensor, v_comp: Tensor, _: Tensor
    ) -> tuple[Tensor | None, ...]:
        means, quats, scales, viewmat, K, radii = ctx.saved_tensors
        o: ProjectionOptions = ctx.options
        v_means, v_quats, v_scales = (torch.zeros_like(t) for t in (means, quats, scales))
        v_view = means.new_zeros(3, 4) if ctx.needs_input_grad[4] else None
        _native.project_backward(
            means,
            quats,
            scales,
            viewmat,
            K,
            o.width,
            o.height,
            o.eps2d,
            radii,
            v_means2d.contiguous(),
            v_depths.contiguous(),
            v_conics.contiguous(),
            v_comp.contiguous() if o.antialiased else None,
            v_means,
            v_quats,
            v_scales,
            v_view,
        )
        v_viewmat = None if v_view is None else torch.cat([v_view, v_view.new_zeros(1, 4)])
        return v_means, v_quats, v_scales, None, v_viewmat, None, None


class _Harmonics(torch.autograd.Function):
    """(means, position, sh, radii, degree) to colours [N, 3] of the visible splats."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Tensor:
        means, position, sh, radii, degree = args
        means, position, sh = (t.detach().contiguous() for t in (means, position, sh))
        colors = torch.empty_like(means)
        _native.sh_forward(degree, means, position, sh, radii, colors)
        ctx.save_for_backward(means, position, sh, radii, colors)
        ctx.degree = degree
        return colors

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_colors: Tensor) -> tuple[Tensor | None, ...]:
        means, position, sh, radii, colors = ctx.saved_tensors
        v_means, v_sh = torch.zeros_like(means), torch.zeros_like(sh)
        v_position = torch.zeros_like(position) if ctx.needs_input_grad[1] else None
        _native.sh_backward(
            ctx.degree,
            means,
            position,
            sh,
            radii,
            colors,
            v_colors.contiguous(),
            v_means,
            v_sh,
            v_position,
        )
        return v_means, v_position, v_sh, None, None


class _Blend(torch.autograd.Function):
    """(means2d, conics, depths, radii, opacities, channels, (width, height)) to a picture
    [H, W, channels] over black, and alphas [H, W]."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> tuple[Tensor, Tensor]:
        *tensors, (width, height) = args
        means2d, conics, depths, radii, opacities, channels = (
            t.detach().contiguous() for t in tensors
        )
        splats = (means2d, conics, depths, radii, opacities, channels)
        bins = _native.Bins()
        _native.bin_splats(bins, *splats, width, height)
        picture = means2d.new_empty(height, width, channels.shape[1])
        alphas = means2d.new_empty(height, width)
        _native.rasterize_forward(bins, *splats, None, picture, alphas)
        ctx.save_for_backward(*splats, picture)
        ctx.bins = bins
        return picture, alphas

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_picture: Tensor, v_alphas: Tensor) -> tuple[Tensor | None, ...]:
        *splats, picture = ctx.saved_tensors
        means2d, conics, _, _, opacities, channels = splats
        grads = tuple(torch.empty_like(t) for t in (means2d, conics, opacities, channels))
        _native.rasterize_backward(
            ctx.bins, *splats, picture, v_picture.contiguous(), v_alphas.contiguous(), *grads, None
        )
        v_means2d, v_conics, v_opacities, v_channels = grads
        return v_means2d, v_conics, None, None, v_opacities, v_channels, None
