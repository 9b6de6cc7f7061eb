"""The 3D checks tell a ball from a card, and a whole thing from one with floaters."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tiny_generators import SHAPE
from tondo.gan.evaluation.geometry_checks import GeometryChecks, check_geometry
from tondo.gan.networks.skin import Skins, sphere_map
from tondo.geometry.pose_prior import PosePrior

PRIOR = PosePrior((-180.0, 180.0), (0.0, 20.0))


class Fixed:
    """Stands in for a generator: the same splats whatever w."""

    shape = SHAPE
    planes = None

    def __init__(self, grid: torch.Tensor, size: float, opacity: float = 0.99) -> None:
        count = grid[0].numel()
        means = grid.flatten(1).T
        colors = 0.5 + 0.4 * torch.sin(3 * means)
        self.skins = Skins(
            means[None],
            torch.tensor([1.0, 0, 0, 0]).expand(1, count, 4),
            torch.full((1, count, 3), size),
            torch.full((1, count), opacity),
            colors[None],
            grid[None],
        )

    def __call__(self, w: torch.Tensor) -> Skins:
        return Skins(*(t.expand(len(w), *t.shape[1:]).contiguous() for t in self.skins[:6]))

    def render_background(self, w: torch.Tensor, size: int) -> torch.Tensor:
        return torch.ones(len(w), size, size, 3)


def checks(grid: torch.Tensor, size: float = 0.03, opacity: float = 0.99) -> GeometryChecks:
    generator: Any = Fixed(grid, size, opacity)
    return check_geometry(generator, torch.zeros(2, 12), PRIOR, 64)


def scaled(x: float, y: float, z: float) -> torch.Tensor:
    return sphere_map(48, 96) * torch.tensor([x, y, z])[:, None, None]


def test_a_ball() -> None:
    found = checks(scaled(0.8, 0.8, 0.8))
    assert found.thickness == pytest.approx(1.0, abs=0.15)  # the poles are seen at a slant
    assert found.side_ratio == pytest.approx(1.0, abs=0.05)
    assert found.floaters == 0
    assert found.hidden == 0
    assert found.empty == 0
    assert found.warp_covered > 0.7
    assert found.warp_error < 0.03


def test_a_card_that_faces_the_camera() -> None:
    found = checks(scaled(0.8, 0.8, 0.03))
    assert found.thickness < 0.15
    assert found.side_ratio < 0.3


def test_floaters_haze_and_nothing() -> None:
    apart = scaled(0.5, 0.5, 0.5)
    apart[:, :2, :] = torch.tensor([0.0, 0.95, 0.0])[:, None, None]
    found = checks(apart, 0.02)
    assert 0.003 < found.floaters < 0.1
    ball = scaled(0.8, 0.8, 0.8)
    assert checks(ball, 0.03, 0.15).haze > 3 * checks(ball).haze
    assert checks(ball, 0.03, 0.0).empty == 1


def test_skin_within_skin() -> None:
    dented = scaled(0.8, 0.8, 0.8)
    around, polar = (torch.arange(96) - 24) / 12.0, torch.arange(48) * (torch.pi / 47)
    dented *= 1 - 0.5 * torch.exp(-around.square()) * polar.sin().square()[:, None]
    assert checks(dented).hidden == 0  # one looks in
    rolled = scaled(0.8, 0.8, 0.8)
    rolled[:, :, ::4] *= 0.5
    assert checks(rolled, 0.06).hidden == pytest.approx(0.25, abs=0.05)
