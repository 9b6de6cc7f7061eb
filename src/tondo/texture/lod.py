"""Levels of detail: coarser meshes that share one texture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tondo.data.textured import TexturedMesh
from tondo.mesh.collapse import Charted, collapsed
from tondo.mesh.manifold import edges_of, fans_of
from tondo.runs.watch import SILENT, Watch
from tondo.texture.unwrap import padding_of

RATIO = 4  # each level has this part of the faces of the one before: its edges are twice as long
LEAST = 4  # faces of the last level
# Gutters by which a seam may move in the texture. With 1 the coarser meshes of `chair` are less
# like the first (31.9 dB instead of 33.7 at a quarter of 10,000 faces): seams keep faces that the
# inside of the charts then lacks (docs/notes/texture.md).
_GUTTERS = 2
_CLOSE = 0.99  # share of its faces by which a level counts as reached


def levels(model: TexturedMesh, count: int, watch: Watch = SILENT) -> tuple[TexturedMesh, ...]:
    """The model, and `count` coarser ones with the same texture.

    Vertices are some of the first level's, at the same places in space and in the texture. Borders
    and the seams between charts become shorter along themselves only, and move in the texture by at
    most twice the gutter around charts, which continues the surface there; no crack opens.
    Levels that seams keep from being as coarse as they should be have more faces; a note says so.

    Raises:
        ValueError: count < 0.
    """
    if count < 0:
        raise ValueError(f"the number of coarser levels must be at least 0, got {count}")
    found = [model]
    surface = charted(model)
    size = model.texture.color.shape[0]
    tolerance = _GUTTERS * padding_of(size) / size
    for level in range(1, count + 1):
        watch.stage("making coarser levels", level - 1, count)
        target = max(LEAST, len(model.mesh.faces) // RATIO**level)
        surface = collapsed(surface, target, tolerance=tolerance)
        reached = len(surface.faces)
        if reached > target / _CLOSE:
            watch.note(
                f"level {level} has {reached:,} faces instead of {target:,}: the seams of the "
                "texture hold it"
            )
        found.append(_model_of(surface, model))
    if count:
        watch.stage("making coarser levels", count, count)
    return tuple(found)


def charted(model: TexturedMesh) -> Charted:
    """The model with its vertices apart where their places in the texture are."""
    faces = model.mesh.faces.numpy()
    places = model.uvs.double().numpy().reshape(-1, 2)
    pairs = edges_of(faces).pairs
    following = np.arange(faces.size) + 1
    following[2::3] -= 3
    # the start of one half-edge is the end of the other
    a, b = pairs.T
    together = (places[a] == places[following[b]]).all(axis=1)
    together &= (places[following[a]] == places[b]).all(axis=1)
    wedges = fans_of(faces, pairs[together])
    count = int(wedges.max()) + 1
    owner, place = np.zeros(count, np.int64), np.zeros((count, 2))
    owner[wedges.ravel()] = faces.ravel()
    place[wedges.ravel()] = places
    slack = np.zeros(faces.shape)
    return Charted(model.mesh.vertices.double().numpy(), owner, place, wedges, slack)


def _model_of(surface: Charted, model: TexturedMesh) -> TexturedMesh:
    """The surface as a mesh with the texture of `model`, and the vertices of it that are left."""
    assert surface.places is not None
    used, faces = np.unique(surface.owner[surface.faces], return_inverse=True)
    kept = torch.from_numpy(used)

    def of_kept(values: Tensor | None) -> Tensor | None:
        return None if values is None else values[kept]

    mesh = replace(
        model.mesh,
        vertices=model.mesh.vertices[kept],
        faces=torch.from_numpy(faces.reshape(-1, 3)),
        colors=of_kept(model.mesh.colors),
        normals=of_kept(model.mesh.normals),
    )
    uvs = torch.from_numpy(surface.places[surface.faces].astype(np.float32))
    return TexturedMesh(mesh, uvs, model.texture)
