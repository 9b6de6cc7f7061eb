"""Meshes as GLB, OBJ, PLY and STL files, written and read through trimesh."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import trimesh
from torch import Tensor
from trimesh.exchange.gltf import export_glb
from trimesh.exchange.obj import export_obj
from trimesh.exchange.ply import export_ply
from trimesh.exchange.stl import export_stl
from trimesh.visual import ColorVisuals

from tondo.data.mesh import Mesh
from tondo.data.similarity import Similarity, nearby
from tondo.errors import InputError, OptionError
from tondo.io.atomic import write_bytes
from tondo.io.models.file_mesh import is_coarser
from tondo.io.models.glb import ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER
from tondo.io.models.mesh_frames import frame_words, read_offset, read_up, write_offset
from tondo.io.models.ply import read_header
from tondo.io.srgb import linear_from_srgb, srgb_from_linear

Frame = Literal["format", "world"]

# The up axis that each format's standard or, for PLY and STL, common use gives it.
UP_AXES = {".glb": "y", ".obj": "y", ".ply": "z", ".stl": "z"}


def write_mesh(path: str | Path, mesh: Mesh, up: Tensor, frame: Frame = "format") -> np.ndarray:
    """Write a mesh in the world; the path's ending (any case) chooses the format.

    GLB holds colours (linear light, 16 bits, as glTF wants them), normals and a matte material;
    PLY and OBJ hold sRGB colours and normals; STL holds triangles only. The file says which axes it
    has (`io.mesh_frames`). Of a mesh far from the origin GLB holds the offset as its node's place,
    OBJ and PLY hold enough digits; STL cannot, and stays around 0 with NAME.offset.json beside it.

    Args:
        up: [3] unit vector, the mesh's up direction.
        frame: "format" turns the mesh so that `up` is the format's up axis (`UP_AXES`); "world"
            writes the world's coordinates as they are. Sizes are the world's.

    Returns:
        [3] float64, what is to be added to the file's coordinates: 0 but of an STL far away.

    Raises:
        OptionError: an ending that isn't in `UP_AXES`.
        OutputError: the file cannot be written.
        ValueError: the mesh has no faces.

    Example:
        >>> import tondo
        >>> model = tondo.generate("fish", [0])[0]
        >>> tondo.write_mesh("fish.glb", model.mesh, model.splats.up)
        array([0., 0., 0.])
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in UP_AXES:
        raise OptionError(f"{path}: meshes can be written as {', '.join(UP_AXES)}.")
    if not len(mesh.faces):
        raise ValueError("a mesh without faces cannot be written")
    vertices = mesh.world_from_scene.scale * mesh.vertices.double().numpy()
    offset = np.array(mesh.world_from_scene.translation)
    normals = None if mesh.normals is None else mesh.normals.double().numpy()
    if frame == "format":
        rotation = format_from_world(up, UP_AXES[suffix])
        vertices, offset = vertices @ rotation.T, rotation @ offset
        normals = None if normals is None else normals @ rotation.T
    if normals is None:
        normals = trimesh.Trimesh(vertices, mesh.faces.numpy(), process=False).vertex_normals
    normals = unit_normals(normals)
    # process=False keeps vertices, their order and the triangles as they are
    model = trimesh.Trimesh(
        vertices, mesh.faces.numpy(), vertex_normals=normals, process=False, validate=False
    )
    words = frame_words(up.double().numpy() if frame == "format" else None)
    write_bytes(path, _encode(suffix, model, mesh.colors, offset, words))
    left = offset if suffix == ".stl" else np.zeros(3)
    write_offset(path, left)
    return left


def unit_normals(normals: np.ndarray) -> np.ndarray:
    """[V, 3] unit vectors, as glTF takes no others; (0, 0, 1) where a fold's two sides cancel out
    and there is no direction."""
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(lengths > 1e-6, normals / np.maximum(lengths, 1e-6), [0.0, 0.0, 1.0])


def format_from_world(up: Tensor, axis: str) -> np.ndarray:
    """[3, 3] float64 rotation that turns `up` onto the y or z axis.

    First the shortest turn from `up` to +z, then, for y, the turn (x, y, z) -> (x, z, -y) by which
    programs convert between the two.
    """
    u = up.double().numpy() / np.linalg.norm(up.double().numpy())
    z = np.array([0.0, 0.0, 1.0])
    v, cosine = np.cross(u, z), float(u @ z)
    if cosine < -1 + 1e-9:  # straight down: half a turn about x
        z_up = np.diag([1.0, -1.0, -1.0])
    else:
        cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
        z_up = np.eye(3) + cross + cross @ cross / (1 + cosine)
    if axis == "z":
        return z_up
    return np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]]) @ z_up


