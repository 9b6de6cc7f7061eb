"""Points on the surface of a mesh."""

from __future__ import annotations

import numpy as np
import torch
import trimesh
from torch import Tensor

from tondo.data.mesh import Mesh


def sample_surface(mesh: Mesh, count: int, seed: int = 0) -> Tensor:
    """[count, 3] float32 points, spread evenly by area; the same for the same seed.

    Raises:
        ValueError: the mesh has no surface.
    """
    model = trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=False)
    if not model.area > 0:
        raise ValueError("the mesh has no surface to take points from")
    points, _ = trimesh.sample.sample_surface(model, count, seed=seed)
    return torch.from_numpy(np.asarray(points, dtype=np.float32))
