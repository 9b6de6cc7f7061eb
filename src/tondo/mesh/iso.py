"""The surface of one density in a field, and which density it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from tondo.data.field import AnyField
from tondo.data.mesh import Mesh
from tondo.data.views import View
from tondo.kernels.fields.rays import log_densities
from tondo.kernels.fields.rays_torch import into_cube
from tondo.kernels.mesh_depth import mesh_depth
from tondo.kernels.tsdf import Volume, empty_volume
from tondo.mesh.extract import surface
from tondo.mesh.fuse import MIN_ALPHA, Box, grid_shape

EMPTY = -30.0  # log density where the field's occupancy says that nothing is; chosen
REACH = 30.0  # natural logarithms of density that the volume's values -1..1 stand for; chosen
AT_ONCE = 1 << 20  # places computed at a time: bounds memory
# Surfaces that are tried: densities at which light is halved within so many voxels.
HALVED_WITHIN = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
OFF = 2.0  # voxels; a depth that is further off counts as wrong altogether; chosen


class Level(NamedTuple):
    """A density, per world unit, and how far pictures of its surface are from the field's own:
    0 (the same) to 1."""

    density: float
    off: float


def density_grid(field: AnyField, box: Box, resolution: int, density: float = 1.0) -> Volume:
    """The field's log density over `box` as a volume whose values fall by 1 / `REACH` for each
    natural logarithm.

    Args:
        resolution: voxels along the box's longest side.
        density: per world unit, where the volume's values are zero.
    """
    spacing, shape = grid_shape(box, resolution)
    middle = (box.low + box.high) / 2
    volume = empty_volume(middle - spacing * (torch.tensor(shape) - 1) / 2, spacing, shape)
    axes = [volume.grid[axis] + spacing * torch.arange(count) for axis, count in enumerate(shape)]
    values = volume.planes[0]
    slab = max(1, AT_ONCE // (shape[1] * shape[2]))
    for start in range(0, shape[0], slab):
        x = axes[0][start : start + slab]
        points = torch.stack(torch.meshgrid(x, *axes[1:], indexing="ij"), dim=-1).view(-1, 3)
        found = torch.where(_occupied(field, points), log_densities(field, points), EMPTY)
        found = (math.log(density) - found) / REACH
        values[start : start + slab] = found.clamp(-1, 1).view(len(x), *shape[1:])
    volume.planes[1] = 1.0
    return volume


def _occupied(field: AnyField, points: Tensor) -> Tensor:
    """[N] bool: the points' cells may hold something."""
    space = field.space
    u = into_cube(space, points)
    cells = len(space.occupied)
    x, y, z = (u * cells).long().clamp(0, cells - 1).unbind(1)
    return ((u >= 0) & (u < 1)).all(dim=1) & (space.occupied[z, y, x] > 0)


def best_level(volume: Volume, views: Sequence[View]) -> Level:
    """Of the densities of `HALVED_WITHIN`, the one whose surface looks most like the field.

    Args:
        volume: what `density_grid` made, with its zero level at density 1.
        views: of the field, at least one; their silhouettes and depths count.
    """
    spacing = float(volume.grid[3])
    tried = []
    for voxels in HALVED_WITHIN:
        density = math.log(2.0) / (voxels * spacing)
        planes = volume.planes.clone()
        planes[0] += math.log(density) / REACH
        mesh = surface(replace(volume, planes=planes), closed=True)
        tried.append(Level(density, mean_view_error(mesh, views, OFF * spacing)))
    return min(tried, key=lambda level: level.off)


def mean_view_error(mesh: Mesh, views: Sequence[View], limit: float) -> float:
    """The mean of `view_error` over `views`, at least one."""
    return sum(view_error(mesh, view, limit) for view in views) / len(views)


def view_error(mesh: Mesh, view: View, limit: float) -> float:
    """0..1: over the pixels that the mesh or the view covers, the mean of 1 where only one of them
    does, and of how far apart their depths are, `limit` world units or more counting as 1."""
    camera = view.camera
    covered = view.alpha >= MIN_ALPHA
    depth = torch.zeros_like(view.depth)
    if len(mesh.faces):
        depth, _ = mesh_depth(
            mesh.vertices, mesh.faces, camera.viewmat, camera.K, camera.width, camera.height
        )
    there = depth > 0
    off = torch.where(covered & there, ((depth - view.depth).abs() / limit).clamp(max=1), 1.0)
    either = covered | there
    return float(off[either].mean()) if bool(either.any()) else 0.0
