"""Meshes of one kind of thing, and variations of their colours and proportions.

Everything is in the generator's space: +y up, as in glTF, and the thing within the unit sphere
about the origin. What swims, walks or drives forward does so along +z, the glTF way.
"""

from __future__ import annotations

import colorsys
import dataclasses
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh

from tondo.errors import InputError
from tondo.geometry.mesh import vertex_normals
from tondo.io.srgb import srgb_from_linear

MAX_BYTES = 64 << 20  # bounds memory; chosen, not measured
MAX_FACES = 200_000  # bounds memory; chosen, not measured
GREYS = (0.12, 0.85)  # values, as in HSV, of what is neither an eye nor a white belly; chosen
REACH = 0.99  # of the unit sphere: the outermost vertex; chosen


@dataclass(frozen=True)
class ColoredMesh:
    """Triangles in flat colours.

    Attributes:
        vertices: [V, 3] float64.
        faces: [F, 3] int64.
        materials: [F] int64, rows of palette.
        palette: [M, 3] float64 sRGB 0..1.
        smooth: [V] int64: vertices of the same number share a normal.
    """

    vertices: np.ndarray
    faces: np.ndarray
    materials: np.ndarray
    palette: np.ndarray
    smooth: np.ndarray

    @property
    def normals(self) -> np.ndarray:
        """[V, 3] float64 unit normals."""
        arrays = (torch.from_numpy(array) for array in (self.vertices, self.faces, self.smooth))
        return vertex_normals(*arrays).numpy()


@dataclass(frozen=True)
class Variation:
    """How far variations may go, each drawn evenly from its range.

    Attributes:
        hue: shift of all hues together, turns of the colour circle.
        hue_each: shift of each material's hue, turns.
        saturation, value: factors, as in HSV.
        tint: saturation that greys get at least; near-black and near-white ones stay.
        length, height, width: factors along z, y and x.
        fins: what sticks out of the body beyond the median distance from its axis (the z axis
            through the middle) sticks out by so much more, as a share; above -1.
    """

    hue: tuple[float, float] = (-0.5, 0.5)
    hue_each: tuple[float, float] = (-0.05, 0.05)
    saturation: tuple[float, float] = (0.7, 1.4)
    value: tuple[float, float] = (0.85, 1.5)
    tint: tuple[float, float] = (0.0, 0.5)
    length: tuple[float, float] = (0.8, 1.2)
    height: tuple[float, float] = (0.8, 1.25)
    width: tuple[float, float] = (0.8, 1.25)
    fins: tuple[float, float] = (-0.35, 0.4)


def read_colored_mesh(path: Path) -> ColoredMesh:
    """The triangles of a GLB file with the base colours of their materials.

    Textures and colours per vertex are not looked at, nothing beside the file is opened. Materials
    without a colour are grey. Bones are ignored: the thing is in its rest pose.

    Raises:
        InputError: missing, another kind of file, damaged, too large, or without triangles.
    """
    path = Path(path)
    if path.suffix.lower() != ".glb" or not path.is_file():
        raise InputError(f"{path} is not a GLB file: coloured meshes are read from .glb")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} is larger than {MAX_BYTES >> 20} MiB: simplify it first")
    try:
        data = io.BytesIO(path.read_bytes())
        scene = trimesh.load_scene(data, file_type="glb", process=False, resolver=None)
        return _joined(scene)
    except Exception as error:  # trimesh raises whatever comes up inside it for a damaged file
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(f"{path} is not a readable mesh: {reason}") from None


def vary(mesh: ColoredMesh, variation: Variation, rng: np.random.Generator) -> ColoredMesh:
    """Another thing of the same kind, centred, and scaled to fill the unit sphere."""
    ranges = (variation.hue, variation.saturation, variation.value, variation.tint)
    hue, saturation, value, tint = (rng.uniform(*limits) for limits in ranges)
    palette = np.empty_like(mesh.palette)
    for row, color in enumerate(mesh.palette):
        h, s, v = colorsys.rgb_to_hsv(*color)
        turned = (h + hue + rng.uniform(*variation.hue_each)) % 1.0
        least = tint if GREYS[0] < v < GREYS[1] else 0.0
        richness = max(least, min(1.0, s * saturation))
        palette[row] = colorsys.hsv_to_rgb(turned, richness, min(1.0, v * value))
    factors = [
        rng.uniform(*limits) for limits in (variation.width, variation.height, variation.length)
    ]
    vertices = _stretched_fins(centred(mesh.vertices), rng.uniform(*variation.fins))
    return dataclasses.replace(mesh, vertices=centred(vertices * factors), palette=palette)


def centred(vertices: np.ndarray) -> np.ndarray:
    """[V, 3] moved so that its box has its middle in the origin, scaled to reach `REACH`."""
    moved = vertices - (vertices.min(0) + vertices.max(0)) / 2
    return moved * (REACH / np.linalg.norm(moved, axis=1).max())


def _stretched_fins(vertices: np.ndarray, share: float) -> np.ndarray:
    away = np.linalg.norm(vertices[:, :2], axis=1)
    beyond = np.maximum(0.0, away - np.median(away))
    factors = 1.0 + share * beyond / np.maximum(away, 1e-9)
    return vertices * np.stack([factors, factors, np.ones_like(factors)], axis=1)


def _joined(scene: trimesh.Scene) -> ColoredMesh:
    vertices, faces, normals, materials = [], [], [], []
    palette: list[np.ndarray] = []
    start = 0
    order = {name: index for index, name in enumerate(scene.geometry)}
    # The graph lists its nodes in an order of its own; the file's is that of its materials.
    for node in sorted(scene.graph.nodes_geometry, key=lambda n: (order[scene.graph[n][1]], n)):
        transform, name = scene.graph[node]
        part = scene.geometry[name]
        if not isinstance(part, trimesh.Trimesh) or not len(part.faces):
            continue
        vertices.append(trimesh.transform_points(part.vertices, transform))
        normals.append(part.vertex_normals @ np.asarray(transform)[:3, :3].T)
        faces.append(part.faces + start)
        materials.append(np.full(len(part.faces), len(palette)))
        palette.append(_color_of(part))
        start += len(part.vertices)
    if not faces:
        raise ValueError("it has no triangles")
    if sum(map(len, faces)) > MAX_FACES:
        raise ValueError(f"it has more than {MAX_FACES} triangles: simplify it first")
    points = np.concatenate(vertices).astype(np.float64)
    if not np.isfinite(points).all() or not np.ptp(points, axis=0).max() > 0:
        raise ValueError("its vertices are not finite, or all in one place")
    return ColoredMesh(
        centred(points),
        np.concatenate(faces).astype(np.int64),
        np.concatenate(materials).astype(np.int64),
        np.array(palette),
        _smooth_groups(points, np.concatenate(normals)),
    )


def _smooth_groups(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """[V] one number for vertices in the same place with the same normal: files cut vertices in
    two where materials meet, and the surface there is smooth nevertheless."""
    scale = np.ptp(points, axis=0).max()
    unit = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    keys = np.concatenate([points / scale * 1e5, unit * 30], axis=1).round()
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _color_of(part: trimesh.Trimesh) -> np.ndarray:
    """[3] float64 sRGB of the part's material; glTF's factors are linear light."""
    material: Any = getattr(part.visual, "material", None)
    factor = getattr(material, "baseColorFactor", None)
    if factor is None:
        return np.full(3, 0.6)
    color = np.asarray(factor)
    linear = color[:3].astype(np.float64) / (255 if color.dtype.kind in "iu" else 1)
    linear = linear.clip(0, 1)
    return srgb_from_linear(linear)
