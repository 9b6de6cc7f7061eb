"""Tangent frames as MikkTSpace makes them (Mikkelsen 2008, "Simulation of Wrinkled Surfaces
Revisited"), in which normal maps are written and read."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.geometry.mesh import vertex_normals

_ZERO = float(np.finfo(np.float32).tiny)  # what MikkTSpace takes for nothing


def normals_of(mesh: Mesh) -> Tensor:
    """[V, 3] float32 unit normals that the mesh is shaded with."""
    if mesh.normals is not None:
        return mesh.normals
    return vertex_normals(mesh.vertices, mesh.faces)


def corner_tangents(mesh: Mesh, uvs: Tensor) -> Tensor:
    """[F, 3, 4] float32, the tangents of the corners of each face as glTF has them.

    x, y, z is a unit vector, across the normal, along which u rises. w is +1 or -1: the bitangent
    w * cross(normal, tangent) looks to where the picture's upward side is, against v.

    Corners have one tangent where position, normal and uv are the same, their faces hang together
    by edges, and none of them is mirrored against another. It is the mean over their faces,
    weighted by the angle at the corner. Faces without area in the picture take part in what is
    around them, and faces without area in space get what another corner of the same kind has.

    Args:
        mesh: its own normals, or means of its faces'.
        uvs: [F, 3, 2] float32, as `TexturedMesh.uvs`.
    """
    faces = mesh.faces.numpy()
    normals = normals_of(mesh).numpy()[faces]
    points = mesh.vertices.numpy()[faces]
    same = _same_corners(points, normals, uvs.numpy())
    points, normals = points.astype(np.float64), normals.astype(np.float64)
    along, area = _derivatives(points, uvs.numpy().astype(np.float64))
    flat = (np.abs(area) <= _ZERO) | (np.linalg.norm(along, axis=1) <= _ZERO)
    real = (same != np.roll(same, 1, axis=1)).all(axis=1)
    first, second = _joined_edges(same, real)
    mirrored = _mirrored(area, flat, first // 3, second // 3)
    group = _groups(first, second, mirrored)
    sums = _sums(group, normals, points, along, real & ~flat)
    tangents = sums[group]
    has = np.linalg.norm(tangents, axis=2) > _ZERO
    tangents = np.where(has[..., None], tangents, _across(normals))
    sign = np.broadcast_to(np.where(mirrored, -1.0, 1.0)[:, None], same.shape).copy()
    _lent(same, has, real, tangents, sign)
    tangents /= np.linalg.norm(tangents, axis=2, keepdims=True)
    return torch.from_numpy(np.concatenate([tangents, sign[..., None]], axis=2)).float()


def _same_corners(points: np.ndarray, normals: np.ndarray, uvs: np.ndarray) -> np.ndarray:
    """[F, 3] numbers; corners have the same one where position, normal and uv are the same."""
    rows = np.concatenate([points, normals, uvs], axis=2).reshape(-1, 8).astype(np.float32)
    rows += 0.0  # -0 is 0
    whole = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * 8))).ravel()
    return np.unique(whole, return_inverse=True)[1].reshape(-1, 3)


def _derivatives(points: np.ndarray, uvs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[F, 3] unit vectors along which u rises on each face, or 0, and [F] twice its area in the
    picture, positive where it is seen from outside (v turned upwards)."""
    d1, d2 = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    (u1, v1), (u2, v2) = (uvs[:, 1] - uvs[:, 0]).T, (uvs[:, 2] - uvs[:, 0]).T
    v1, v2 = -v1, -v2
    area = u1 * v2 - v1 * u2
    along = np.sign(area)[:, None] * (v2[:, None] * d1 - v1[:, None] * d2)
    return _unit(along), area


