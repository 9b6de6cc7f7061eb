"""Whether a mesh can be printed: closed, a manifold, and how thin its walls are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.geometry.mesh import signed_volume
from tondo.mesh.manifold import Defects, defects

WALL_QUANTILE = 0.01  # share of the surface whose wall may be thinner: noise is; chosen
_POINTS = 40_000  # on the surface that walls are looked for between; chosen
_MEASURED = 4_000  # of these, from which they are measured; chosen
_ROUNDS = 12  # of shrinking a ball; the radius settles after 4 or so
# Cosine between the normals on both sides of a wall, at most: two sides of an edge of 60 degrees
# are no wall, those of a wedge of less than 37 are.
_OPPOSITE = -0.8
# Share of a ball's radius by which its far end may be off the surface: in a rod a ball touches all
# around, and the point that it was found to touch may be anywhere; chosen.
_NEAR = 0.25
_THICK = 0.3  # share of the mesh's size; thicker walls are none: no printer asks; chosen
# Share by which the point that a ball touches may be farther away than another: around the middle
# of a rod all are nearly as near, and to find the nearest of them takes a minute.
_LOOSE = 0.05


@dataclass(frozen=True)
class PrintCheck:
    """What a printer needs to know of a mesh.

    Attributes:
        defects: what keeps it from being a closed manifold.
        parts: connected pieces.
        inside_out: it encloses a negative volume.
        longest: longest side of its bounding box, in the mesh's units.
        wall: thickness of its walls, in the mesh's units: `WALL_QUANTILE` of the surface's area has
            thinner ones; None: it is not closed, or too little of it has another side opposite.
    """

    defects: Defects
    parts: int
    inside_out: bool
    longest: float
    wall: float | None


def print_check(mesh: Mesh) -> PrintCheck:
    """What a printer needs to know of a mesh that has faces."""
    found = defects(mesh.faces)
    closed = not found.open_edges
    low, high = mesh.vertices.amin(dim=0), mesh.vertices.amax(dim=0)
    inside_out = signed_volume(mesh.vertices - low, mesh.faces) < 0
    return PrintCheck(
        found,
        _parts(mesh.faces),
        inside_out,
        float((high - low).max()),
        thinnest_wall(mesh) if closed and not inside_out else None,
    )


def thinnest_wall(mesh: Mesh, quantile: float = WALL_QUANTILE) -> float | None:
    """The thickness that the walls of `quantile` of a closed surface's area do not have.

    At a point of the surface it is the diameter of the largest ball inside that touches the surface
    there and opposite of it: a ball shrinks until no point lies in it (Ma et al. 2012), and touches
    the plane of the nearest. None where less of the area than that has a side opposite, and near.
    """
    thickness = wall_thickness(mesh)
    rank = int(quantile * len(thickness))
    found = float(np.partition(thickness, rank)[rank])
    return found if np.isfinite(found) else None


def wall_thickness(mesh: Mesh) -> np.ndarray:
    """[N] float64 in the mesh's units, at points spread evenly over the surface; infinite where
    no side is opposite, or it is far away."""
    points, normals = _spread(mesh, _POINTS)
    tree = cKDTree(points)
    step = max(1, len(points) // _MEASURED)
    start, inward = points[::step], -normals[::step]
    low, high = points.min(axis=0), points.max(axis=0)
    radius = np.full(len(start), _THICK / 2 * float(np.linalg.norm(high - low)))
    touched = np.full(len(start), -1)
    active = np.arange(len(start))
    for _ in range(_ROUNDS):
        centre = start[active] + radius[active, None] * inward[active]
        _, nearest = tree.query(centre, eps=_LOOSE)
        off = points[nearest] - start[active]
        ahead = (off * inward[active]).sum(axis=1)
        smaller = (off**2).sum(axis=1) / (2 * np.maximum(ahead, 1e-30))
        shrinks = (ahead > 0) & (smaller < radius[active] * (1 - 1e-6))
        active, nearest = active[shrinks], nearest[shrinks]
        radius[active] = smaller[shrinks]
        touched[active] = nearest
        if not len(active):
            break
    across = start + 2 * radius[:, None] * inward
    away, opposite = tree.query(across)
    opposite = np.where(away < _NEAR * radius, opposite, -1)
    return np.minimum(
        *(_between_planes(points, normals, start, inward, one) for one in (touched, opposite))
    )


def _between_planes(
    points: np.ndarray,
    normals: np.ndarray,
    start: np.ndarray,
    inward: np.ndarray,
    touched: np.ndarray,
) -> np.ndarray:
    """Diameters of the balls that touch the surface at `start` and the plane at `touched`, where
    that is on the opposite side."""
    there = normals[touched]
    cosine = -(inward * there).sum(axis=1)
    distance = ((points[touched] - start) * there).sum(axis=1)
    opposite = (touched >= 0) & (cosine < _OPPOSITE) & (distance > 0)
    # the ball's centre is its radius away from both planes
    diameter = 2 * distance / np.maximum(1 - cosine, 1e-9)
    return np.where(opposite, diameter, np.inf)


def _spread(mesh: Mesh, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points [N, 3] spread over the surface, each face having its share, and its normal there."""
    a, b, c = mesh.vertices.double()[mesh.faces].unbind(1)
    cross = torch.linalg.cross(b - a, c - a)
    area = cross.norm(dim=1).cumsum(0)
    generator = torch.Generator().manual_seed(0)
    at = (torch.arange(count) + torch.rand(count, generator=generator)) / count * area[-1]
    face = torch.searchsorted(area, at.double()).clamp_max(len(area) - 1)
    u, v = torch.rand(2, count, generator=generator, dtype=torch.float64)
    u, v = torch.where(u + v > 1, 1 - u, u), torch.where(u + v > 1, 1 - v, v)
    points = a[face] + u[:, None] * (b - a)[face] + v[:, None] * (c - a)[face]
    return points.numpy(), F.normalize(cross[face], dim=1, eps=1e-30).numpy()


def _parts(faces: Tensor) -> int:
    """Connected pieces of faces [F, 3]."""
    used, index = np.unique(faces.numpy(), return_inverse=True)
    a, b, c = index.reshape(-1, 3).T
    ends = (np.concatenate([a, b]), np.concatenate([b, c]))
    graph = coo_matrix((np.ones(2 * len(a), bool), ends), shape=(len(used), len(used)))
    return int(connected_components(graph, directed=False)[0])
