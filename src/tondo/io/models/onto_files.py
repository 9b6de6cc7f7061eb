"""A texture on a mesh of the user's own: read, and written back with nothing else changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.data.textured import Texture, TexturedMesh
from tondo.errors import InputError
from tondo.io.atomic import write_bytes
from tondo.io.models.file_mesh import FileMesh, as_mesh
from tondo.io.models.glb import Glb, Tree, add_numbers, encode_glb, read_glb
from tondo.io.models.glb_mesh import Part, glb_parts, joined, places
from tondo.io.models.mesh_files import unit_normals
from tondo.io.models.obj import Obj, file_mesh, read_obj, too_many, triangles
from tondo.io.models.textured_files import Split, split_at_seams, write_as_is
from tondo.io.models.textured_glb import add_material, indices_of
from tondo.io.models.textured_obj import distinct, material_name, uv_lines, write_obj_files

MOST_FACES = 2_000_000  # that get a texture: unwrapping so many takes some minutes; chosen
_OF_NODES = ("name", "translation", "rotation", "scale", "matrix")  # what is kept of them


@dataclass(frozen=True)
class OwnMesh:
    """A mesh of the user's.

    Attributes:
        path: its file.
        found: what is in it.
        mesh: that with the file's vertices in the file's axes, around 0 if it is far away.
        source: the file itself.
        parts: of a GLB.
    """

    path: Path
    found: FileMesh
    mesh: Mesh
    source: Glb | Obj
    parts: list[Part]


@dataclass(frozen=True)
class Onto:
    """A texture for it, and what goes with that, for the vertices of `OwnMesh.mesh`.

    Attributes:
        texture: it.
        uvs: [F, 3, 2] float32 as `TexturedMesh.uvs`.
        normals: [V, 3] float32 in the file's axes, for vertices that have none, and for all with a
            normal map, which goes with them.
        tangents: [F, 3, 4] float32 in the file's axes, or None.
    """

    texture: Texture
    uvs: Tensor
    normals: Tensor
    tangents: Tensor | None


def read_own(path: Path, most: int = MOST_FACES) -> OwnMesh:
    """Read a GLB or OBJ file.

    Raises:
        InputError: missing, damaged, of another kind, without faces, with more than `most` of them,
            or with values that are not finite.
    """
    suffix = path.suffix.lower()
    source: Glb | Obj
    if suffix == ".glb":
        source = read_glb(path)
    elif suffix == ".obj":
        source = read_obj(path, most)
    else:
        raise InputError(f"{path}: a texture can be put on .glb and .obj")
    parts: list[Part] = []
    try:
        if isinstance(source, Obj):
            found = file_mesh(source)
        else:
            parts = glb_parts(source)
            found = joined(parts)
        mesh = as_mesh(found)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise InputError(f"{path} is not a readable mesh: {error}.") from None
    if len(mesh.faces) > most:
        raise InputError(too_many(path, len(mesh.faces), most))
    return OwnMesh(path, found, mesh, source, parts)


def write_onto(output: Path, own: OwnMesh, onto: Onto, words: str) -> None:
    """Write the mesh with its texture, its vertices where they are in its file: a GLB keeps its
    nodes and normals, an OBJ its text but for the lines that name materials.

    Args:
        words: about its axes (`mesh_frames`).

    Raises:
        OutputError: a file cannot be written, or one beside an OBJ would replace another's picture.
    """
    ends = own.path.suffix.lower(), output.suffix.lower()
    if ends == (".obj", ".obj") and isinstance(own.source, Obj):
        text = _text_onto(output, own.source, own.found, onto, words)
        write_obj_files(output, text.encode("latin-1"), onto.texture)
    elif ends == (".glb", ".glb"):
        write_bytes(output, _glb_onto(output, own, onto, words))
    else:
        mesh = replace(own.mesh, normals=onto.normals, colors=None)
        tangents = onto.tangents
        model = TexturedMesh(mesh, onto.uvs, onto.texture)
        write_as_is(output, model, words, None if tangents is None else lambda *_: tangents)


def _glb_onto(output: Path, own: OwnMesh, onto: Onto, words: str) -> bytes:
    assert isinstance(own.source, Glb)
    tree: Tree = {
        "asset": {"version": "2.0", "generator": "Tondo", "extras": {"tondo": words}},
        "scene": 0,
        "meshes": [],
    }
    body = bytearray()
    primitives: dict[int, list[Tree]] = {}
    vertices = faces = 0
    for part in own.parts:
        inside = slice(vertices, vertices + len(part.positions))
        of_part = slice(faces, faces + len(part.faces))
        if len(part.faces):
            one = _primitive(tree, body, part, _part_of(onto, inside, of_part))
            primitives.setdefault(part.node, []).append(one)
        vertices, faces = inside.stop, of_part.stop
    mesh_of = {}
    for node, found in primitives.items():
        mesh_of[node] = len(tree["meshes"])
        tree["meshes"].append(_named(own.source.tree["nodes"][node], {"primitives": found}))
    _add_nodes(tree, own.source.tree, mesh_of)
    add_material(tree, body, onto.texture, output.stem)
    return encode_glb(tree, body)


def _part_of(onto: Onto, vertices: slice, faces: slice) -> Onto:
    tangents = None if onto.tangents is None else onto.tangents[faces]
    return Onto(onto.texture, onto.uvs[faces], onto.normals[vertices], tangents)


def _named(node: Tree, rest: Tree) -> Tree:
    name = node.get("name")
    return {"name": name, **rest} if isinstance(name, str) else rest


def _primitive(tree: Tree, body: bytearray, part: Part, onto: Onto) -> Tree:
    """One part with its own positions, split only where its texture is."""
    split = split_at_seams(
        torch.from_numpy(part.faces), onto.uvs, onto.tangents, len(part.positions)
    )
    local = part.matrix[:3, :3]
    normals = unit_normals(onto.normals.double().numpy() @ local)
    if onto.tangents is None and part.normals is not None:
        normals = unit_normals(part.normals.astype(np.float64))
    attributes = {
        "POSITION": add_numbers(tree, body, part.positions[split.owner], bounds=True),
        "NORMAL": add_numbers(tree, body, normals.astype(np.float32)[split.owner]),
        "TEXCOORD_0": add_numbers(tree, body, split.uvs.numpy()),
    }
    if split.tangents is not None:
        attributes["TANGENT"] = add_numbers(tree, body, _local_tangents(split, local))
    indices = indices_of(split.faces.numpy(), len(split.owner))
    return {"attributes": attributes, "indices": add_numbers(tree, body, indices), "material": 0}


def _local_tangents(split: Split, local: np.ndarray) -> np.ndarray:
    """[W, 4] float32, of those in the file's axes, below a node that turns by `local` [3, 3]."""
    assert split.tangents is not None
    found = split.tangents.double().numpy().copy()
    found[:, :3] = unit_normals(found[:, :3] @ np.linalg.pinv(local).T)
    found[:, 3] *= -1 if np.linalg.det(local) < 0 else 1
    return found.astype(np.float32)


