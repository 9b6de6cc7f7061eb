"""Layers on a map of the sphere: no seam, no pole, and styles as in the paper."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from tondo.gan.generator import sphere_map
from tondo.gan.layers import Mapping, StyledConv, doubled, leaky, softened, wrap


def test_neighbours_stay_neighbours_across_the_seam_and_the_poles() -> None:
    rows, columns = 16, 32
    padded = wrap(sphere_map(rows, columns)[None], 1)
    down = (padded[:, :, 1:] - padded[:, :, :-1]).norm(dim=1)
    across = (padded[..., 1:] - padded[..., :-1]).norm(dim=1)
    assert float(down.max()) < 1.01 * math.pi / rows
    assert float(across.max()) < 1.01 * 2 * math.pi / columns


@pytest.mark.parametrize("reach", [1, 3])
def test_the_gradient_of_wrap_comes_home_from_all_borders(reach: int) -> None:
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 4, 6, generator=chance, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda maps: wrap(maps, reach), x)


def test_a_sphere_doubled_is_a_finer_sphere() -> None:
    fine = doubled(sphere_map(16, 32)[None])[0]
    # linear interpolation lies below the arc by at most about step^2 / 8, twice
    assert float((fine - sphere_map(32, 64)).norm(dim=0).max()) < (2 * math.pi / 32) ** 2 / 3


def test_softened_takes_chequers_away_and_leaves_what_is_smooth() -> None:
    index = torch.arange(16)[:, None] + torch.arange(32)
    chequers = (1.0 - 2.0 * (index % 2)).expand(1, 3, 16, 32)
    assert float(softened(chequers)[:, :, 1:-1].abs().max()) < 1e-6
    sphere = sphere_map(32, 64)[None]
    assert float((softened(sphere) - sphere).norm(dim=1).max()) < 0.02


def test_softened_is_a_convolution_and_so_is_its_gradient() -> None:
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 4, 6, generator=chance, dtype=torch.float64, requires_grad=True)
    taps = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64)
    kernel = (taps[:, None] * taps / 16).expand(3, 1, 3, 3)
    torch.testing.assert_close(softened(x), F.conv2d(wrap(x, 1), kernel, groups=3))
    assert torch.autograd.gradcheck(softened, x)


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
