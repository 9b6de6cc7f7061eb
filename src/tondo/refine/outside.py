"""Surface that the photographs' masks leave out."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tondo.data.mesh import Mesh
from tondo.mesh.clean import select_faces
from tondo.refine.views import projected, spread
from tondo.runs.watch import SILENT, Watch
from tondo.texture.bake import Picture

LEAST = 3  # photographs in which a vertex must lie outside of the masks; chosen
# Share of the photographs in which it lies. Before or behind the object, a fringe is within the
# mask, often in half of them; that something hides the object in a third is not expected. Chosen.
SHARE = 1 / 3


def within_masks(mesh: Mesh, pictures: Sequence[Picture], watch: Watch = SILENT) -> Mesh:
    """The mesh without the faces whose corners are all outside of the masks: in a third of the
    pictures that they lie in, hidden or not, and in at least 3 (a visual hull, Laurentini 1994, but
    by many, since masks may leave out what stands before the object, too).

    The same mesh where there is nothing to drop, or nothing else. A pixel beside a mask is within.

    Args:
        mesh: in the frame of the pictures' cameras.
    """
    if not any(bool((one.coverage < 1).any()) for one in pictures) or not len(mesh.faces):
        return mesh
    inside, outside = (torch.zeros(len(mesh.vertices), dtype=torch.int32) for _ in range(2))
    for picture in pictures:
        vertex, pixels, _ = projected(mesh, picture.camera)
        column, row = pixels.long().unbind(1)
        covered = spread(picture.coverage, 1)[row, column] > 0.5
        inside[vertex[covered]] += 1
        outside[vertex[~covered]] += 1
    beyond = (outside >= LEAST) & (outside >= SHARE * (inside + outside))
    drop = beyond[mesh.faces].all(dim=1)
    if not bool(drop.any()) or bool(drop.all()) or not bool((inside > 0).any()):
        return mesh
    watch.note(f"{int(drop.sum())} faces outside of the masks are left out")
    return select_faces(mesh, torch.logical_not(drop))
