"""Surfaces parted where they only touch, so that each edge has at most two faces."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from tondo.data.mesh import Mesh

_MOST_PAIRED = 16  # faces at an edge that are paired: of a file there may be any number; chosen


@dataclass(frozen=True)
class Defects:
    """What keeps a mesh from being a closed manifold.

    Attributes:
        crowded_edges: edges of more than two faces, or of two that run through them in the same
            direction.
        pinched_vertices: vertices where surfaces touch that share no edge there.
        open_edges: edges of one face.
    """

    crowded_edges: int
    pinched_vertices: int
    open_edges: int

    @property
    def is_manifold(self) -> bool:
        """With a border or without."""
        return not self.crowded_edges and not self.pinched_vertices

    @property
    def is_closed_manifold(self) -> bool:
        return self.is_manifold and not self.open_edges


def defects(faces: Tensor) -> Defects:
    """Of faces [F, 3] int64."""
    index = faces.numpy()
    edges = edges_of(index)
    lonely = int((edges.sizes == 1).sum())
    crowded = len(edges.sizes) - lonely - len(edges.pairs)
    fans = fans_of(index, edges.pairs)
    pinched = len(np.unique(fans)) - len(np.unique(index))
    return Defects(crowded, pinched if not crowded else 0, lonely)


def on_border(mesh: Mesh) -> Tensor:
    """[V] bool, of the vertices at edges of one face."""
    index = mesh.faces.numpy()
    edges = edges_of(index)
    start, end = _ends(index)
    lonely = edges.order[edges.first[edges.sizes == 1]]
    found = np.zeros(len(mesh.vertices), bool)
    found[start[lonely]] = found[end[lonely]] = True
    return torch.from_numpy(found)


def parted(mesh: Mesh) -> Mesh:
    """The mesh with vertices doubled where more than two faces meet at an edge, and where surfaces
    touch in a vertex only; a closed mesh stays closed where such faces can be paired. Pairs of
    faces with the same corners that enclose nothing are left out.

    The mesh itself where there is nothing to part.
    """
    faces = _without_flat_pairs(mesh.faces.numpy())
    corners = parted_corners(faces)
    count = int(corners.max()) + 1 if len(corners) else 0
    if count == len(mesh.vertices) and len(faces) == len(mesh.faces):
        return mesh
    owner = np.zeros(count, np.int64)
    owner[corners.ravel()] = faces.ravel()
    order = np.argsort(owner, kind="stable")  # vertices keep their order
    place = np.empty(count, np.int64)
    place[order] = np.arange(count)
    of = torch.from_numpy(owner[order])
    return replace(
        mesh,
        vertices=mesh.vertices[of],
        faces=torch.from_numpy(place[corners]),
        colors=None if mesh.colors is None else mesh.colors[of],
        normals=None if mesh.normals is None else mesh.normals[of],
    )


def parted_corners(faces: np.ndarray) -> np.ndarray:
    """[F, 3] int64 numbers of the vertices that faces [F, 3] would have if each edge had at most
    two faces and each vertex one fan of them.

    Corners at a vertex stay together where their faces share an edge and run through it in opposite
    directions. The faces at an edge of more than two are paired so that what is joined around one
    of its ends already closes; where no pairing helps they stay apart.
    """
    edges = edges_of(faces)
    fans = fans_of(faces, edges.pairs)
    more = _paired(faces, edges, fans)
    if not len(more):
        return fans
    joined = fans_of(faces, np.concatenate([edges.pairs, more]))
    good = edges_of(joined)
    known = {tuple(sorted(pair)) for pair in good.pairs.tolist()}
    kept = [pair for pair in more.tolist() if tuple(sorted(pair)) in known]
    if len(kept) == len(more):
        return joined
    return fans_of(faces, np.concatenate([edges.pairs, np.array(kept, np.int64).reshape(-1, 2)]))


@dataclass(frozen=True)
class Edges:
    """Half-edges (3 f + k is that from corner k of face f to the next) by the edge that they are
    of: `order` [3 F] puts those of one edge side by side, the first of each is at `first` [E] of
    it, and `sizes` [E] are their numbers. `pairs` [P, 2] are the two of the edges with just two,
    in opposite directions."""

    order: np.ndarray
    first: np.ndarray
    sizes: np.ndarray
    pairs: np.ndarray


def edges_of(faces: np.ndarray) -> Edges:
    """The edges of faces [F, 3]."""
    start, end = _ends(faces)
    vertices = int(faces.max()) + 1 if len(faces) else 1
    key = np.minimum(start, end) * vertices + np.maximum(start, end)
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    sizes = np.diff(np.append(first, len(order)))
    two = first[sizes == 2]
    a, b = order[two], order[two + 1]
    opposite = (start[a] == end[b]) & (start[a] != end[a])
    return Edges(order, first, sizes, np.stack([a[opposite], b[opposite]], axis=1))


def _ends(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices [3 F] that half-edges start and end at."""
    return faces.ravel(), np.roll(faces, -1, axis=1).ravel()


