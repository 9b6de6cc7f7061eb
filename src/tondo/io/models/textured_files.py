"""Meshes with a texture as GLB, and as OBJ with its material and picture beside it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from PIL import Image
from torch import Tensor
from trimesh.exchange.gltf import export_glb
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from tondo.data.textured import TexturedMesh
from tondo.geometry.mesh import vertex_normals
from tondo.io.atomic import write_bytes
from tondo.io.models.mesh_files import UP_AXES, Frame, format_from_world
from tondo.io.models.mesh_frames import frame_words

TEXTURED = (".glb", ".obj")  # formats that hold a texture


def write_textured(
    path: str | Path, model: TexturedMesh, up: Tensor, frame: Frame = "format"
) -> np.ndarray:
    """As `write_mesh`, with one material and one texture."""
    path = Path(path)
    mesh = model.mesh
    normals = vertex_normals(mesh.vertices, mesh.faces) if mesh.normals is None else mesh.normals
    corners, index = split_at_seams(model)
    vertices = mesh.world_from_scene.scale * mesh.vertices.double().numpy()
    unit = normals.double().numpy()
    offset = np.array(mesh.world_from_scene.translation)
    if frame == "format":
        rotation = format_from_world(up, UP_AXES[path.suffix.lower()])
        vertices, unit, offset = vertices @ rotation.T, unit @ rotation.T, rotation @ offset
    uv = model.uvs.reshape(-1, 2)[corners].double().numpy()
    picture = Image.fromarray(model.texture.color.numpy())
    visual = TextureVisuals(
        uv * [1, -1] + [0, 1],
        material=PBRMaterial(
            baseColorTexture=picture, metallicFactor=0, roughnessFactor=1, doubleSided=True
        ),
    )
    owner = mesh.faces.reshape(-1)[corners].numpy()
    out = trimesh.Trimesh(
        vertices[owner], index.numpy(), vertex_normals=unit[owner], visual=visual, process=False
    )
    words = frame_words(up.double().numpy() if frame == "format" else None)
    write_bytes(path, _glb(out, offset, words))
    return np.zeros(3)


def split_at_seams(model: TexturedMesh) -> tuple[Tensor, Tensor]:
    """The corners (face * 3 + k) [W] that stand for the vertices of a file in which each has one
    place in the texture, and faces [F, 3] of these; in the order of the mesh's vertices."""
    rows = np.empty(
        3 * len(model.uvs), [("vertex", np.int64), ("u", np.float32), ("v", np.float32)]
    )
    rows["vertex"] = model.mesh.faces.reshape(-1).numpy()
    rows["u"], rows["v"] = model.uvs.reshape(-1, 2).numpy().T
    _, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
    return torch.from_numpy(first), torch.from_numpy(inverse.reshape(-1, 3))


def _glb(model: trimesh.Trimesh, offset: np.ndarray, words: str) -> bytes:
    def finish(tree: dict[str, Any]) -> None:
        tree["asset"] |= {"generator": "Tondo", "extras": {"tondo": words}}

    return export_glb(model, include_normals=True, tree_postprocessor=finish)


_ = io
