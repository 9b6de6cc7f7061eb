"""Where points of a coarse mesh lie on the dense one that it was made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.spatial import cKDTree
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.kernels.threads import torch_threads
from tondo.texture.tangents import normals_of
from tondo.texture.texels import interpolated

_PART = 1 << 15  # chosen
_MORE = 24  # vertices to look at where the nearest one's surface looks away; chosen


@dataclass(frozen=True)
class OnDense:
    """Places on a dense mesh.

    Attributes:
        points: [T, 3] float32.
        normals: [T, 3] float32 unit vectors, means of those at the corners of its faces.
    """

    points: Tensor
    normals: Tensor


@dataclass(frozen=True)
class Search:
    """A dense mesh as it is searched.

    Attributes:
        mesh: with normals.
        tree: of the vertices `used` [U] that faces have.
        around: [3F] int64 faces in the order of their vertices; those of vertex v are
            around[start[v] : start[v + 1]].
        planes: [18, F] float32 of each face a corner, its two sides from there, the two vectors
            whose products with a place are its coordinates along these, and its unit normal.
    """

    mesh: Mesh
    tree: cKDTree
    used: Tensor
    around: Tensor
    start: Tensor
    planes: Tensor


@dataclass(frozen=True)
class _Best:
    """The nearest faces so far of C points; its tensors are written to.

    Attributes:
        places: [6, C] float32 points and normals.
        distance: [C] float32, squared, infinite where there is no face.
        face: [C] int64, -1 there.
        weights: [2, C] float32 barycentric coordinates in the face, of its last two corners.
    """

    places: Tensor
    distance: Tensor
    face: Tensor
    weights: Tensor


def on_dense(search: Search, points: Tensor, normals: Tensor) -> OnDense:
    """About the nearest place on a dense mesh that looks the same way, for points [T, 3] with unit
    normals [T, 3].

    It is sought on the faces around the nearest vertex, and where all of these look away (on the
    other side of something thin) around the next nearest ones. A point that finds none keeps what
    it has.
    """
    if not search.tree.n:
        return OnDense(points, normals)
    at, unit = torch.empty_like(points), torch.empty_like(normals)
    with torch_threads(1):  # the tensors are too small for more
        for part in parts(len(points)):
            at[part], unit[part] = _nearest(search, points[part], normals[part])
    return OnDense(at, unit)


def parts(count: int) -> Iterator[slice]:
    """`count` things, some at a time, so that what is reckoned stays in the cache."""
    for first in range(0, count, _PART):
        yield slice(first, first + _PART)


def search_of(dense: Mesh) -> Search:
    """What `on_dense` looks in."""
    mesh = Mesh(dense.vertices, dense.faces, normals=normals_of(dense))
    corners = dense.faces.flatten()
    count = torch.bincount(corners, minlength=len(dense.vertices))
    start = torch.cat([torch.zeros(1, dtype=torch.int64), count.cumsum(0)])
    used = count.nonzero()[:, 0]
    a, b, c = dense.vertices[dense.faces].unbind(1)
    p, q = b - a, c - a
    pp, pq, qq = ((x * y).sum(dim=1, keepdim=True) for x, y in ((p, p), (p, q), (q, q)))
    whole = pp * qq - pq * pq
    along_p, along_q = (qq * p - pq * q) / whole, (pp * q - pq * p) / whole
    normals = F.normalize(torch.linalg.cross(p, q), dim=1, eps=1e-30)
    planes = torch.cat([a, p, q, along_p, along_q, normals], dim=1).T.contiguous()
    tree = cKDTree(dense.vertices[used].numpy())
    return Search(mesh, tree, used, corners.argsort(stable=True) // 3, start, planes)


def _nearest(search: Search, points: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
    """Points [C, 3] and normals [C, 3] on the dense mesh."""
    count = len(points)
    distance, face = torch.full((count,), torch.inf), torch.full((count,), -1)
    places = torch.cat([points, normals], dim=1).T.contiguous()
    best = _Best(places, distance, face, torch.zeros(2, count))
    _, nearest = search.tree.query(points.numpy(), workers=-1)
    _look_around(search, best, torch.arange(count), search.used[torch.from_numpy(nearest)])
    rest = (face < 0).nonzero()[:, 0]
    if len(rest):
        k = np.arange(1, min(_MORE, search.tree.n) + 1)
        _, more = search.tree.query(points[rest].numpy(), k=k, workers=-1)
        for column in torch.from_numpy(more).T:
            _look_around(search, best, rest, search.used[column])
    there, (of_b, of_c) = (face >= 0)[:, None], best.weights
    corners = search.mesh.faces[face.clamp_min(0)]
    weights = torch.stack([1 - of_b - of_c, of_b, of_c], dim=1)
    at = interpolated(search.mesh.vertices, corners, weights)
    unit = F.normalize(interpolated(normals_of(search.mesh), corners, weights), dim=1, eps=1e-20)
    return torch.where(there, at, points), torch.where(there, unit, normals)


def _look_around(search: Search, best: _Best, rows: Tensor, vertex: Tensor) -> None:
    """At the faces around one vertex [M] each, for the points `rows` [M]."""
    first, count = search.start[vertex], search.start[vertex + 1] - search.start[vertex]
    for k in range(int(count.max())):
        left = count > k
        if not bool(left.all()):
            rows, first, count = rows[left], first[left], count[left]
        _look_at(search, best, rows, search.around[first + k])


def _look_at(search: Search, best: _Best, rows: Tensor, face: Tensor) -> None:
    """At one face [M] each, for the points `rows` [M].

    The place is the point's projection; where that is outside of the face, drawn to its border. A
    face without area gives NaN, which is not nearer than anything.
    """
    plane = [column.index_select(0, face) for column in search.planes]
    place = [column.index_select(0, rows) for column in best.places]
    from_a = [place[k] - plane[k] for k in range(3)]
    of_b, of_c = _dot(from_a, plane[9:12]), _dot(from_a, plane[12:15])
    of_a = (1 - of_b - of_c).clamp_min_(0)
    of_b, of_c = of_b.clamp_min_(0), of_c.clamp_min_(0)
    whole = of_a + of_b + of_c
    of_b, of_c = of_b / whole, of_c / whole
    off = [from_a[k] - of_b * plane[3 + k] - of_c * plane[6 + k] for k in range(3)]
    distance = _dot(off, off)
    closer = distance < best.distance.index_select(0, rows)
    closer &= _dot(place[3:], plane[15:]) > 0
    rows = rows[closer]
    best.distance[rows] = distance[closer]
    best.face[rows] = face[closer]
    best.weights[0, rows] = of_b[closer]
    best.weights[1, rows] = of_c[closer]


def _dot(a: list[Tensor], b: list[Tensor]) -> Tensor:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
