"""Fewer faces for the same shape."""

from __future__ import annotations

import fast_simplification
import numpy as np
import torch
import trimesh
from scipy.spatial import cKDTree

from tondo.data.mesh import Mesh


def simplify(mesh: Mesh, faces: int) -> Mesh:
    """Reduce to at most about `faces` faces by quadric edge collapse (Garland & Heckbert 1997).

    Colours come from the nearest vertex before, normals are made anew. The mesh itself is returned
    where it has no more faces than that.

    Raises:
        ValueError: faces < 4.
    """
    if faces < 4:
        raise ValueError(f"a mesh needs a budget of at least 4 faces, got {faces}")
    if len(mesh.faces) <= faces:
        return mesh
    points, triangles = fast_simplification.simplify(
        mesh.vertices.numpy(), mesh.faces.numpy().astype(np.int32), target_count=faces
    )
    model = trimesh.Trimesh(points, triangles, process=False)
    model.update_faces(model.nondegenerate_faces(height=0))
    model.remove_unreferenced_vertices()
    vertices = torch.from_numpy(np.asarray(model.vertices, dtype=np.float32))
    colors = None
    if mesh.colors is not None:
        nearest = cKDTree(mesh.vertices.numpy()).query(vertices.numpy())[1]
        colors = mesh.colors[torch.from_numpy(nearest)]
    normals = torch.from_numpy(np.array(model.vertex_normals, dtype=np.float32))
    return Mesh(vertices, torch.from_numpy(np.array(model.faces, dtype=np.int64)), colors, normals)
