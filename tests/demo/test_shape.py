"""The object's distances: of the right sign, and never longer than the way to the surface."""

from __future__ import annotations

import torch

from tondo.demo.grid import build_grid, interpolated, lower_bound
from tondo.demo.shape import Part, distance, part_distances
from tondo.demo.solid import RADIUS


def test_inside_and_outside() -> None:
    # in the pot's wall at a place without a hole, in the core, in a bead; then between them
    inside = torch.tensor([[0.0, 0.0, -0.48], [0.0, 0.0, -0.05], [0.605, 0.0, -0.688]])
    outside = torch.tensor([[0.0, 0.0, 1.3], [0.35, 0.05, -0.05], [0.0, 0.45, 0.75]])
    assert (distance(*inside.T) < 0).all()
    assert (distance(*outside.T) > 0).all()
    assert part_distances(*inside.T)[Part.CORE].argmin() == 1
    assert part_distances(*inside.T)[Part.BEAD].argmin() == 2


def test_the_object_fits_its_ball() -> None:
    directions = torch.randn(4000, 3, generator=torch.Generator().manual_seed(3))
    shell = torch.nn.functional.normalize(directions, dim=-1) * RADIUS
    assert distance(*shell.T).min() > 0.01


def test_distances_do_not_overshoot() -> None:
    """Moving by a distance never crosses the surface, up to what the marching tolerates."""
    generator = torch.Generator().manual_seed(5)
    points = (torch.rand(20_000, 3, generator=generator) * 2 - 1) * 0.9
    directions = torch.nn.functional.normalize(torch.randn(20_000, 3, generator=generator), dim=-1)
    gap = distance(*points.T)
    outside = gap > 0
    moved = points + directions * (0.98 * gap)[:, None]
    assert (distance(*moved.T)[outside] < -0.004).float().mean() < 1e-3


def test_the_grid_bounds_and_interpolates() -> None:
    grid = build_grid(128, coarse=33)
    points = (torch.rand(5000, 3, generator=torch.Generator().manual_seed(7)) * 2 - 1) * 0.75
    exact = distance(*points.T)
    close = (exact > 0) & (exact < 0.01)
    assert close.sum() > 50
    assert (interpolated(grid, points) - exact)[close].abs().max() < grid.cell
    assert (lower_bound(grid, *points.T) <= exact + 0.004)[exact > 0].float().mean() > 0.999
