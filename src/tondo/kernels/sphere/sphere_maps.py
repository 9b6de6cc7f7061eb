"""Passes over maps of the sphere between the convolutions of a generator, each a single one.

float32 maps on the CPU with an even number of columns take the native path, everything else the
twins in torch (`tondo.kernels.sphere.sphere_maps_torch`), which say what a map of the sphere is.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tondo import _native
from tondo.checks import check_one_device, check_shape
from tondo.kernels.native import plain
from tondo.kernels.sphere.sphere_maps_torch import (
    doubled_torch,
    finer_torch,
    frames_torch,
    padded_torch,
)


def padded(x: Tensor, style: Tensor | None = None) -> Tensor:
    """A map with a border of one cell, its channels scaled by a style.

    Args:
        x: [B, C, H, W]. style: [B, C], or None for ones. Gradients reach both.

    Returns:
        [B, C, H + 2, W + 2].

    Raises:
        ValueError: shapes or devices that do not fit each other.
    """
    sizes = check_shape("x", x, "B C H W")
    if style is not None:
        check_shape("style", style, "B C", sizes)
        check_one_device(x=x, style=style)
    if not _is_native(x, style):
        return padded_torch(x, style)
    found: Tensor = _Padded.apply(x, style)
    return found


def doubled(x: Tensor) -> Tensor:
    """[B, C, H, W] at twice the resolution, linear in between, without a seam: [B, C, 2 H, 2 W];
    differentiable.

    Raises:
        ValueError: another number of dimensions.
    """
    check_shape("x", x, "B C H W")
    if not _is_native(x):
        return doubled_torch(x)
    found: Tensor = _Doubled.apply(x)
    return found


def finer(x: Tensor, scale: Tensor, bias: Tensor, leak: float) -> Tensor:
    """What follows a convolution that makes four channels for each finer one: each is scaled and
    biased, they are put together (Shi et al. 2016, equation 4), what chequers that makes is blurred
    away by (1, 2, 1) / 4 both ways, and a leaky ReLU ends it.

    Args:
        x: [B, 4 C, H, W]. scale: [B, 4 C]. bias: [4 C]. Gradients reach all three.
        leak: slope below 0, above 0 itself.

    Returns:
        [B, C, 2 H, 2 W].

    Raises:
        ValueError: shapes or devices that do not fit each other, or not four channels for one.
    """
    sizes = check_shape("x", x, "B D H W")
    if sizes["D"] % 4:
        raise ValueError(f"x must have four channels for each finer one, got {sizes['D']}")
    check_shape("scale", scale, "B D", sizes)
    check_shape("bias", bias, "D", sizes)
    check_one_device(x=x, scale=scale, bias=bias)
    if not _is_native(x, scale, bias):
        return finer_torch(x, scale, bias, leak)
    found: Tensor = _Finer.apply(x, scale, bias, leak)
    return found


@torch.no_grad()
def frames(grid: Tensor, thin: float) -> tuple[Tensor, Tensor]:
    """How splats lie on the skin that the cells of `grid`, softened twice, make; no gradient.

    Args:
        grid: [B, 3, H, W] points in space. thin: thickness, of the smaller of the other two sizes.

    Returns:
        Unit quaternions [B, H W, 4] (w, x, y, z), w >= 0: along the meridian to the south, along
        the parallel, outwards; and [B, 3, H, W] half the distance of a cell's neighbours to the
        south and north, to the east and west, and the thickness.

    Raises:
        ValueError: another shape.
    """
    sizes = check_shape("grid", grid, "B 3 H W")
    if not _is_native(grid):
        return frames_torch(grid, thin)
    quats = torch.empty(sizes["B"], sizes["H"] * sizes["W"], 4)
    reach = torch.empty(grid.shape)
    _native.sphere_frames(grid.detach().contiguous(), thin, quats, reach)
    return quats, reach


def _is_native(x: Tensor, *others: Tensor | None) -> bool:
    every = [x, *(tensor for tensor in others if tensor is not None)]
    fits = all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in every)
    return fits and x.numel() > 0 and x.shape[3] % 2 == 0


class _Padded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, style: Tensor | None) -> Tensor:
        x = x.detach().contiguous()
        style = None if style is None else style.detach().contiguous()
        out = torch.empty(*x.shape[:2], x.shape[2] + 2, x.shape[3] + 2)
        _native.sphere_padded(x, style, out)
        ctx.save_for_backward(x, style)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_out: Tensor) -> tuple[Tensor, Tensor | None]:
        x, style = ctx.saved_tensors
        v_x = torch.empty_like(x)
        v_style = None if style is None else torch.empty_like(style)
        _native.sphere_padded_backward(x, style, v_out.contiguous(), v_x, v_style)
        return v_x, v_style


class _Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.shape = x.shape
        out = torch.empty(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
        _native.sphere_doubled(x.detach().contiguous(), out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_out: Tensor) -> Tensor:
        v_x = torch.empty(ctx.shape)
        _native.sphere_doubled_backward(v_out.contiguous(), v_x)
        return v_x


class _Finer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, bias: Tensor, leak: float) -> Tensor:
        x, scale, bias = plain(x, scale, bias)
        batch, channels, rows, columns = x.shape
        out = torch.empty(batch, channels // 4, 2 * rows, 2 * columns)
        _native.sphere_finer((x, scale, bias), leak, out)
        ctx.leak = leak
        ctx.save_for_backward(x, scale, bias, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_out: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, scale, bias, out = ctx.saved_tensors
        v_x, v_scale, v_bias = (torch.empty_like(tensor) for tensor in (x, scale, scale))
        _native.sphere_finer_backward(
            (x, scale, bias), ctx.leak, out, v_out.contiguous(), (v_x, v_scale, v_bias)
        )
        return v_x, v_scale, v_bias.sum(dim=0), None
