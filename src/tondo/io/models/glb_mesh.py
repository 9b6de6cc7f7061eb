"""The triangles of a GLB file, where its nodes put them, and its texture."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tondo.data.textured import Texture
from tondo.io.images import decode_image
from tondo.io.models.file_mesh import MOST_FACES, FileMesh, is_coarser
from tondo.io.models.glb import Glb, Tree, as_float, bytes_of, count_of, entry, numbers
from tondo.io.srgb import srgb_from_linear

MOST_PARTS = 100_000  # of a file: it takes some bytes to show a mesh once more; chosen
_TRIANGLES, _STRIP, _FAN = 4, 5, 6  # glTF's numbers for what indices mean


@dataclass(frozen=True)
class Part:
    """Triangles of one primitive under one node.

    Attributes:
        node: number of the node. primitive: it, as in the file.
        matrix: [4, 4] float64, where the node is.
        positions: [V, 3] float32, as in the file.
        faces: [F, 3] int64.
        uvs: [V, 2] float32, or None.
        normals: [V, 3] float32, or None.
        colors: [V, 3] uint8 sRGB, or None.
    """

    node: int
    primitive: Tree
    matrix: np.ndarray
    positions: np.ndarray
    faces: np.ndarray
    uvs: np.ndarray | None
    normals: np.ndarray | None
    colors: np.ndarray | None


def glb_parts(glb: Glb, most: int = MOST_FACES) -> list[Part]:
    """All triangles of a file's scene, without coarser levels of detail.

    Raises:
        ValueError: what is there cannot be read, or has more than `most` faces.
    """
    shown = []
    nodes = list(places(glb.tree))
    names = {n: entry(glb.tree, "nodes", n).get("name") for n, _, _ in nodes}
    known = {name for name in names.values() if isinstance(name, str)}
    for n, _, matrix in nodes:
        if is_coarser(names[n], known):
            continue
        shown += [(n, matrix, one) for one in _primitives(glb, n)]
        if len(shown) > MOST_PARTS:
            raise ValueError(f"it has more than {MOST_PARTS:,} parts")
    if (count := sum(_faces_of(glb, one) for _, _, one in shown)) > most:
        raise ValueError(f"it has {count:,} faces, more than {most:,}")
    return [_part(glb, n, matrix, one) for n, matrix, one in shown]


def joined(parts: list[Part]) -> FileMesh:
    """All parts in the file's axes."""
    starts = np.cumsum([0, *(len(part.positions) for part in parts)])
    points = [_moved(part.positions, part.matrix) for part in parts]
    pairs = list(zip(parts, starts[:-1], strict=True))
    with_uvs = [p for p in parts if p.uvs is not None]
    colors = [p.colors for p in parts if p.colors is not None]
    uvs = None
    if parts and len(with_uvs) == len(parts):
        uvs = np.concatenate([p.uvs[p.faces] for p in parts if p.uvs is not None])
    return FileMesh(
        np.concatenate([np.empty((0, 3)), *points]),
        np.concatenate([np.empty((0, 3), np.int64), *(p.faces + start for p, start in pairs)]),
        uvs,
        bool(with_uvs),
        np.concatenate(colors) if parts and len(colors) == len(parts) else None,
    )


def _moved(positions: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    points = positions.astype(np.float64)
    if np.array_equal(matrix, np.eye(4)):
        return points
    moved: np.ndarray = points @ matrix[:3, :3].T + matrix[:3, 3]
    return moved


def places(tree: Tree) -> Iterator[tuple[int, int | None, np.ndarray]]:
    """The nodes of the scene, their parents, and [4, 4] where they are.

    Raises:
        ValueError: a node is not there, or in two places.
    """
    scenes = tree.get("scenes")
    if scenes:
        roots = entry(tree, "scenes", tree.get("scene", 0)).get("nodes", [])
    else:
        roots = list(range(len(_list(tree.get("nodes", [])))))
    left: list[tuple[int, int | None, np.ndarray]] = [
        (index, None, np.eye(4)) for index in reversed(_list(roots))
    ]
    seen = set()
    while left:
        index, parent, above = left.pop()
        node = entry(tree, "nodes", index)
        if index in seen:
            raise ValueError("a node of it is in two places")
        seen.add(index)
        matrix = above @ _matrix(node)
        yield index, parent, matrix
        left.extend((child, index, matrix) for child in reversed(_list(node.get("children", []))))


def _list(value: object) -> list[int]:
    if not isinstance(value, list):
        raise ValueError("its nodes are no list")
    return value


def _matrix(node: Tree) -> np.ndarray:
    """[4, 4] of a node in its parent. Raises ValueError."""
    if "matrix" in node:
        return _floats(node["matrix"], 16).reshape(4, 4).T
    matrix = np.eye(4)
    x, y, z, w = _floats(node.get("rotation", [0, 0, 0, 1]), 4)
    rotation = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, :3] = np.array(rotation) * _floats(node.get("scale", [1, 1, 1]), 3)
    matrix[:3, 3] = _floats(node.get("translation", [0, 0, 0]), 3)
    return matrix


def _floats(value: object, count: int) -> np.ndarray:
    if (
        not isinstance(value, list)
        or len(value) != count
        or not all(isinstance(one, int | float) and math.isfinite(one) for one in value)
    ):
        raise ValueError("a node of it has no place")
    return np.array(value, np.float64)


