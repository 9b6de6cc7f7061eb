"""A mesh as its file has it: its own vertices in its own axes, with its place in a texture."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.data.similarity import nearby

MOST_FACES = 20_000_000  # of a file that is read; bounds memory; chosen


_LEVEL = re.compile(r"(.+)_LOD([0-9]{1,2})")


def is_coarser(name: object, names: Container[object]) -> bool:
    """Whether the part of that name is a coarser level of detail (NAME_LOD1 and so on) of one among
    `names` (NAME_LOD0): both are in the same place, and one of them is shown."""
    found = _LEVEL.fullmatch(name) if isinstance(name, str) else None
    return found is not None and int(found[2]) > 0 and f"{found[1]}_LOD0" in names


@dataclass(frozen=True)
class FileMesh:
    """The triangles of a file, of all its parts together.

    Attributes:
        points: [N, 3] float64, the file's vertices where its nodes put them, in its own axes.
        corners: [F, 3] int64, indices into points.
        uvs: [F, 3, 2] float32 as `TexturedMesh.uvs`; None where a part has none.
        some_uvs: whether any part has some.
        colors: [N, 3] uint8 sRGB, or None.
    """

    points: np.ndarray
    corners: np.ndarray
    uvs: np.ndarray | None
    some_uvs: bool
    colors: np.ndarray | None = None


def as_mesh(found: FileMesh) -> Mesh:
    """The mesh with its vertices as they are, around the origin if it is far from it.

    Raises:
        ValueError: no faces, or vertices that are not finite or too far apart.
    """
    if not len(found.corners):
        raise ValueError("it has no faces")
    exact = torch.from_numpy(found.points)
    if not bool(exact.isfinite().all()):
        raise ValueError("it has vertices that are NaN or infinite")
    place = nearby(exact)
    vertices = place.to_scene(exact).float()
    if not bool(vertices.isfinite().all()):
        raise ValueError("it has vertices that are too far away")
    colors = None if found.colors is None else torch.from_numpy(found.colors)
    return Mesh(vertices, torch.from_numpy(found.corners), colors, world_from_scene=place)


def welded(mesh: Mesh) -> tuple[Mesh, Tensor]:
    """The mesh with one vertex where some have the very same place, in the order of the first of
    each, without vertices that no face has, and without colours and normals; and [V] int64 which of
    them each vertex became, -1 for none.

    Files have a vertex for each place in the texture and each normal, which tears the surface apart
    for whoever looks for its neighbours.
    """
    used = torch.zeros(len(mesh.vertices), dtype=torch.bool)
    used[mesh.faces] = True
    rows = mesh.vertices[used].numpy() + np.float32(0)  # no minus zero
    _, first, inverse = np.unique(rows.view("V12")[:, 0], return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    became = torch.full((len(mesh.vertices),), -1)
    became[used] = torch.from_numpy(rank[inverse])
    vertices = torch.from_numpy(rows[first[order]])
    return Mesh(vertices, became[mesh.faces], None, None, mesh.world_from_scene), became
