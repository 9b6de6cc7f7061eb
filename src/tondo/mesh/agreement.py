"""Whether the depths of single views are the surface that was made of all of them."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from tondo.data.mesh import Mesh
from tondo.data.views import View
from tondo.kernels.mesh_depth import mesh_depth


def agreement(mesh: Mesh, views: Iterable[View], within: float) -> float:
    """Share 0..1 of the pixels that show both the mesh and a depth of their own in which the two
    are at most `within` world units apart; 0 where no pixel shows both.

    Of something solid nearly all agree; where photographs contradict each other, each view has
    explained its own picture by something that the others do not see.
    """
    same = both = 0
    for view in views:
        camera = view.camera
        depth, _ = mesh_depth(
            mesh.vertices, mesh.faces, camera.viewmat, camera.K, camera.width, camera.height
        )
        known = (depth > 0) & (view.depth > 0)
        both += int(known.sum())
        same += int((torch.abs(depth - view.depth)[known] <= within).sum())
    return same / both if both else 0.0
