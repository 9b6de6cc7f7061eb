"""Meshes with one material and one texture as OBJ, with NAME.mtl and NAME.png beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tondo.data.textured import Texture
from tondo.errors import OutputError
from tondo.io.atomic import atomic_path
from tondo.io.images import picture_png
from tondo.io.models.textured_glb import PNG_LEVEL

_MARK = b"# Tondo material"  # how a file of materials is known to be ours


@dataclass(frozen=True)
class ObjPart:
    """An object of an OBJ file.

    Attributes:
        name: its name.
        points: [V, 3] float64. normals: [V, 3].
        uvs: [F, 3, 2] float32 as `TexturedMesh.uvs`. faces: [F, 3] int64.
    """

    name: str
    points: np.ndarray
    normals: np.ndarray
    uvs: np.ndarray
    faces: np.ndarray


def obj_text(path: Path, parts: Sequence[ObjPart], words: str, digits: int) -> str:
    """The text of an OBJ file. Vertices are shared across seams."""
    lines = [f"# {words}", f"mtllib {path.stem}.mtl"]
    vertices = places = 0
    for part in parts:
        at, index = distinct(part.uvs)
        lines.append(f"o {part.name}")
        lines += rows("v", part.points, digits)
        lines += uv_lines(at)
        lines += rows("vn", part.normals, 4)
        lines.append(f"usemtl {material_name(path)}")
        pairs = np.stack([part.faces + vertices + 1, index + places + 1], axis=-1).reshape(-1, 6)
        lines += [f"f {a}/{b}/{a} {c}/{d}/{c} {e}/{f}/{e}" for a, b, c, d, e, f in pairs.tolist()]
        vertices, places = vertices + len(part.points), places + len(at)
    return "\n".join(lines) + "\n"


def distinct(uvs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[M, 2] the different places of uvs [F, 3, 2], and [F, 3] which of them each corner has."""
    flat = np.ascontiguousarray(uvs, np.float32).reshape(-1, 2) + np.float32(0)
    _, first, inverse = np.unique(flat.view("V8")[:, 0], return_index=True, return_inverse=True)
    return flat[first], inverse.reshape(-1, 3)


def rows(head: str, values: np.ndarray, digits: int) -> Iterable[str]:
    """Lines of a head and three numbers."""
    shape = f"{head} %.{digits}f %.{digits}f %.{digits}f"
    return [shape % tuple(row) for row in values.tolist()]


def uv_lines(uvs: np.ndarray) -> Iterable[str]:
    """Lines `vt` of places [M, 2] as `TexturedMesh.uvs`; OBJ's v is upwards."""
    return [f"vt {u:.9g} {1 - v:.9g}" for u, v in uvs.astype(np.float64).tolist()]


def material_name(path: Path) -> str:
    """Of a file's stem: names of materials have no spaces."""
    return "_".join(path.stem.split()) or "texture"


def write_obj_files(path: Path, text: bytes, texture: Texture) -> None:
    """Write an OBJ, its material and its pictures: all of them, the OBJ last, or none.

    Raises:
        OutputError: they cannot be written, or another's picture is in their place.
    """
    check_beside(path)
    pictures = {f"{path.stem}.png": texture.color.numpy()}
    if texture.normals is not None:
        pictures[f"{path.stem}_normal.png"] = texture.normals.numpy()
    if texture.occlusion is not None:
        pictures[f"{path.stem}_occlusion.png"] = texture.occlusion.numpy()
    with contextlib.ExitStack() as stack:  # which ends in reverse order
        _write(stack, path, text)
        _write(stack, path.with_name(f"{path.stem}.mtl"), _material(path, texture))
        for name, picture in pictures.items():
            _write(stack, path.with_name(name), picture_png(picture, PNG_LEVEL))


def _write(stack: contextlib.ExitStack, path: Path, data: bytes) -> None:
    stack.enter_context(atomic_path(path)).write_bytes(data)


def _material(path: Path, texture: Texture) -> bytes:
    lines = [_MARK.decode(), f"newmtl {material_name(path)}"]
    lines += ["Ka 1 1 1", "Kd 1 1 1", "Ks 0 0 0", "illum 1", f"map_Kd {path.stem}.png"]
    if texture.normals is not None:
        # Blender knows map_Bump alone, and takes it for colours in sRGB, which bends all normals
        lines += ["# normals in tangent space, +Y up", f"norm {path.stem}_normal.png"]
    if texture.occlusion is not None:
        lines.append(f"# MTL has no word for ambient occlusion: {path.stem}_occlusion.png")
    return ("\n".join(lines) + "\n").encode("utf-8")


def files_beside(path: Path) -> Iterator[Path]:
    """What may be written beside an OBJ."""
    for end in (".mtl", ".png", "_normal.png", "_occlusion.png"):
        yield path.with_name(path.stem + end)


def check_beside(path: Path) -> None:
    """Raise OutputError where something that we did not write has the place of the material or the
    picture of an OBJ: a photograph may well have the object's name."""
    there = [place for place in files_beside(path) if place.exists()]
    material = path.with_name(f"{path.stem}.mtl")
    if not there or _is_ours(material):
        return
    raise OutputError(
        f"cannot write {path}: its material and picture would replace {there[0].name}, which is "
        "there already and of something else; choose another name for `output`"
    )


def _is_ours(material: Path) -> bool:
    try:
        with material.open("rb") as file:
            return file.read(len(_MARK)) == _MARK
    except OSError:
        return False
