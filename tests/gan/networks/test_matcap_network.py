"""Light that stays with the camera."""

from __future__ import annotations

import torch

from tondo.gan.networks.matcap import LIGHT, MOST_SHINE, Matcap


def lights() -> tuple[Matcap, torch.Tensor]:
    torch.manual_seed(0)
    light = Matcap(12)
    with torch.no_grad():
        light.from_w.weight.mul_(20)
    return light, light(torch.randn(6, 12)).detach()


def test_the_gain_keeps_the_objects_own_brightness_and_shine_only_adds() -> None:
    light, found = lights()
    assert found.shape == (6, 2, LIGHT, LIGHT)
    mean = (found[:, 0] * light.disc).sum(dim=(1, 2))
    torch.testing.assert_close(mean, torch.zeros(6), atol=1e-5, rtol=0)
    assert float(found[:, 0].std()) > 0.1
    assert float(found[:, 1].min()) >= 0
    assert float(found[:, 1].max()) <= MOST_SHINE


def test_the_gain_holds_no_spots() -> None:
    """Before its bound it is a sum of what any light makes of a matt ball (1, x, ... z z)."""
    light, _ = lights()
    even = (torch.arange(LIGHT) + 0.5) * (2 / LIGHT) - 1
    y, x = torch.meshgrid(even, even, indexing="ij")
    z = (1 - x * x - y * y).clamp_min(0).sqrt()
    known = torch.stack([torch.ones_like(x), x, y, z, x * y, x * z, y * z, x * x, y * y, z * z])
    flat = known.flatten(1).T
    rows = light.basis.flatten(1).T
    solved = torch.linalg.lstsq(flat, rows, driver="gelsd").solution
    torch.testing.assert_close(flat @ solved, rows, atol=1e-5, rtol=0)
