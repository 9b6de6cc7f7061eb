"""A triangle mesh out of depth pictures: fusion, then marching cubes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.data.views import View
from tondo.kernels.tsdf import Volume
from tondo.mesh.fuse import Box, cube, fuse, truncation_voxels

_GREY = 0.5  # where no photo gave a colour


def extract_mesh(
    views: Iterable[View],
    *,
    center: Tensor,
    radius: float,
    resolution: int = 256,
    closed: bool = True,
    smoothing: float = 1.0,
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
        smoothing: standard deviation in voxels of a Gaussian over the distance field, which takes
            away the noise of splat depth; 0 for none.
        box: look only in this box instead of the whole cube; see `fuse.visible_box`.

    Returns:
        Mesh with colours and normals; no vertices at all where nothing was seen.
    """
    volume = fuse(views, box or cube(center, radius), resolution, carve=closed)
    return surface(volume, closed=closed, smoothing=smoothing)


def surface(volume: Volume, *, closed: bool, smoothing: float = 0.0) -> Mesh:
    """The zero level of the volume, with the volume's colours and normals along its gradient.

    `closed` and `smoothing` as in `extract_mesh`. The volume itself stays as it is.
    """
    values = volume.planes[0].numpy()
    empty = torch.empty(0, 3)
    nothing = Mesh(empty, empty.long(), empty.to(torch.uint8), empty)
    if not ((values < 0) & (volume.planes[1].numpy() > 0)).any():
        return nothing  # no surface was seen, at most the shadow of one
    if smoothing > 0:
        values = _smoothed(volume, closed, smoothing)
    field = values
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
        _vertex_normals(field, places),
    )


def _smoothed(volume: Volume, closed: bool, sigma: float) -> np.ndarray:
    """[X, Y, Z] values after a Gaussian; of an open surface, over the voxels that were seen only
    (normalised convolution, Knutsson & Westin 1993).

    Values are first cut off at one voxel from the surface: the field is steeper in front of the
    surface than behind it, because it holds distances along lines of sight, and a Gaussian over
    that would move the surface inwards by a fifth of a voxel.
    """
    voxel = 1 / truncation_voxels(max(volume.planes.shape[1:]))
    values = volume.planes[0].numpy().clip(-voxel, voxel)
    if closed:
        return gaussian_filter(values, sigma, mode="nearest")
    seen = (volume.planes[1] > 0).numpy().astype(np.float32)
    share = gaussian_filter(seen, sigma, mode="nearest")
    total = gaussian_filter(values * seen, sigma, mode="nearest")
    return np.where(seen > 0, total / np.maximum(share, 1e-6), values)


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

    Weights are cut off at 1, so that a voxel seen often isn't favoured over its neighbour. What no
    camera saw (the underside of an object) takes the colour of the nearest place that one did.
    """
    weights = volume.planes[5].numpy().clip(max=1.0)
    total = map_coordinates(weights, places, order=1, mode="nearest")
    sums = [
        map_coordinates(plane.numpy() * weights, places, order=1, mode="nearest")
        for plane in volume.planes[2:5]
    ]
    colors = np.stack(sums, axis=1) / np.maximum(total, 1e-9)[:, None]
    known = total > 1e-6
    if not known.any():
        colors[:] = _GREY
    elif not known.all():
        nearest = cKDTree(places.T[known]).query(places.T[~known])[1]
        colors[~known] = colors[known][nearest]
    return torch.from_numpy((colors.clip(0, 1) * 255).round().astype(np.uint8))


def _vertex_normals(values: np.ndarray, places: np.ndarray) -> Tensor:
    """[V, 3] unit vectors along the gradient of the distance field, out of the surface."""
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
