"""Triangle meshes as tensors: closed grids, normals, volume, folds."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_matrix, diags
from torch import Tensor

UNFOLDING_ROUNDS = 40  # at most; chosen, not measured
FOLD_COSINE = 0.0  # a face is part of a fold if it looks away from its vertices' mean normal
LEAST_SHAPE = 1e-4  # twice a face's area by its longest side squared; below it is a needle; chosen


def closed_faces(rows: int, columns: int) -> Tensor:
    """[F, 3] int64, counter-clockwise from outside: the cells of a latitude-longitude grid, and
    fans from its two poles, which are the last two vertices."""
    index = torch.arange(rows * columns).view(rows, columns)
    east = torch.roll(index, -1, dims=1)
    a, b, c, d = index[:-1], index[1:], east[1:], east[:-1]
    cells = torch.stack([torch.stack([a, b, c], -1), torch.stack([a, c, d], -1)]).view(-1, 3)
    north, south = torch.tensor(rows * columns), torch.tensor(rows * columns + 1)
    top = torch.stack([north.expand(columns), index[0], east[0]], dim=1)
    bottom = torch.stack([south.expand(columns), east[-1], index[-1]], dim=1)
    return torch.cat([cells, top, bottom])


def closed_uvs(rows: int, columns: int, margin: float) -> Tensor:
    """[F, 3, 2] float32, where the corners of `closed_faces` are in a square map of latitude and
    longitude, the north above, `margin` away from its sides; no triangle is mirrored.

    The seam is the meridian before the first column. A pole is a line: each triangle of its fan has
    the middle of its own column there.
    """
    across, down = torch.arange(columns + 1) / columns, (torch.arange(rows) + 0.5) / rows
    west, east = across[:-1], across[1:]
    corners = [
        torch.stack(torch.broadcast_tensors(u, v[:, None]), dim=-1)
        for u, v in ((west, down[:-1]), (west, down[1:]), (east, down[1:]), (east, down[:-1]))
    ]
    a, b, c, d = corners
    cells = torch.stack([torch.stack([a, b, c], -2), torch.stack([a, c, d], -2)]).view(-1, 3, 2)
    middle, first, last = 0.5 * (west + east), down[0].expand(columns), down[-1].expand(columns)
    north, south = torch.zeros(columns), torch.ones(columns)
    top = [(middle, north), (west, first), (east, first)]
    bottom = [(middle, south), (east, last), (west, last)]
    fans = [torch.stack([torch.stack(uv, -1) for uv in fan], dim=1) for fan in (top, bottom)]
    return margin + (1 - 2 * margin) * torch.cat([cells, *fans])


def unfolded(vertices: Tensor, faces: Tensor, rounds: int = UNFOLDING_ROUNDS) -> Tensor:
    """Vertices [V, 3] with folds and needles pulled flat; where there are none, nothing moves.

    Again and again, the vertices of every face that looks against the surface around it, or that
    has nearly no area, move to the mean of their neighbours (Taubin 1995), until none is left or
    the rounds are over.
    """
    points, index = vertices.double().numpy(), faces.numpy()
    count = len(points)
    corners = index.T.ravel()
    incidence = csr_matrix((np.ones(len(corners)), (corners, np.tile(np.arange(len(index)), 3))))
    ahead = np.roll(index, -1, axis=1).T.ravel()
    neighbours = csr_matrix((np.ones(len(corners)), (corners, ahead)), shape=(count, count))
    neighbours = diags(1 / np.asarray(neighbours.sum(axis=1)).ravel()) @ neighbours
    for _ in range(rounds):
        bad = _folded(points, index, incidence)
        if not bad.any():
            break
        chosen = np.unique(index[bad])
        points = points.copy()
        points[chosen] = neighbours[chosen] @ points
    return torch.from_numpy(points).float()


def _folded(points: np.ndarray, index: np.ndarray, incidence: csr_matrix) -> np.ndarray:
    a, b, c = (points[index[:, k]] for k in range(3))
    sides = np.stack([b - a, c - b, a - c])
    normal = np.cross(sides[0], -sides[2])
    lengths = np.linalg.norm(normal, axis=1)
    needles = lengths <= LEAST_SHAPE * (sides**2).sum(axis=2).max(axis=0)
    at_vertices = incidence @ normal
    at_vertices /= np.maximum(np.linalg.norm(at_vertices, axis=1, keepdims=True), 1e-30)
    around = at_vertices[index].sum(axis=1)
    return needles | ((normal * around).sum(axis=1) < FOLD_COSINE * lengths)


def signed_volume(vertices: Tensor, faces: Tensor) -> float:
    """What a closed mesh encloses; negative if its faces look inwards."""
    a, b, c = vertices.double()[faces].unbind(1)
    return float((a * torch.linalg.cross(b, c)).sum() / 6)


def vertex_normals(vertices: Tensor, faces: Tensor, groups: Tensor | None = None) -> Tensor:
    """[V, 3] unit normals, faces weighted by their areas.

    Args:
        vertices: [V, 3]. faces: [F, 3] int64.
        groups: [V] int64, vertices with the same number share their normal; None: each its own.
    """
    a, b, c = vertices[faces].unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    owners = faces if groups is None else groups[faces]
    total = torch.zeros_like(vertices)
    for corner in range(3):
        total.index_add_(0, owners[:, corner], normal)
    unit = F.normalize(total, dim=1, eps=1e-20)
    return unit if groups is None else unit[groups]
