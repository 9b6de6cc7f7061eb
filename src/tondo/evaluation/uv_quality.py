"""How good a mesh's places in its texture are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from tondo.data.mesh import Mesh

Array = NDArray[np.float64]
Index = NDArray[np.int64]

# Of the square's side. Triangles that reach so far into each other overlap; less is rounding of
# 32-bit numbers, and a 600th of a texel of a texture of 16,384.
_DEPTH = 1e-7
_PAIRS = 1 << 20  # of triangles that are compared at a time; bounds memory
_SIMILAR = 2.0  # densities within this factor of the mean count as even; chosen
_SLIVER = 1e-9  # of the surface; smaller faces are not looked at; chosen
_FLAT = 1e-14  # area in the square of triangles that have none: less than rounding makes


@dataclass(frozen=True)
class UvQuality:
    """How good a mesh's places in its texture are.

    Attributes:
        charts: connected pieces in the square.
        use: share of the square that faces cover, where none overlap.
        stretch: root of the mean over the surface of the squared L2 stretch (Sander et al. 2001,
            equation 3), times the root of the mean texels per surface, so that 1 is the least.
        angle: mean over the surface of (s / t + t / s) / 2, s and t the stretch along the two
            axes of each face; 1 where all angles are kept.
        even: share of the surface whose texel density, by area, is within a factor of 2 of the mean
            along each side (4 by area).
        overlaps: pairs of faces that overlap.
        mirrored: faces that the texture shows mirrored.
        flat: faces with an area in space and none in the square.
    """

    charts: int
    use: float
    stretch: float
    angle: float
    even: float
    overlaps: int
    mirrored: int
    flat: int


def uv_quality(mesh: Mesh, uvs: Tensor) -> UvQuality:
    """Measure uvs [F, 3, 2], as `TexturedMesh.uvs`, of a mesh's faces.

    Raises:
        ValueError: no faces, or none with an area.
    """
    corners = mesh.vertices.double().numpy()[mesh.faces.numpy()]
    flat = uvs.double().numpy()
    p, q = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = 0.5 * np.linalg.norm(np.cross(p, q), axis=1)
    signed = -0.5 * _cross(flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0])  # v runs downwards
    counted = (np.abs(signed) > _FLAT) & (area > _SLIVER * area.sum())
    if not counted.any():
        raise ValueError("no face has an area both in space and in the texture")
    used = area[counted]
    s, t = _stretches(corners[counted], flat[counted])
    density = np.abs(signed[counted]) / used
    mean = np.abs(signed[counted]).sum() / used.sum()
    squared = (used * (s * s + t * t) / 2).sum() / used.sum()
    even = (density < mean * _SIMILAR**2) & (density > mean / _SIMILAR**2)
    skewed = (s / t + t / s) / 2
    return UvQuality(
        charts=int(chart_of(mesh.faces, uvs).max()) + 1,
        use=float(np.abs(signed).sum()),
        stretch=float(np.sqrt(squared * mean)),
        angle=float((used * skewed).sum() / used.sum()),
        even=float(used[even].sum() / used.sum()),
        overlaps=len(overlapping(uvs)),
        mirrored=int((signed < -_FLAT).sum()),
        flat=int(((np.abs(signed) <= _FLAT) & (area > _SLIVER * area.sum())).sum()),
    )


def chart_of(faces: Tensor, uvs: Tensor) -> Index:
    """[F] the connected piece of the square that each face is in: faces are joined where they share
    a vertex of the mesh at the same place in the square."""
    rows = np.empty(3 * len(faces), [("vertex", np.int64), ("u", np.float32), ("v", np.float32)])
    rows["vertex"] = faces.reshape(-1).numpy()
    rows["u"], rows["v"] = uvs.reshape(-1, 2).numpy().T
    _, place = np.unique(rows, return_inverse=True)
    face = np.repeat(np.arange(len(faces)), 3)
    count = len(faces) + int(place.max()) + 1
    joined = (np.ones(len(face), bool), (face, len(faces) + place.reshape(-1)))
    graph = coo_matrix(joined, shape=(count, count))
    found = connected_components(graph, directed=False)[1][: len(faces)]
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def overlapping(uvs: Tensor) -> Index:
    """[P, 2] the pairs of faces whose triangles [F, 3, 2] overlap in the square.

    Two triangles do where no line along a side of either separates them.
    """
    flat = uvs.double().numpy()
    area = 0.5 * _cross(flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0])
    names = np.flatnonzero(np.abs(area) > _FLAT)
    if not len(names):
        return np.empty((0, 2), np.int64)
    flat = flat[names]
    found = [np.empty((0, 2), np.int64)]
    for pairs in _neighbours(flat):
        a, b = flat[pairs[:, 0]], flat[pairs[:, 1]]
        found.append(pairs[~_separated(a, b) & ~_separated(b, a)])
    pairs = np.unique(np.concatenate(found), axis=0)
    return np.asarray(names[pairs])


def _separated(a: Array, b: Array) -> NDArray[np.bool_]:
    """[P] bool: a side of triangle a [P, 3, 2] has all of triangle b on its outer side, but for
    `_DEPTH`."""
    apart = np.zeros(len(a), bool)
    sign = np.sign(_cross(a[:, 1] - a[:, 0], a[:, 2] - a[:, 0]))
    for k in range(3):
        start, side = a[:, k], a[:, (k + 1) % 3] - a[:, k]
        length = np.linalg.norm(side, axis=1).clip(1e-30)
        inward = [sign * _cross(side, b[:, j] - start) / length for j in range(3)]
        apart |= np.max(inward, axis=0) < _DEPTH
    return apart


def _neighbours(flat: Array) -> list[Index]:
    """Pairs [P, 2] of triangles [F, 3, 2] that touch the same cell of a grid, in parts."""
    low, high = flat.min(axis=(0, 1)), flat.max(axis=(0, 1))
    side = max(1, int(np.sqrt(len(flat))))
    cell = np.maximum(high - low, 1e-12) / side
    grid = (flat - low) / cell
    triangle, cells = _cells(grid, side)
    order = np.argsort(cells, kind="stable")
    triangle, cells = triangle[order], cells[order]
    last = np.searchsorted(cells, cells, side="right")  # of the same cell
    after = last - np.arange(len(cells)) - 1  # entries of the same cell behind this one
    parts, first, total = [], 0, np.cumsum(after)
    while first < len(after):
        base = total[first - 1] if first else 0
        end = max(first + 1, int(np.searchsorted(total, base + _PAIRS, side="right")))
        count = after[first:end]
        one = np.repeat(np.arange(first, end), count)
        step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        pairs = np.stack([triangle[one], triangle[one + 1 + step]], axis=1)
        parts.append(np.sort(pairs, axis=1))
        first = end
    return parts


def _cells(grid: Array, side: int) -> tuple[Index, Index]:
    """Which triangle [N] touches which cell (row * side + column) [N] of a grid of unit cells, row
    by row, so that slender triangles touch few."""
    top = np.floor(grid[..., 1].min(axis=1)).astype(np.int64).clip(0, side - 1)
    bottom = np.floor(grid[..., 1].max(axis=1)).astype(np.int64).clip(0, side - 1)
    triangle, row = _expanded(top, bottom)
    corners = grid[triangle]
    inside = (corners[..., 1] >= row[:, None]) & (corners[..., 1] <= row[:, None] + 1)
    left = np.where(inside, corners[..., 0], np.inf).min(axis=1)
    right = np.where(inside, corners[..., 0], -np.inf).max(axis=1)
    for k in range(3):
        a, b = corners[:, k], corners[:, (k + 1) % 3]
        run = np.where(a[:, 1] == b[:, 1], 1.0, b[:, 1] - a[:, 1])
        for line in (row, row + 1):
            t = (line - a[:, 1]) / run
            x = a[:, 0] + t * (b[:, 0] - a[:, 0])
            crosses = (t >= 0) & (t <= 1) & (a[:, 1] != b[:, 1])
            left = np.where(crosses, np.minimum(left, x), left)
            right = np.where(crosses, np.maximum(right, x), right)
    touched = left <= right
    triangle, row = triangle[touched], row[touched]
    columns = (np.floor(x[touched]).astype(np.int64).clip(0, side - 1) for x in (left, right))
    entry, column = _expanded(*columns)
    return triangle[entry], row[entry] * side + column


def _expanded(first: Index, last: Index) -> tuple[Index, Index]:
    """For each i the numbers first[i] .. last[i]: i repeated, and the numbers."""
    count = last - first + 1
    owner = np.repeat(np.arange(len(first)), count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return owner, first[owner] + step


def _stretches(corners: Array, flat: Array) -> tuple[Array, Array]:
    """[F] the larger and the smaller singular value of the map from the square to space, of faces
    [F, 3, 3] at [F, 3, 2]."""
    p, q = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    u, v = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    area = _cross(u, v)[:, None]
    along_u = (p * v[:, 1:] - q * u[:, 1:]) / area
    along_v = (q * u[:, :1] - p * v[:, :1]) / area
    a, b, c = (
        (x * y).sum(axis=1) for x, y in ((along_u, along_u), (along_u, along_v), (along_v, along_v))
    )
    root = np.sqrt((a - c) ** 2 + 4 * b * b)
    large = np.sqrt((a + c + root) / 2)
    # by the areas, where the difference of the two would be all rounding
    small = np.linalg.norm(np.cross(p, q), axis=1) / np.abs(area[:, 0]) / large
    return large, np.maximum(small, 1e-12 * large)


def _cross(p: Array, q: Array) -> Array:
    return np.asarray(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0])