def _joined_edges(same: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs [J] of corners (face * 3 + k) that begin one and the same edge, in opposite directions.

    Where more than two faces meet at an edge, they are paired in their order.
    """
    corner = np.flatnonzero(np.repeat(real, 3))
    start = same.ravel()[corner].astype(np.int64)
    end = np.roll(same, -1, axis=1).ravel()[corner].astype(np.int64)
    directed = start * (int(same.max(initial=0)) + 1) + end
    order = np.argsort(directed, kind="stable")
    ranked = directed[order]
    place = np.arange(len(order))
    begins = np.flatnonzero(np.diff(ranked, prepend=-1))
    rank = np.empty_like(place)
    rank[order] = place - np.repeat(begins, np.diff(np.append(begins, len(order))))
    ahead = start < end
    low, high = np.minimum(start, end), np.maximum(start, end)
    key = np.stack([low, high, rank], axis=1)
    edges = np.unique(key, axis=0, return_inverse=True)[1].ravel()
    partner = np.full(int(edges.max(initial=-1)) + 1, -1)
    partner[edges[~ahead]] = corner[~ahead]
    found = partner[edges[ahead]]
    return corner[ahead][found >= 0], found[found >= 0]


def _mirrored(
    area: np.ndarray, flat: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """[F] bool; faces without area in the picture are as one beside them, or else mirrored."""
    mirrored, open_ = area <= 0, flat.copy()
    ends = (np.concatenate([first, second]), np.concatenate([second, first]))
    while open_.any():
        known = open_[ends[0]] & ~open_[ends[1]]
        if not known.any():
            break
        mirrored[ends[0][known]] = mirrored[ends[1][known]]
        open_[ends[0][known]] = False
    return mirrored


def _groups(first: np.ndarray, second: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """[F, 3] numbers of the groups of corners that share a tangent."""
    count = 3 * len(mirrored)
    alike = mirrored[first // 3] == mirrored[second // 3]
    first, second = first[alike], second[alike]
    # an edge's start on one face is its end on the other
    start = np.concatenate([first, _next(first)])
    end = np.concatenate([_next(second), second])
    graph = coo_matrix((np.ones(len(start), bool), (start, end)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1]).reshape(-1, 3)


def _next(corner: np.ndarray) -> np.ndarray:
    return np.where(corner % 3 == 2, corner - 2, corner + 1)


def _sums(
    group: np.ndarray,
    normals: np.ndarray,
    points: np.ndarray,
    along: np.ndarray,
    counted: np.ndarray,
) -> np.ndarray:
    """[G, 3] sums over each group's corners of directions [F, 3] in the normal's plane, weighted by
    the angle in that plane."""
    total = np.zeros((int(group.max(initial=-1)) + 1, 3))
    for k in range(3):
        normal = normals[:, k]
        here = _unit(_flattened(along, normal))
        to_last = _unit(_flattened(points[:, k - 1] - points[:, k], normal))
        to_next = _unit(_flattened(points[:, k - 2] - points[:, k], normal))
        angle = np.arccos(np.clip((to_last * to_next).sum(axis=1), -1, 1))
        values = here * (angle * counted)[:, None]
        for axis in range(3):
            total[:, axis] += np.bincount(group[:, k], values[:, axis], len(total))
    return total


def _lent(
    same: np.ndarray, has: np.ndarray, real: np.ndarray, tangents: np.ndarray, sign: np.ndarray
) -> None:
    """Faces without area in space take the tangent of another corner at the same place."""
    good = (has & real[:, None]).ravel()
    lender = np.full(int(same.max(initial=-1)) + 1, -1)
    lender[same.ravel()[good][::-1]] = np.flatnonzero(good)[::-1]
    take = np.flatnonzero(np.repeat(~real, 3))
    found = lender[same.ravel()[take]]
    take, found = take[found >= 0], found[found >= 0]
    tangents.reshape(-1, 3)[take] = tangents.reshape(-1, 3)[found]
    sign.reshape(-1)[take] = sign.reshape(-1)[found]


def _flattened(vectors: np.ndarray, normals: np.ndarray) -> np.ndarray:
    return np.asarray(vectors - (vectors * normals).sum(axis=1, keepdims=True) * normals)


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > _ZERO, vectors / np.maximum(length, _ZERO), 0.0)


def _across(normals: np.ndarray) -> np.ndarray:
    """[F, 3, 3] some direction across each normal."""
    axis = np.eye(3)[np.abs(normals).argmin(axis=-1)]
    return np.asarray(axis - (axis * normals).sum(axis=-1, keepdims=True) * normals)