def _add_nodes(tree: Tree, source: Tree, mesh_of: dict[int, int]) -> None:
    """Those nodes of a file that have or lead to one of the meshes, in their order."""
    nodes = source["nodes"]
    parent = {node: above for node, above, _ in places(source)}
    kept = set()
    for one in mesh_of:
        node: int | None = one
        while node is not None and node not in kept:
            kept.add(node)
            node = parent.get(node)
    number = {node: k for k, node in enumerate(sorted(kept))}
    tree["nodes"] = []
    for node in sorted(kept):
        found: dict[str, Any] = {key: nodes[node][key] for key in _OF_NODES if key in nodes[node]}
        if node in mesh_of:
            found["mesh"] = mesh_of[node]
        children = [number[child] for child in nodes[node].get("children", []) if child in number]
        tree["nodes"].append({**found, "children": children} if children else found)
    roots = [number[node] for node in sorted(kept) if parent.get(node) not in number]
    tree["scenes"] = [{"nodes": roots}]


def _text_onto(output: Path, obj: Obj, found: FileMesh, onto: Onto, words: str) -> str:
    """The text of an OBJ with other materials and, if it had not all of its UVs, with `onto`'s."""
    lines = list(obj.lines)
    name = _as_bytes(material_name(output))
    first = int(obj.lines_of.min())
    added = []
    if found.uvs is None:
        at, index = distinct(onto.uvs.numpy())
        before = sum(line.split(maxsplit=1)[:1] == ["vt"] for line in lines[:first])
        added = list(uv_lines(at))
        for number, line in _faces_with(obj, index + before + 1).items():
            lines[number] = line
    out, has_material = [], False
    for number, line in enumerate(lines):
        head = line.split(maxsplit=1)[:1]
        if number == first:
            out += added if has_material else [*added, f"usemtl {name}"]
        if head == ["usemtl"]:
            out.append(f"usemtl {name}")
            has_material = True
        elif head != ["mtllib"]:
            out.append(line)
    begin = next(k for k, one in enumerate(out) if one.strip() and not one.startswith("#"))
    out.insert(begin, f"mtllib {_as_bytes(output.stem)}.mtl")
    said = any(one.startswith("# Tondo frame=") for one in out[:begin])
    return "\n".join(out if said else [f"# {words}", *out])


def _as_bytes(text: str) -> str:
    """A string of one letter a byte, as the lines of `Obj` are."""
    return text.encode("utf-8").decode("latin-1")


def _faces_with(obj: Obj, places: np.ndarray) -> dict[int, str]:
    """Lines for all polygons of an OBJ, whose triangles' corners have the numbers places [F, 3];
    a polygon whose triangles lie apart becomes these triangles."""
    at, polygon = triangles(obj)
    lines: dict[int, str] = {}
    of_corner = np.full(len(obj.corners), -1)
    of_corner[at] = places
    torn = np.zeros(len(obj.lines_of), bool)
    np.logical_or.at(torn, polygon, (of_corner[at] != places).any(axis=1))
    words: dict[int, list[str]] = {}
    owner = np.repeat(np.arange(len(obj.lines_of)), np.diff(obj.starts))

    def word(corner: int, place: int) -> str:
        number = int(obj.lines_of[owner[corner]])
        old = words.setdefault(number, obj.lines[number].split()[1:])
        parts = old[corner - int(obj.starts[owner[corner]])].split("/")
        normal = f"/{parts[2]}" if len(parts) == 3 and parts[2] else ""
        return f"{int(obj.corners[corner, 0]) + 1}/{place}{normal}"

    for k in np.flatnonzero(~torn).tolist():
        corners = range(int(obj.starts[k]), int(obj.starts[k + 1]))
        line = " ".join(word(c, int(of_corner[c])) for c in corners)
        lines[int(obj.lines_of[k])] = f"f {line}"
    for face in np.flatnonzero(torn[polygon]).tolist():
        line = " ".join(
            word(c, p) for c, p in zip(at[face].tolist(), places[face].tolist(), strict=True)
        )
        number = int(obj.lines_of[polygon[face]])
        lines[number] = f"{lines[number]}\nf {line}" if number in lines else f"f {line}"
    return lines