def _primitives(glb: Glb, node: int) -> Iterator[Tree]:
    """What a node shows that has triangles. Raises ValueError."""
    of_node = entry(glb.tree, "nodes", node)
    if "mesh" not in of_node:
        return
    primitives = entry(glb.tree, "meshes", of_node["mesh"]).get("primitives")
    for one in primitives if isinstance(primitives, list) else []:
        if not isinstance(one, dict) or not isinstance(one.get("attributes"), dict):
            raise ValueError("its meshes are damaged")
        if one.get("extensions"):
            names = ", ".join(sorted(map(str, one["extensions"])))[:60]
            raise ValueError(f"it is compressed ({names}): save it without compression")
        if one.get("mode", _TRIANGLES) in (_TRIANGLES, _STRIP, _FAN):
            yield one


def _faces_of(glb: Glb, primitive: Tree) -> int:
    """How many triangles it will have, before any is made. Raises ValueError."""
    named = primitive.get("indices", primitive["attributes"].get("POSITION"))
    count = count_of(glb, named)
    return count // 3 if primitive.get("mode", _TRIANGLES) == _TRIANGLES else max(0, count - 2)


def _part(glb: Glb, node: int, matrix: np.ndarray, primitive: Tree) -> Part:
    attributes = primitive["attributes"]
    positions = numbers(glb, attributes.get("POSITION"), (3,))
    if positions.dtype != np.dtype("<f4"):
        raise ValueError("its positions are no 32-bit floats: save it without quantisation")
    count = len(positions)
    if "indices" in primitive:
        index = numbers(glb, primitive["indices"], (1,))[:, 0]
        if index.dtype.kind != "u":
            raise ValueError("its faces are damaged")
        index = index.astype(np.int64)
    else:
        index = np.arange(count)
    if len(index) and int(index.max()) >= count:
        raise ValueError("a face of it names a vertex that is not there")
    faces = _triangles(index, primitive.get("mode", _TRIANGLES))
    uvs = _attribute(glb, attributes, f"TEXCOORD_{_uv_set(glb, primitive)}", (2,), count)
    normals = _attribute(glb, attributes, "NORMAL", (3,), count)
    colors = _attribute(glb, attributes, "COLOR_0", (3, 4), count)
    if colors is not None:
        srgb = srgb_from_linear(colors[:, :3].astype(np.float64).clip(0, 1))
        colors = (srgb * 255).round().astype(np.uint8)
    positions = np.ascontiguousarray(positions)
    return Part(node, primitive, matrix, positions, faces, uvs, normals, colors)


def _triangles(index: np.ndarray, mode: int) -> np.ndarray:
    """[F, 3] of the vertices of triangles, a strip of them or a fan."""
    if mode == _TRIANGLES:
        return index[: len(index) // 3 * 3].reshape(-1, 3)
    if len(index) < 3:
        return np.empty((0, 3), np.int64)
    first, second, third = index[:-2], index[1:-1], index[2:]
    if mode == _FAN:
        return np.stack([second, third, np.full_like(third, index[0])], axis=1)
    odd = np.arange(len(third)) % 2 == 1
    return np.stack([first, np.where(odd, third, second), np.where(odd, second, third)], axis=1)


def _attribute(
    glb: Glb, attributes: Tree, name: str, widths: tuple[int, ...], count: int
) -> np.ndarray | None:
    if name not in attributes:
        return None
    values = as_float(numbers(glb, attributes[name], widths))
    if len(values) != count or not bool(np.isfinite(values).all()):
        raise ValueError(f"its {name} are damaged")
    return values


def _uv_set(glb: Glb, primitive: Tree) -> int:
    """Which of its sets of texture coordinates the colours of a primitive are at."""
    found = _texture_info(glb, primitive, "baseColorTexture")
    number = 0 if found is None else found.get("texCoord", 0)
    return number if isinstance(number, int) and 0 <= number < 8 else 0


def _texture_info(glb: Glb, primitive: Tree, name: str) -> Tree | None:
    if "material" not in primitive:
        return None
    material = entry(glb.tree, "materials", primitive["material"])
    place = material.get("pbrMetallicRoughness") if name == "baseColorTexture" else material
    found = place.get(name) if isinstance(place, dict) else None
    return found if isinstance(found, dict) else None


def glb_texture(path: Path, glb: Glb, parts: list[Part]) -> Texture | None:
    """The one texture of all parts, from inside the file; None where there is none.

    Raises:
        ValueError: parts have different textures. InputError: a picture cannot be read.
    """
    color = _image(path, glb, parts, "baseColorTexture")
    if color is None:
        return None
    normals = _image(path, glb, parts, "normalTexture")
    occlusion = _image(path, glb, parts, "occlusionTexture")
    return Texture(
        color,
        normals if normals is not None and normals.shape == color.shape else None,
        occlusion[..., 0].contiguous()
        if occlusion is not None and occlusion.shape == color.shape
        else None,
    )


def _image(path: Path, glb: Glb, parts: list[Part], name: str) -> torch.Tensor | None:
    """[H, W, 3] uint8 of the image that all parts have as `name`."""
    found = {_image_index(glb, part.primitive, name) for part in parts}
    if len(found) > 1:
        raise ValueError("its parts have different textures, and one for all of them is read")
    index = next(iter(found), None)
    if index is None:
        return None
    infos = [_texture_info(glb, part.primitive, name) or {} for part in parts]
    if any("KHR_texture_transform" in str(info.get("extensions")) for info in infos):
        raise ValueError("its texture is moved (KHR_texture_transform), which is not read")
    image = entry(glb.tree, "images", index)
    if "bufferView" not in image:
        return None
    data = bytes(bytes_of(glb, entry(glb.tree, "bufferViews", image["bufferView"])))
    return decode_image(data, f"{path} (its texture)", upright=False).rgb


def _image_index(glb: Glb, primitive: Tree, name: str) -> int | None:
    info = _texture_info(glb, primitive, name)
    if info is None:
        return None
    source = entry(glb.tree, "textures", info.get("index")).get("source")
    return source if isinstance(source, int) and not isinstance(source, bool) else None