def read_mesh(path: Path) -> Mesh:
    """Read a GLB, OBJ, PLY or STL file, in the file's own axes; several parts become one mesh. One
    that is far from the origin comes with its place (`Mesh.world_from_scene`).

    Nothing beside the file itself is opened (no materials, no textures).

    Raises:
        InputError: missing, damaged, of another kind, without faces, or with values that aren't
            finite.
    """
    suffix = path.suffix.lower()
    if suffix not in UP_AXES:
        raise InputError(f"{path}: meshes can be read from {', '.join(UP_AXES)}.")
    if suffix == ".ply":
        read_header(path)
    offset = read_offset(path) if suffix == ".stl" else np.zeros(3)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        # From memory and without a resolver, so that the file cannot name other files.
        scene = trimesh.load_scene(
            io.BytesIO(data), file_type=suffix[1:], process=False, resolver=None
        )
        return _joined(scene, linear=suffix == ".glb", offset=offset)
    except Exception as error:  # trimesh raises whatever comes up inside it for a damaged file
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(f"{path} is not a readable mesh: {reason}.") from None


def read_world_mesh(path: Path, frame: Frame | None, up: Tensor) -> Mesh:
    """As `read_mesh`, with the axes of the world.

    Args:
        frame: the axes that the file has, as in `write_mesh`; None for what it says itself, and the
            world's if it says nothing.
        up: [3] the world's up direction, which a file in its format's axes has as its up axis;
            where the file says another, that counts.

    Raises:
        InputError: as `read_mesh`.
    """
    return in_world(read_mesh(path), path, frame, up)


def in_world(mesh: Mesh, path: Path, frame: Frame | None, up: Tensor) -> Mesh:
    """What was read from the file `path`, with the axes of the world, as `read_world_mesh`."""
    said = read_up(path)
    if frame == "world" or (frame is None and said is None):
        return mesh
    if said is not None:
        up = torch.tensor(said)  # of 32 bits, which nine digits tell exactly
    return turned(mesh, format_from_world(up, UP_AXES[path.suffix.lower()]).T)


def turned(mesh: Mesh, rotation: np.ndarray) -> Mesh:
    """The mesh, its place included, turned by [3, 3] about the world's origin."""
    turn = torch.from_numpy(np.ascontiguousarray(rotation))
    x, y, z = (rotation @ np.array(mesh.world_from_scene.translation)).tolist()
    normals = None if mesh.normals is None else (mesh.normals.double() @ turn.T).float()
    return Mesh(
        (mesh.vertices.double() @ turn.T).float(),
        mesh.faces,
        mesh.colors,
        normals,
        Similarity(mesh.world_from_scene.scale, (x, y, z)),
    )


def in_scene(mesh: Mesh, world_from_scene: Similarity) -> Mesh:
    """The mesh with its vertices in another scene of the same world."""
    if mesh.world_from_scene == world_from_scene:
        return mesh
    world = mesh.world_from_scene.to_world(mesh.vertices)
    vertices = world_from_scene.to_scene(world).float()
    return replace(mesh, vertices=vertices, world_from_scene=world_from_scene)


def _joined(scene: trimesh.Scene, linear: bool, offset: np.ndarray) -> Mesh:
    """One mesh of all parts but coarser levels of detail, each where the file's nodes put it, moved
    by `offset`; with colours if every part has some."""
    parts, points = [], []
    names = set(scene.graph.nodes_geometry)
    for node in scene.graph.nodes_geometry:
        transform, name = scene.graph[node]
        part = scene.geometry[name]
        if is_coarser(node, names):
            continue
        if isinstance(part, trimesh.Trimesh) and len(part.faces):
            parts.append(part)
            points.append(trimesh.transform_points(part.vertices, transform))
    if not parts:
        raise ValueError("it has no faces")
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = np.concatenate([p.faces + n for p, n in zip(parts, starts[:-1], strict=True)])
    exact = torch.from_numpy(np.concatenate(points).astype(np.float64) + offset)
    place = nearby(exact)
    vertices = place.to_scene(exact).float()
    if not bool(vertices.isfinite().all()):
        raise ValueError("it has vertices that are NaN or infinite")
    colors = [_colors_of(part, linear) for part in parts]
    known = [torch.from_numpy(c) for c in colors if c is not None]
    return Mesh(
        vertices,
        torch.from_numpy(faces.astype(np.int64)),
        torch.cat(known) if len(known) == len(parts) else None,
        world_from_scene=place,
    )


