"""Layers of the generator: a mapping network, and convolutions on a map of the sphere."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

LEAK = 0.2
GAIN = math.sqrt(2.0)  # before or after a leaky ReLU of inputs of unit variance, keeps it


class Linear(nn.Module):
    """y = x W / sqrt(in) * rate + b: equal step sizes for all layers (Karras et al. 2018, 4.1)."""

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.rate = rate

    def scaled(self) -> Tensor:
        """[out, in] the matrix as it is applied."""
        return self.weight * (self.rate / math.sqrt(self.weight.shape[1]))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.scaled(), self.bias * self.rate)


class Mapping(nn.Module):
    """z [B, Z] to w [B, W] with root mean square 1, so that no z is louder than another."""

    def __init__(self, z: int, w: int) -> None:
        super().__init__()
        self.first = Linear(z, w, rate=0.1)
        self.second = Linear(w, w, rate=0.1)
        self.third = Linear(w, w, rate=0.1)

    def forward(self, z: Tensor) -> Tensor:
        x = unit_rms(z)
        x = leaky(self.first(x))
        x = leaky(self.second(x))
        return unit_rms(self.third(x))


class StyledConv(nn.Module):
    """A convolution whose input channels are scaled by a style (Karras et al. 2020, equations 1-3).

    Scaling the input and the output is the same as scaling the weights of each sample, and leaves
    one plain convolution for the whole batch. The map is one of a sphere, or, not `around`, a flat
    one with zeros beyond its borders.
    """

    def __init__(
        self, w: int, inputs: int, outputs: int, kernel: int, *, around: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.style = Linear(w, inputs, bias=1.0)
        self.kernel = kernel
        self.around = around

    def forward(
        self, x: Tensor, w: Tensor, *, demodulate: bool = True, gain: float = 1.0
    ) -> Tensor:
        """[B, in, H, W] and [B, W] to [B, out, H, W], times `gain` if it demodulates; no
        activation."""
        weight = self.weight / math.sqrt(self.weight[0].numel())
        style = self.style(w)
        reach = self.kernel // 2
        if reach == 0 and not demodulate:  # a small matrix for each sample, and no scaled copy of x
            each = weight[:, :, 0, 0] * style[:, None]
            found = torch.baddbmm(self.bias[:, None], each, x.flatten(2))
            return found.unflatten(2, x.shape[2:])
        x = x * style[:, :, None, None]
        x = (
            F.conv2d(wrap(x, reach), weight)
            if self.around and reach
            else F.conv2d(x, weight, padding=reach)
        )
        if not demodulate:
            return x + self.bias[:, None, None]
        power = weight.square().sum(dim=(2, 3))
        norm = gain * torch.rsqrt(F.linear(style.square(), power) + 1e-8)
        return x * norm[:, :, None, None] + (gain * self.bias)[:, None, None]


def unit_rms(x: Tensor) -> Tensor:
    """Rows of x scaled to a root mean square of 1."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU with the gain that keeps a unit variance."""
    return F.leaky_relu(x, LEAK) * GAIN


def leaky_conv(conv: nn.Module, x: Tensor, w: Tensor) -> Tensor:
    """`leaky` of a convolution, with one pass over the map less: the gain goes before it."""
    return F.leaky_relu(conv(x, w, gain=GAIN), LEAK)


class _Wrap(torch.autograd.Function):
    """`wrap`, with a backward pass that adds the borders where they come from: that of slices and
    `cat` fills a whole map with zeros for each of them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, reach: int) -> Tensor:
        ctx.reach = reach
        half = x.shape[3] // 2
        north = torch.roll(x[:, :, :reach].flip(2), half, dims=3)
        south = torch.roll(x[:, :, -reach:].flip(2), half, dims=3)
        x = torch.cat([north, x, south], dim=2)
        return torch.cat([x[..., -reach:], x, x[..., :reach]], dim=3)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _unwrapped(grad, ctx.reach), None


def _unwrapped(grad: Tensor, reach: int) -> Tensor:
    """The gradient of a padded map to that of the map itself."""
    columns = grad[..., reach:-reach].clone()
    columns[..., -reach:] += grad[..., :reach]
    columns[..., :reach] += grad[..., -reach:]
    half = columns.shape[3] // 2
    rows = columns[:, :, reach:-reach]
    rows[:, :, :reach] += torch.roll(columns[:, :, :reach], -half, dims=3).flip(2)
    rows[:, :, -reach:] += torch.roll(columns[:, :, -reach:], -half, dims=3).flip(2)
    return rows


def wrap(x: Tensor, reach: int) -> Tensor:
    """Pad a latitude-longitude map [B, C, H, W]: round the sphere, and over its poles."""
    padded: Tensor = _Wrap.apply(x, reach)
    return padded


def _binomial(x: Tensor) -> Tensor:
    """Maps [..., H, W] to [..., H - 2, W - 2], blurred by (1, 2, 1) / 4 both ways."""
    for _ in range(2):
        x = x[..., 1:] + x[..., :-1]
    for _ in range(2):
        x = x[..., 1:, :] + x[..., :-1, :]
    return x.mul_(1 / 16)


class _Soften(torch.autograd.Function):
    """`softened` by sums of neighbours: a convolution of each channel by itself takes twice as
    long, forwards and backwards."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _binomial(_Wrap.forward(ctx, x, 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _unwrapped(_binomial(F.pad(grad, (2, 2, 2, 2))), 1)


def softened(x: Tensor) -> Tensor:
    """A latitude-longitude map blurred by (1, 2, 1) / 4 both ways: takes the chequers of a pixel
    shuffle away."""
    blurred: Tensor = _Soften.apply(x)
    return blurred


def doubled(x: Tensor) -> Tensor:
    """A latitude-longitude map at twice the resolution, linear in between, without a seam."""
    x = F.interpolate(wrap(x, 1), scale_factor=2, mode="bilinear", align_corners=False)
    return x[..., 2:-2, 2:-2]
