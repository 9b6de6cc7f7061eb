"""Removal of stray parts, and closing of holes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from tondo.data.mesh import Mesh


def drop_small_parts(mesh: Mesh, min_share: float = 0.02) -> Mesh:
    """Keep the connected parts whose area is at least `min_share` of the largest part's.

    Of these, parts that enclose a negative volume (cavities inside of an object, which no camera
    can have seen) are dropped too, if the largest part encloses a positive one.
    """
    if not len(mesh.faces):
        return mesh
    part = _parts(mesh)
    corners = mesh.vertices.double()[mesh.faces]
    crosses = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sixths = (corners[:, 0] * crosses).sum(dim=1)  # signed volume over the origin, times 6
    areas, volumes = (
        torch.zeros(int(part.max()) + 1, dtype=torch.float64).index_add(0, part, values)
        for values in (crosses.norm(dim=1), sixths)
    )
    largest = int(areas.argmax())
    keep = areas >= min_share * areas[largest]
    if volumes[largest] > 0 and is_closed(mesh):
        keep &= volumes > 0
    return select_faces(mesh, keep[part])


def drop_unseen_parts(mesh: Mesh, seen: Tensor) -> Mesh:
    """Keep the connected parts with a vertex that some camera saw; `seen` is [V] bool.

    What is enclosed by other parts, where no camera looked, is not known to be there. The mesh is
    returned as it is if nothing was seen at all.
    """
    if not len(mesh.faces) or not bool(seen.any()):
        return mesh
    part = _parts(mesh)
    known = torch.zeros(int(part.max()) + 1, dtype=torch.bool)
    known[part[seen[mesh.faces].any(dim=1)]] = True
    return mesh if bool(known.all()) else select_faces(mesh, known[part])


def select_faces(mesh: Mesh, keep: Tensor) -> Mesh:
    """The mesh with the faces where `keep` [F] bool is set, and the vertices that they use."""
    faces = mesh.faces[keep]
    used = torch.zeros(len(mesh.vertices), dtype=torch.bool)
    used[faces.flatten()] = True
    renumbered = torch.cumsum(used, dim=0) - 1
    return replace(
        mesh,
        vertices=mesh.vertices[used],
        faces=renumbered[faces],
        colors=None if mesh.colors is None else mesh.colors[used],
        normals=None if mesh.normals is None else mesh.normals[used],
    )


def boundary_loops(mesh: Mesh) -> list[list[int]]:
    """The holes' rims: each a closed walk of vertices in the direction of the faces' own edges.

    No walk passes a vertex twice: rims that touch at a vertex are parted there. Walks that lead
    nowhere (at edges of more than two faces) are left out.
    """
    following: dict[int, list[int]] = {}
    for a, b in _open_edges(mesh).tolist():
        following.setdefault(a, []).append(b)
    loops = []
    for start in sorted(following):
        while following[start]:
            walk, place = [start], {start: 0}
            while following.get(walk[-1]):
                ahead = following[walk[-1]].pop()
                if ahead in place:
                    loops.append(walk[place[ahead] :])
                    for vertex in walk[place[ahead] + 1 :]:
                        del place[vertex]
                    del walk[place[ahead] + 1 :]
                else:
                    place[ahead] = len(walk)
                    walk.append(ahead)
    return loops


def fill_holes(mesh: Mesh, max_edges: int = 100) -> Mesh:
    """Close every hole whose rim has at most `max_edges` edges by a fan around its middle.

    The new vertex in the middle has the rim's mean position, colour and normal.
    """
    vertices, faces = [mesh.vertices], [mesh.faces]
    colors, normals = [mesh.colors], [mesh.normals]
    count = len(mesh.vertices)
    for loop in boundary_loops(mesh):
        if not 3 <= len(loop) <= max_edges:
            continue
        rim = torch.tensor(loop)
        if len(loop) == 3:
            faces.append(rim.flip(0)[None])
            continue
        ahead = rim.roll(-1)
        faces.append(torch.stack([ahead, rim, torch.full_like(rim, count)], dim=1))
        vertices.append(mesh.vertices[rim].mean(dim=0, keepdim=True))
        if mesh.colors is not None:
            mean = mesh.colors[rim].float().mean(dim=0, keepdim=True)
            colors.append(mean.round().to(torch.uint8))
        if mesh.normals is not None:
            mean = mesh.normals[rim].mean(dim=0, keepdim=True)
            normals.append(torch.nn.functional.normalize(mean, dim=1))
        count += 1
    return replace(
        mesh,
        vertices=torch.cat(vertices),
        faces=torch.cat(faces),
        colors=None if mesh.colors is None else torch.cat([c for c in colors if c is not None]),
        normals=None if mesh.normals is None else torch.cat([n for n in normals if n is not None]),
    )


def is_closed(mesh: Mesh) -> bool:
    """Whether every edge has a partner in the other direction (watertight)."""
    return len(_open_edges(mesh)) == 0


def _parts(mesh: Mesh) -> Tensor:
    """[F] int64, the number of the connected part that each face belongs to."""
    a, b, c = mesh.faces.numpy().T
    n = len(mesh.vertices)
    rows, columns = np.concatenate([a, b]), np.concatenate([b, c])
    graph = coo_matrix((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(n, n))
    labels = connected_components(graph, directed=False)[1]
    return torch.from_numpy(labels[a].astype(np.int64))


def _open_edges(mesh: Mesh) -> Tensor:
    """[E, 2] edges, in their face's direction, that have no partner in the other direction."""
    edges = torch.cat([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    n = max(1, len(mesh.vertices))
    keys, partners = edges[:, 0] * n + edges[:, 1], edges[:, 1] * n + edges[:, 0]
    return edges[~torch.isin(keys, partners)]