def _colors_of(part: trimesh.Trimesh, linear: bool) -> np.ndarray | None:
    """[V, 3] uint8 sRGB, or None if the part has no colours per vertex."""
    visual: Any = part.visual
    if visual.kind == "vertex":
        colors = np.asarray(visual.vertex_colors)
    else:  # where trimesh puts the colours of a part that has a material too
        attributes = getattr(visual, "vertex_attributes", {})
        colors = np.asarray(attributes["color"] if "color" in attributes else np.empty(0))
    if colors.ndim != 2 or len(colors) != len(part.vertices) or colors.shape[1] < 3:
        return None
    full = np.iinfo(colors.dtype).max if colors.dtype.kind in "iu" else 1
    values = colors[:, :3].astype(np.float64) / full
    if linear:
        values = srgb_from_linear(values)
    return (values.clip(0, 1) * 255).round().astype(np.uint8)


def _encode(
    suffix: str, model: trimesh.Trimesh, colors: Tensor | None, offset: np.ndarray, words: str
) -> bytes:
    """The file, of a mesh around 0 that belongs at `offset`, with its `words`."""
    if suffix == ".stl":
        return words.encode("ascii").ljust(80) + export_stl(model)[80:]
    if suffix == ".glb":
        return _encode_glb(model, colors, offset, words)
    if colors is not None:
        model.visual = ColorVisuals(model, vertex_colors=colors.numpy())
    if suffix == ".ply":
        return _encode_ply(model, offset, words)
    digits = digits_of(model.vertices)
    model.vertices = model.vertices + offset
    text = export_obj(model, include_normals=True, digits=digits, header=words)
    return text.encode("ascii")


def digits_of(points: np.ndarray) -> int:
    """After the point, of text: as many as 32-bit numbers have around 0, of what is small or far
    away too."""
    size = float(np.ptp(points, axis=0).max())
    return max(7, 7 - math.floor(math.log10(size))) if 1e-30 < size < math.inf else 7


def _encode_ply(model: trimesh.Trimesh, offset: np.ndarray, words: str) -> bytes:
    """With 64-bit positions where 32 bits cannot hold the offset, which trimesh does not write."""
    head, body = export_ply(model, vertex_normal=True).split(b"end_header\n", 1)
    head = head.replace(b"\nelement vertex", f"\ncomment {words}\nelement vertex".encode(), 1)
    count = len(model.vertices)
    if offset.any():
        rest = (len(body) - 13 * len(model.faces)) // count - 12  # bytes of a vertex but x, y, z
        old = np.frombuffer(body, [("place", "<f4", 3), ("rest", f"V{rest}")], count)
        new = np.empty(count, [("place", "<f8", 3), ("rest", f"V{rest}")])
        new["place"], new["rest"] = model.vertices + offset, old["rest"]
        body = new.tobytes() + body[old.nbytes :]
        for axis in (b"x", b"y", b"z"):
            head = head.replace(b"float " + axis + b"\n", b"double " + axis + b"\n", 1)
    return head + b"end_header\n" + body


def _encode_glb(
    model: trimesh.Trimesh, colors: Tensor | None, offset: np.ndarray, words: str
) -> bytes:
    """glTF says that vertex colours are linear light. trimesh writes 8 bits, too coarse for dark
    colours, so they go in as an attribute of 16 bits that is given its proper name at the end."""
    if colors is not None:
        srgb = colors.double().numpy() / 255
        linear = linear_from_srgb(srgb)
        rgba = np.concatenate([linear, np.ones((len(linear), 1))], axis=1)
        model.vertex_attributes["_color"] = (rgba * 65535).round().astype(np.uint16)

    def finish(tree: dict[str, Any]) -> None:
        tree["asset"] |= {"generator": "Tondo", "extras": {"tondo": words}}
        if offset.any():
            next(n for n in tree["nodes"] if "mesh" in n)["translation"] = offset.tolist()
        matte = {"baseColorFactor": [1, 1, 1, 1], "metallicFactor": 0, "roughnessFactor": 1}
        tree["materials"] = [{"name": "matte", "doubleSided": True, "pbrMetallicRoughness": matte}]
        primitive = tree["meshes"][0]["primitives"][0]
        primitive["material"] = 0
        for accessor in primitive["attributes"].values():
            _view_of(tree, accessor)["target"] = ARRAY_BUFFER
        _view_of(tree, primitive["indices"])["target"] = ELEMENT_ARRAY_BUFFER
        if colors is not None:
            place = primitive["attributes"].pop("_color")
            primitive["attributes"]["COLOR_0"] = place
            tree["accessors"][place]["normalized"] = True

    return export_glb(model, include_normals=True, tree_postprocessor=finish)


def _view_of(tree: dict[str, Any], accessor: int) -> dict[str, Any]:
    return tree["bufferViews"][tree["accessors"][accessor]["bufferView"]]
