"""Small coloured meshes for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

RED, DARK, GREY = (0.6, 0.05, 0.02), (0.005, 0.005, 0.005), (0.2, 0.2, 0.2)


def painted(mesh: trimesh.Trimesh, linear: tuple[float, float, float]) -> trimesh.Trimesh:
    mesh.visual = TextureVisuals(material=PBRMaterial(baseColorFactor=[*linear, 1.0]))
    return mesh


def write_toy(path: Path, *, fin: float = 0.7) -> Path:
    """A red body along z, a grey fin on it, and a dark eye in front of it, as one GLB."""
    scene = trimesh.Scene()
    body = trimesh.creation.icosphere(subdivisions=2)
    body.apply_scale([0.25, 0.35, 1.0])
    top = trimesh.creation.box((0.04, fin, 0.5))
    top.apply_translation([0.0, 0.3 + fin / 2, 0.0])
    eye = trimesh.creation.icosphere(subdivisions=1, radius=0.1)
    eye.apply_translation([0.0, 0.1, 0.95])
    for name, part, color in (("body", body, RED), ("top", top, GREY), ("eye", eye, DARK)):
        scene.add_geometry(painted(part, color), node_name=name)
    path.write_bytes(scene.export(file_type="glb"))
    return path


def quad(x: tuple[float, float], y: tuple[float, float], z: float) -> np.ndarray:
    """[2, 3, 3] corners of a rectangle across the z axis."""
    a, b, c, d = ([x[i], y[j], z] for i, j in ((0, 0), (1, 0), (1, 1), (0, 1)))
    return np.array([[a, b, c], [a, c, d]], dtype=np.float64)
