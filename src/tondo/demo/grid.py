"""An object's distances on a grid: a fast, coarse answer where the exact one is not needed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tondo.demo.solid import RADIUS, Solid
from tondo.demo.surface import LANTERN

# Tensors of about this many rows stay in the cache.
CHUNK = 10_920


@dataclass(frozen=True)
class DistanceGrid:
    """Signed distances at the corners of a cube of half side `RADIUS` around the origin.

    Attributes:
        values: [R, R, R] float32 indexed [x, y, z]; exact close to the surface and a bound with
            the right sign elsewhere.
        cell: world units from one corner of `values` to the next.
        rough: [S, S, S] exact distances at fewer corners, small enough to stay in the cache.
        rough_cell: world units from one corner of `rough` to the next.
    """

    values: Tensor
    cell: float
    rough: Tensor
    rough_cell: float


def build_grid(resolution: int = 320, coarse: int = 81, solid: Solid = LANTERN) -> DistanceGrid:
    """Distances on a coarse grid, refined exactly only where the surface may pass."""
    axis = torch.linspace(-RADIUS, RADIUS, coarse)
    rough = _on_grid(solid, axis)
    fine_axis = torch.linspace(-RADIUS, RADIUS, resolution)
    nearest = torch.round((fine_axis + RADIUS) * ((coarse - 1) / (2 * RADIUS))).long()
    half_diagonal = RADIUS / (coarse - 1) * 3**0.5
    from_rough = rough[nearest][:, nearest][:, :, nearest]
    values = torch.sign(from_rough) * (from_rough.abs() - half_diagonal)
    close = (from_rough.abs() < 2.0 * half_diagonal).view(-1).nonzero()[:, 0]
    flat = values.view(-1)
    for block in close.split(CHUNK):
        ix, iy, iz = block // resolution**2, block // resolution % resolution, block % resolution
        flat[block] = solid.distance(fine_axis[ix], fine_axis[iy], fine_axis[iz])
    return DistanceGrid(values, 2 * RADIUS / (resolution - 1), rough, 2 * RADIUS / (coarse - 1))


def _on_grid(solid: Solid, axis: Tensor) -> Tensor:
    """[S, S, S] exact distances at all combinations of three places on an axis [S]."""
    corners = torch.cartesian_prod(axis, axis, axis)
    found = [solid.distance(*block.T.contiguous()) for block in corners.split(CHUNK)]
    return torch.cat(found).view(len(axis), len(axis), len(axis))


def lower_bound(grid: DistanceGrid, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """[N] how far it is to the surface at least: the nearest rough value less its distance."""
    last, scale = len(grid.rough) - 1, 1.0 / grid.rough_cell
    index = torch.zeros_like(x, dtype=torch.int32)
    for axis in (x, y, z):
        nearest = ((axis + RADIUS) * scale + 0.5).to(torch.int32).clamp_(0, last)
        index = index * len(grid.rough) + nearest
    return grid.rough.view(-1)[index] - 0.87 * grid.rough_cell


def interpolated(grid: DistanceGrid, points: Tensor) -> Tensor:
    """[N] trilinear distance at points [N, 3]."""
    unit = points.flip(-1) * (1.0 / RADIUS)
    found = torch.nn.functional.grid_sample(
        grid.values[None, None], unit[None, None, None], align_corners=True, padding_mode="border"
    )
    return found.view(-1)
