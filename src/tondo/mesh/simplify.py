"""Fewer faces for the same shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import fast_simplification
import numpy as np
import torch
from scipy.spatial import cKDTree

from tondo.data.mesh import Mesh
from tondo.geometry.mesh import unfolded, vertex_normals
from tondo.mesh.collapse import collapsed, one_chart
from tondo.mesh.manifold import defects, on_border, parted

_CLOSE = 0.99  # share of the budget that counts as used
_PAIR = 2  # faces that a collapse takes at once
# How fast the error that a collapse may make grows from pass to pass: the library's default, and
# more where that ends before the budget is kept.
_AGGRESSIVENESS = (7.0, 8.5, 10.0)
_TRIES = 4  # to come close to the budget; chosen


def simplify(mesh: Mesh, faces: int, note: Callable[[str], None] = lambda text: None) -> Mesh:
    """Reduce to at most `faces` faces by quadric edge collapse (Garland & Heckbert 1997).

    Where more than two faces meet at an edge afterwards the surface is parted there, and faces that
    were folded over are pulled flat. Colours come from the nearest vertex before, normals are made
    anew. The mesh itself is returned where it has no more faces than that.

    More faces than that are left only where every further collapse would fold the surface over or
    lose a part of it.

    Args:
        note: is told where the mesh has not about so many faces, and why.

    Raises:
        ValueError: faces < 4.
    """
    if faces < 4:
        raise ValueError(f"a mesh needs a budget of at least 4 faces, got {faces}")
    few = mesh if len(mesh.faces) <= faces else _fewer(mesh, faces)
    why = shortfall(mesh, few, faces)
    if why is not None:
        note(why)
    return few


def _fewer(mesh: Mesh, faces: int) -> Mesh:
    found = _collapsed(mesh, faces)
    flat = unfolded(found.vertices, found.faces)
    vertices = torch.where(on_border(found)[:, None], found.vertices, flat)
    colors = None
    if mesh.colors is not None:
        nearest = cKDTree(mesh.vertices.numpy()).query(vertices.numpy())[1]
        colors = mesh.colors[torch.from_numpy(nearest)]
    normals = vertex_normals(vertices, found.faces)
    return replace(found, vertices=vertices, colors=colors, normals=normals)


def shortfall(before: Mesh, after: Mesh, faces: int) -> str | None:
    """Why `after`, `simplify(before, faces)`, has not about `faces` faces; None: it has."""
    count = len(after.faces)
    if count > faces:
        return (
            f"the mesh has {count:,} faces and not at most {faces:,}: fewer would fold its surface "
            "over or lose a part of it"
        )
    if len(before.faces) < _CLOSE * faces - _PAIR:
        return f"the mesh has {count:,} faces, which is all there are: {faces:,} were allowed"
    if count < _CLOSE * faces - _PAIR:
        return f"the mesh has {count:,} faces instead of {faces:,}: others enclosed nothing"
    return None


def _collapsed(mesh: Mesh, faces: int) -> Mesh:
    """A manifold of at most `faces` faces where that can be reached, and of about as many."""
    mesh, has_border = _with_shorter_border(mesh, faces)
    points, index = mesh.vertices.numpy(), mesh.faces.numpy().astype(np.int32)
    found: list[Mesh] = []
    target, growth, kept = faces, 0, has_border
    for _ in range(_TRIES):
        new_points, new_index = fast_simplification.simplify(
            points, index, target_count=target, agg=_AGGRESSIVENESS[growth], preserve_border=kept
        )
        count = 0
        if len(new_index):
            found.append(parted(_plain(new_points, new_index, mesh)))
            count = len(found[-1].faces)
        if count > faces:
            target = faces
            kept, growth = False, growth if kept else min(growth + 1, len(_AGGRESSIVENESS) - 1)
        elif 0 < count < _CLOSE * faces - _PAIR:
            target += faces - count  # what parting took away
        else:
            break
    return min(
        (one for one in found if len(one.faces)),
        key=lambda one: (len(one.faces) > faces, abs(len(one.faces) - faces)),
        default=mesh,
    )


def _with_shorter_border(mesh: Mesh, faces: int) -> tuple[Mesh, bool]:
    """The mesh with a border as coarse as `faces` faces will be, and whether it has one. What
    collapses the rest knows borders only as vertices to keep."""
    edges = defects(mesh.faces).open_edges
    if not edges:
        return mesh, False
    fewer = int(edges * (1 - (faces / len(mesh.faces)) ** 0.5))
    goal = max(faces, len(mesh.faces) - fewer)  # a collapse on a border takes one face
    surface = collapsed(one_chart(mesh.vertices, mesh.faces), goal, borders_only=True)
    return _plain(surface.points, surface.faces, mesh), True


def _plain(points: np.ndarray, index: np.ndarray, like: Mesh) -> Mesh:
    """A mesh at the place of `like`, without vertices that no face uses."""
    used, renumbered = np.unique(index, return_inverse=True)
    return Mesh(
        torch.from_numpy(points[used].astype(np.float32)),
        torch.from_numpy(renumbered.reshape(-1, 3).astype(np.int64)),
        world_from_scene=like.world_from_scene,
    )
