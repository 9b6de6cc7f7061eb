"""Meshes with one material and one texture as GLB."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor

from tondo.data.textured import Texture
from tondo.io.images import picture_png
from tondo.io.models.glb import Tree, add_numbers, add_view, encode_glb

JPEG_QUALITY = 95  # with colours at full resolution: JPEG's errors stay below 1 of 255; chosen
PNG_LEVEL = 4  # of zlib: 6 takes three times as long and saves nothing (docs/notes/texture.md)
_LINEAR, _LINEAR_MIPMAP, _CLAMP = 9729, 9987, 33071  # glTF's numbers for samplers
_ROUGH, _METALLIC = 255, 0  # of 255: photographs do not tell, so all is matte
_MOST_SHORT = 65_535  # vertices that two bytes can name; the last number restarts strips


@dataclass(frozen=True)
class Surface:
    """Triangles as a GLB has them: a vertex has one place in the texture.

    Attributes:
        name: of the node and the mesh.
        positions: [W, 3] float32. normals: [W, 3] float32 unit vectors. uvs: [W, 2] float32.
        tangents: [W, 4] float32, or None.
        faces: [F, 3] int64.
        place: what else its node has, such as its translation.
    """

    name: str
    positions: np.ndarray
    normals: np.ndarray
    uvs: np.ndarray
    tangents: np.ndarray | None
    faces: np.ndarray
    place: Tree


def textured_glb(surfaces: Sequence[Surface], texture: Texture, words: str) -> bytes:
    """The file: one node for each surface, and one material for all.

    Args:
        words: about its axes (`mesh_frames`).
    """
    tree: Tree = {
        "asset": {"version": "2.0", "generator": "Tondo", "extras": {"tondo": words}},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(surfaces)))}],
        "nodes": [{"name": s.name, "mesh": k, **s.place} for k, s in enumerate(surfaces)],
        "meshes": [],
    }
    body = bytearray()
    for surface in surfaces:
        primitive = _primitive(tree, body, surface)
        tree["meshes"].append({"name": surface.name, "primitives": [primitive]})
    add_material(tree, body, texture, surfaces[0].name)
    return encode_glb(tree, body)


def _primitive(tree: Tree, body: bytearray, surface: Surface) -> Tree:
    attributes = {
        "POSITION": add_numbers(tree, body, surface.positions, bounds=True),
        "NORMAL": add_numbers(tree, body, surface.normals),
        "TEXCOORD_0": add_numbers(tree, body, surface.uvs),
    }
    if surface.tangents is not None:
        attributes["TANGENT"] = add_numbers(tree, body, surface.tangents)
    indices = add_numbers(tree, body, indices_of(surface.faces, len(surface.positions)))
    return {"attributes": attributes, "indices": indices, "material": 0}


def indices_of(faces: np.ndarray, count: int) -> np.ndarray:
    """[3 F] unsigned, faces [F, 3] of `count` vertices."""
    return faces.reshape(-1).astype(np.uint16 if count <= _MOST_SHORT else np.uint32)


def add_material(tree: Tree, body: bytearray, texture: Texture, name: str) -> None:
    """Give a tree its one material: matte, colours as JPEG, normals and occlusion as PNG."""
    pictures = {"color": ("image/jpeg", jpeg(texture.color))}
    if texture.normals is not None:
        pictures["normal"] = "image/png", picture_png(texture.normals.numpy(), PNG_LEVEL)
    if texture.occlusion is not None:
        pictures["occlusion"] = "image/png", picture_png(packed(texture.occlusion), PNG_LEVEL)
    tree["samplers"] = [
        {"magFilter": _LINEAR, "minFilter": _LINEAR_MIPMAP, "wrapS": _CLAMP, "wrapT": _CLAMP}
    ]
    tree["textures"] = [{"sampler": 0, "source": k} for k in range(len(pictures))]
    tree["images"] = [
        {"name": f"{name}_{what}", "mimeType": kind, "bufferView": add_view(tree, body, data)}
        for what, (kind, data) in pictures.items()
    ]
    at = {what: {"index": k} for k, what in enumerate(pictures)}
    matte: Tree = {"baseColorTexture": at["color"], "metallicFactor": 0, "roughnessFactor": 1}
    material: Tree = {"name": name, "doubleSided": True, "pbrMetallicRoughness": matte}
    if "normal" in at:
        material["normalTexture"] = at["normal"]
    if "occlusion" in at:
        material["occlusionTexture"] = matte["metallicRoughnessTexture"] = at["occlusion"]
    tree["materials"] = [material]


def jpeg(color: Tensor) -> bytes:
    """A picture [H, W, 3] uint8 as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(color.numpy()).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def packed(occlusion: Tensor) -> np.ndarray:
    """[H, W, 3] uint8: occlusion, roughness and metalness in one picture, as engines want them."""
    values = occlusion.numpy()
    return np.stack(
        [values, np.full_like(values, _ROUGH), np.full_like(values, _METALLIC)], axis=-1
    )