def fans_of(faces: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """[F, 3] int64, one number for the corners that hang together around a vertex, where faces are
    joined across `pairs` [P, 2] of half-edges in opposite directions."""
    corner = np.arange(faces.size).reshape(-1, 3)
    following = np.roll(corner, -1, axis=1).ravel()
    a, b = pairs.T
    # the start of one half-edge is the end of the other
    joined = (np.concatenate([a, following[a]]), np.concatenate([following[b], b]))
    graph = coo_matrix((np.ones(len(joined[0]), bool), joined), shape=(faces.size, faces.size))
    return connected_components(graph, directed=False)[1].reshape(-1, 3).astype(np.int64)


def _paired(faces: np.ndarray, edges: Edges, fans: np.ndarray) -> np.ndarray:
    """[P, 2] half-edges of crowded edges that may be joined."""
    start, end = _ends(faces)
    of_start, of_end = fans.ravel(), np.roll(fans, -1, axis=1).ravel()
    found = []
    for at in np.flatnonzero((edges.sizes > 2) & (edges.sizes <= _MOST_PAIRED)):
        members = edges.order[edges.first[at] : edges.first[at] + edges.sizes[at]]
        ahead = [int(one) for one in members if start[one] < end[one]]
        back = [int(one) for one in members if start[one] > end[one]]
        for closes in (True, False):
            for one in list(ahead):
                for other in back:
                    same = of_start[one] == of_end[other] or of_end[one] == of_start[other]
                    if same or not closes:
                        found.append((one, other))
                        ahead.remove(one)
                        back.remove(other)
                        break
    return np.array(found, np.int64).reshape(-1, 2)


def _without_flat_pairs(faces: np.ndarray) -> np.ndarray:
    """Faces without those with a corner twice, and without pairs that have the same corners and
    look in opposite directions."""
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (c != a)]
    if not len(faces):
        return faces
    turned = np.take_along_axis(faces, (faces.argmin(1)[:, None] + [1, 2]) % 3, axis=1)
    ahead = (turned[:, 0] < turned[:, 1]).astype(np.int64)
    _, group, counts = np.unique(
        np.sort(faces, axis=1), axis=0, return_inverse=True, return_counts=True
    )
    if counts.max() == 1:
        return faces
    side = 2 * group.ravel() + ahead
    of_side = np.bincount(side, minlength=2 * len(counts))
    paired = np.repeat(of_side.reshape(-1, 2).min(axis=1), 2)  # of each side, how many go
    order = np.argsort(side, kind="stable")
    rank = np.arange(len(order)) - (np.cumsum(of_side) - of_side)[side[order]]
    keep = np.ones(len(faces), bool)
    keep[order] = rank >= paired[side[order]]
    return faces[keep]
