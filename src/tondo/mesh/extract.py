"""A triangle mesh out of depth pictures: fusion, then marching cubes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from skimage.measure import marching_cubes
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.data.views import View
from tondo.kernels.tsdf import Volume
from tondo.mesh.fuse import Box, cube, fuse

_GREY = 0.5


def extract_mesh(
    views: Iterable[View],
    *,
    center: Tensor,
    radius: float,
    resolution: int = 256,
    closed: bool = True,
    box: Box | None = None,
) -> Mesh:
    """Fuse the views' depth and colour and return the surface, in world space.

    Args:
        views: pictures with depth and coverage; each is used once, one after the other.
        center, radius: [3] and world units: the cube that the mesh is looked for in. What lies
            beyond is ignored.
        resolution: voxels along the longest side.
        closed: an object before an empty background: pixels of low coverage carve space away, and
            what no camera saw counts as inside if it lies behind surfaces, so that the mesh is
            watertight. Otherwise (rooms, streets) only seen surfaces are there, with open edges.
        box: look only in this box instead of the whole cube; see `fuse.visible_box`.

    Returns:
        Mesh with colours and normals; no vertices at all where nothing was seen.
    """
    volume = fuse(views, box or cube(center, radius), resolution, carve=closed)
    return surface(volume, closed=closed)


def surface(volume: Volume, *, closed: bool) -> Mesh:
    """The zero level of the volume, with the volume's colours and normals along its gradient."""
    values = volume.planes[0].numpy()
    empty = torch.empty(0, 3)
    nothing = Mesh(empty, empty.long(), empty.to(torch.uint8), empty)
    if not ((values < 0) & (volume.planes[1].numpy() > 0)).any():
        return nothing  # no surface was seen, at most the shadow of one
    if closed:
        values = np.pad(values, 1, constant_values=1.0)  # outside of the box is free space
    try:
        points, faces, _, _ = marching_cubes(
            values,
            0.0,
            gradient_direction="descent",
            mask=None if closed else _seen_cells(volume),
            allow_degenerate=False,
        )
    except (RuntimeError, ValueError):  # it found no surface at that level
        return nothing
    places = points.T.astype(np.float64) - (1.0 if closed else 0.0)  # [3, V] voxel indices
    vertices = torch.from_numpy(places.T.astype(np.float32)) * volume.grid[3] + volume.grid[:3]
    return Mesh(
        vertices,
        torch.from_numpy(faces.astype(np.int64)),
        _vertex_colors(volume, places),
        _vertex_normals(volume, places),
    )


def _seen_cells(volume: Volume) -> np.ndarray:
    """[X, Y, Z] bool: all 8 corners of the cell that ends at this voxel have been seen, which is
    how skimage looks its mask up."""
    seen = (volume.planes[1] > 0).numpy()
    cells = np.zeros_like(seen)
    cells[1:, 1:, 1:] = np.logical_and.reduce(
        [
            seen[i : seen.shape[0] - 1 + i, j : seen.shape[1] - 1 + j, k : seen.shape[2] - 1 + k]
            for i in (0, 1)
            for j in (0, 1)
            for k in (0, 1)
        ]
    )
    return cells


def _vertex_colors(volume: Volume, places: np.ndarray) -> Tensor:
    """[V, 3] uint8: mean of the 8 voxels around, weighted by how much colour each has seen.

    Grey where none has. Weights are cut off at 1, so that a voxel seen often isn't favoured over
    its neighbour.
    """
    weights = volume.planes[5].numpy().clip(max=1.0)
    total = map_coordinates(weights, places, order=1, mode="nearest")
    sums = [
        map_coordinates(plane.numpy() * weights, places, order=1, mode="nearest")
        for plane in volume.planes[2:5]
    ]
    colors = np.stack(sums, axis=1) / np.maximum(total, 1e-9)[:, None]
    colors = np.where(total[:, None] > 1e-6, colors, _GREY)
    return torch.from_numpy((colors.clip(0, 1) * 255).round().astype(np.uint8))


def _vertex_normals(volume: Volume, places: np.ndarray) -> Tensor:
    """[V, 3] unit vectors along the gradient of the distance field, out of the surface."""
    values = volume.planes[0].numpy()
    slopes = []
    for axis in range(3):
        step = np.zeros((3, 1))
        step[axis] = 0.5
        ahead, behind = (
            map_coordinates(values, places + sign * step, order=1, mode="nearest")
            for sign in (1, -1)
        )
        slopes.append(ahead - behind)
    gradient = torch.from_numpy(np.stack(slopes, axis=1).astype(np.float32))
    lengths = gradient.norm(dim=1, keepdim=True)
    up = torch.tensor([0.0, 0.0, 1.0]).expand_as(gradient)
    return torch.where(lengths > 1e-6, gradient / lengths.clamp(min=1e-6), up)
