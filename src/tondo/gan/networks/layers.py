"""Layers of the generator: a mapping network, and convolutions on a map of the sphere."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tondo.kernels.sphere.sphere_maps import finer, padded

LEAK = 0.2  # slope below zero (Karras et al. 2019, StyleGAN)
GAIN = math.sqrt(2.0)  # keeps unit variance before or after a leaky ReLU (He et al. 2015)


def normals(*sizes: int, over: float = 1.0) -> Tensor:
    """Normally distributed numbers, divided by `over`. On the meta device, where they have none,
    nothing is drawn: torch would load its compiler for that, which takes a second."""
    x = torch.empty(*sizes)
    return x if x.is_meta else x.normal_().div_(over)


class Linear(nn.Module):
    """y = x W / sqrt(in) * rate + b: equal step sizes for all layers (Karras et al. 2018, 4.1)."""

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(normals(outputs, inputs, over=rate))
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
        if kernel not in (1, 3):
            raise ValueError(f"a kernel is 1 or 3 wide, got {kernel}")
        self.weight = nn.Parameter(normals(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.style = Linear(w, inputs, bias=1.0)
        self.kernel = kernel
        self.around = around

    def forward(
        self, x: Tensor, w: Tensor, *, demodulate: bool = True, gain: float = 1.0
    ) -> Tensor:
        """[B, in, H, W] and [B, W] to [B, out, H, W], times `gain` if it demodulates; no
        activation."""
        if not demodulate and self.kernel == 1:  # a small matrix for each sample, x as it is
            each = self._weight()[:, :, 0, 0] * self.style(w)[:, None]
            found = torch.baddbmm(self.bias[:, None], each, x.flatten(2))
            return found.unflatten(2, x.shape[2:])
        found, norm, bias = self.parts(x, w, gain=gain)
        if not demodulate:
            return found + self.bias[:, None, None]
        return found * norm[:, :, None, None] + bias[:, None, None]

    def parts(self, x: Tensor, w: Tensor, *, gain: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
        """[B, out, H, W], and the scales [B, out] and the bias [out] that demodulate it."""
        weight, style = self._weight(), self.style(w)
        if self.around and self.kernel == 3:
            found = F.conv2d(padded(x, style), weight)
        else:
            found = F.conv2d(x * style[:, :, None, None], weight, padding=self.kernel // 2)
        power = weight.square().sum(dim=(2, 3))
        norm = gain * torch.rsqrt(F.linear(style.square(), power) + 1e-8)
        return found, norm, gain * self.bias

    def _weight(self) -> Tensor:
        return self.weight / math.sqrt(self.weight[0].numel())


def unit_rms(x: Tensor) -> Tensor:
    """Rows of x scaled to a root mean square of 1."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU with the gain that keeps a unit variance."""
    return F.leaky_relu(x, LEAK) * GAIN


def leaky_conv(conv: nn.Module, x: Tensor, w: Tensor) -> Tensor:
    """`leaky` of a convolution, with one pass over the map less: the gain goes before it."""
    return F.leaky_relu(conv(x, w, gain=GAIN), LEAK)


def finer_conv(conv: StyledConv, x: Tensor, w: Tensor) -> Tensor:
    """`leaky` of a convolution whose every four channels become one of twice the resolution."""
    return finer(*conv.parts(x, w, gain=GAIN), LEAK)


def modulation(generator: nn.Module) -> Tensor:
    """[R, W] float64: the rows of all matrices that read w, each matrix of unit norm, so that every
    layer has the same say."""
    found = []
    for module in generator.modules():
        if isinstance(module, StyledConv):
            found.append(module.style.weight)
        elif isinstance(first := getattr(module, "from_w", None), Linear):
            found.append(first.weight)
    weights = [weight.detach().double() for weight in found]
    return torch.cat([weight / weight.norm().clamp_min(1e-12) for weight in weights])
