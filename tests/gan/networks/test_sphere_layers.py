"""Layers on a map of the sphere: no seam, no pole, and styles as in the paper."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from tondo.gan.networks.layers import Mapping, StyledConv, finer_conv, leaky, leaky_conv
from tondo.kernels.sphere.sphere_maps_torch import finer_torch, wrap


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("around", [True, False])
@pytest.mark.parametrize("kernel", [1, 3])
def test_styles_are_those_of_modulated_kernels(kernel: int, around: bool, demodulate: bool) -> None:
    torch.manual_seed(0)
    conv = StyledConv(7, 5, 4, kernel, around=around)
    torch.nn.init.normal_(conv.bias)
    x, w = torch.randn(3, 5, 6, 8), torch.randn(3, 7)
    found = conv(x, w, demodulate=demodulate)
    reach = kernel // 2
    for b in range(3):
        weight = (
            conv.weight / math.sqrt(5 * kernel * kernel) * conv.style(w)[b, None, :, None, None]
        )
        norm = (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        one = x[b : b + 1]
        padded = wrap(one, reach) if around and reach else F.pad(one, [reach] * 4)
        weight = weight / norm if demodulate else weight
        wanted = F.conv2d(padded, weight) + conv.bias[:, None, None]
        torch.testing.assert_close(found[b : b + 1], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kernel", [1, 3])
def test_activations_of_twice_the_resolution_are_those_of_the_convolution(kernel: int) -> None:
    torch.manual_seed(0)
    conv = StyledConv(7, 5, 8, kernel)
    torch.nn.init.normal_(conv.bias)
    x, w = torch.randn(3, 5, 6, 8), torch.randn(3, 7)
    whole = conv(x, w, gain=math.sqrt(2))
    wanted = finer_torch(whole, torch.ones(3, 8), torch.zeros(8), 0.2)
    torch.testing.assert_close(finer_conv(conv, x, w), wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(leaky_conv(conv, x, w), F.leaky_relu(whole, 0.2))


def test_other_kernels_are_refused() -> None:
    with pytest.raises(ValueError, match="a kernel is 1 or 3 wide, got 5"):
        StyledConv(7, 5, 4, 5)


def test_styles_have_unit_size_however_loud_z_is() -> None:
    torch.manual_seed(0)
    mapping = Mapping(6, 9)
    z = torch.randn(5, 6)
    w = mapping(z)
    torch.testing.assert_close(w.square().mean(dim=1), torch.ones(5), rtol=1e-4, atol=0)
    torch.testing.assert_close(mapping(7 * z), w, rtol=1e-3, atol=1e-4)


def test_the_activation_keeps_the_variance() -> None:
    x = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    assert float(leaky(x).square().mean()) == pytest.approx(1.04, abs=0.02)
