"""Meshes with a texture as GLB, and as OBJ with its material and picture beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.data.textured import Texture, TexturedMesh
from tondo.errors import InputError
from tondo.geometry.mesh import vertex_normals
from tondo.io.atomic import write_bytes
from tondo.io.models.file_mesh import FileMesh, as_mesh, welded
from tondo.io.models.glb import Tree, read_glb
from tondo.io.models.glb_mesh import glb_parts, glb_texture, joined
from tondo.io.models.mesh_files import (
    UP_AXES,
    Frame,
    digits_of,
    format_from_world,
    unit_normals,
)
from tondo.io.models.mesh_frames import frame_words
from tondo.io.models.obj import file_mesh, obj_texture, read_obj
from tondo.io.models.textured_glb import Surface, textured_glb
from tondo.io.models.textured_obj import ObjPart, obj_text, write_obj_files

TEXTURED = (".glb", ".obj")  # formats that hold a texture
_BEYOND = 1e-3  # of the picture's side, beyond which places outside of it are meant; chosen

# [F, 3, 4] float32 tangents of a mesh's corners, of the mesh and its uvs [F, 3, 2]; the last number
# is 1 or -1: the bitangent is that times normal x tangent.
Tangents = Callable[[Mesh, Tensor], Tensor]


def write_textured(
    path: str | Path,
    model: TexturedMesh,
    up: Tensor,
    frame: Frame = "format",
    *,
    tangents: Tangents | None = None,
) -> None:
    """As `write_mesh`, with one material and one texture. Colours of vertices are left out.

    GLB holds the colours as JPEG, normals and occlusion as PNG, and the mesh's vertices in their
    order, followed by copies of those that have several places in the texture. OBJ has NAME.mtl and
    NAME.png beside it; all are written, or none.

    Args:
        path: .glb or .obj.
        up, frame: as `write_mesh`.
        tangents: makes those that a GLB with a normal map needs.

    Raises:
        OutputError: a file cannot be written, or one beside an OBJ would replace another's picture.
        ValueError: the mesh has no faces, or a GLB a normal map but no `tangents`.

    Example:
        >>> import torch, tondo
        >>> mesh = tondo.Mesh(torch.eye(3), torch.tensor([[0, 1, 2]]))
        >>> uvs = torch.tensor([[[0.0, 0], [0, 1], [1, 1]]])
        >>> grey = tondo.Texture(torch.full((8, 8, 3), 128, dtype=torch.uint8))
        >>> up = torch.tensor([0.0, 0, 1])
        >>> tondo.write_textured("grey.glb", tondo.TexturedMesh(mesh, uvs, grey), up)
    """
    write_levels(path, [model], up, frame, tangents=tangents)


def write_levels(
    path: str | Path,
    models: Sequence[TexturedMesh],
    up: Tensor,
    frame: Frame = "format",
    *,
    tangents: Tangents | None = None,
) -> None:
    """As `write_textured`, of levels of detail that share the first one's texture: nodes of a GLB
    or objects of an OBJ, NAME_LOD0 with the first, NAME_LOD1 and so on. One alone is NAME."""
    path = Path(path)
    turn = format_from_world(up, UP_AXES[path.suffix.lower()]) if frame == "format" else np.eye(3)
    words = frame_words(up.double().numpy() if frame == "format" else None)
    _write(path, models, turn, words, tangents)


def write_as_is(path: Path, model: TexturedMesh, words: str, tangents: Tangents | None) -> None:
    """As `write_textured`, of a mesh in the file's axes, and their `words` (`mesh_frames`)."""
    _write(path, [model], np.eye(3), words, tangents)


def _write(
    path: Path,
    models: Sequence[TexturedMesh],
    turn: np.ndarray,
    words: str,
    tangents: Tangents | None,
) -> None:
    first, stem = models[0], path.stem
    if not all(len(model.mesh.faces) for model in models):
        raise ValueError("a mesh without faces cannot be written")
    names = [f"{stem}_LOD{k}" for k in range(len(models))] if len(models) > 1 else [stem]
    named = list(zip(names, models, strict=True))
    if path.suffix.lower() == ".obj":
        parts = [_obj_part("_".join(name.split()), model, turn) for name, model in named]
        text = obj_text(path, parts, words, digits_of(parts[0].points))
        write_obj_files(path, text.encode("utf-8"), first.texture)
        return
    if first.texture.normals is not None and tangents is None:
        raise ValueError("a GLB with a normal map needs `tangents`")
    used = tangents if first.texture.normals is not None else None
    surfaces = [_surface(name, model, turn, used) for name, model in named]
    write_bytes(path, textured_glb(surfaces, first.texture, words))


def normals_of(mesh: Mesh) -> np.ndarray:
    """[V, 3] float64 unit normals at the vertices, the mesh's own if it has some."""
    found = vertex_normals(mesh.vertices, mesh.faces) if mesh.normals is None else mesh.normals
    return unit_normals(found.double().numpy())


def _obj_part(name: str, model: TexturedMesh, turn: np.ndarray) -> ObjPart:
    mesh = model.mesh
    points = mesh.world_from_scene.to_world(mesh.vertices).numpy() @ turn.T
    normals = normals_of(mesh) @ turn.T
    return ObjPart(name, points, normals, model.uvs.numpy(), mesh.faces.numpy())


def _surface(
    name: str, model: TexturedMesh, turn: np.ndarray, tangents: Tangents | None
) -> Surface:
    mesh = model.mesh
    at_corners = None if tangents is None else tangents(mesh, model.uvs)
    split = split_at_seams(mesh.faces, model.uvs, at_corners, len(mesh.vertices))
    points = mesh.world_from_scene.scale * mesh.vertices.double().numpy() @ turn.T
    offset = turn @ np.array(mesh.world_from_scene.translation)
    place: Tree = {"translation": offset.tolist()} if offset.any() else {}
    found = None
    if split.tangents is not None:
        found = split.tangents.numpy().copy()
        found[:, :3] = unit_normals(found[:, :3] @ turn.T)
    return Surface(
        name,
        points.astype(np.float32)[split.owner],
        (normals_of(mesh) @ turn.T).astype(np.float32)[split.owner],
        split.uvs.numpy(),
        found,
        split.faces.numpy(),
        place,
    )


@dataclasses.dataclass(frozen=True)
class Split:
    """Vertices that have one place in the texture each.

    Attributes:
        owner: [W] int64, the vertex that each is a copy of: first all V in their order, then
            further copies.
        faces: [F, 3] int64.
        uvs: [W, 2] float32; 0 of those that no face has.
        tangents: [W, 4] float32, or None.
    """

    owner: np.ndarray
    faces: Tensor
    uvs: Tensor
    tangents: Tensor | None


def split_at_seams(faces: Tensor, uvs: Tensor, tangents: Tensor | None, count: int) -> Split:
    """Copies of vertices for each place in the texture and, with tangents [F, 3, 4], each side that
    the texture is seen from.

    Args:
        faces: [F, 3] int64 of `count` vertices. uvs: [F, 3, 2] float32.
    """
    side = None if tangents is None else tangents[..., 3].reshape(-1) < 0
    row = np.zeros(3 * len(faces), [("owner", ">i8"), ("u", "<f4"), ("v", "<f4"), ("side", "u1")])
    row["owner"] = faces.reshape(-1).numpy()
    row["u"], row["v"] = (uvs.reshape(-1, 2).numpy() + np.float32(0)).T
    row["side"] = 0 if side is None else side.numpy()
    # compared as bytes, which sorts by owner first
    keys = row.view(f"V{row.itemsize}")
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    owner = row["owner"][first].astype(np.int64)
    is_copy = np.diff(owner, prepend=-1) == 0
    place = np.where(is_copy, count + np.cumsum(is_copy) - 1, owner)
    total = count + int(is_copy.sum())
    owners = np.arange(total)
    owners[place] = owner
    at = torch.zeros(total, 2)
    at[torch.from_numpy(place)] = uvs.reshape(-1, 2)[torch.from_numpy(first)]
    index = torch.from_numpy(place[inverse].reshape(-1, 3))
    return Split(owners, index, at, _tangents(tangents, index, total))


def _tangents(tangents: Tensor | None, index: Tensor, count: int) -> Tensor | None:
    """[count, 4] the mean of the tangents of the corners that each vertex has."""
    if tangents is None:
        return None
    total = torch.zeros(count, 4).index_add_(0, index.reshape(-1), tangents.reshape(-1, 4))
    return torch.cat([total[:, :3], torch.where(total[:, 3:] < 0, -1.0, 1.0)], dim=1)


def read_textured(path: str | Path) -> tuple[Mesh, Tensor | None, Texture | None]:
    """Read a GLB or OBJ file with its texture, in the file's own axes; several parts become one
    mesh. One that is far from the origin comes with its place (`Mesh.world_from_scene`).

    The texture of a GLB is read from inside the file only, that of an OBJ from the material and
    picture in its own folder only.

    Returns:
        The mesh, uvs [F, 3, 2] float32 as `TexturedMesh.uvs`, and the texture; None where there is
        none. With a texture vertices are shared across seams and have no colours.

    Raises:
        InputError: missing, damaged, of another kind, without faces, with values that aren't
            finite, with several textures, or one that is repeated over the surface.

    Example:
        >>> import torch, tondo
        >>> mesh = tondo.Mesh(torch.eye(3), torch.tensor([[0, 1, 2]]))
        >>> grey = tondo.Texture(torch.full((8, 8, 3), 128, dtype=torch.uint8))
        >>> model = tondo.TexturedMesh(mesh, torch.eye(3)[None, :, :2].contiguous(), grey)
        >>> tondo.write_textured("grey.obj", model, torch.tensor([0.0, 0, 1]))
        >>> mesh, uvs, texture = tondo.read_textured("grey.obj")
        >>> mesh, texture
        (Mesh(3 vertices, 1 faces), Texture(8x8))
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".glb":
        glb = read_glb(path)
    elif suffix == ".obj":
        obj = read_obj(path)
    else:
        raise InputError(f"{path}: meshes with a texture can be read from .glb and .obj.")
    try:
        if suffix == ".glb":
            parts = glb_parts(glb)
            found = joined(parts)
            texture = glb_texture(path, glb, parts) if found.uvs is not None else None
        else:
            found = file_mesh(obj)
            texture = obj_texture(path, obj) if found.uvs is not None else None
        return _read(found, texture)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise InputError(f"{path} is not a readable mesh: {error}.") from None


def _read(found: FileMesh, texture: Texture | None) -> tuple[Mesh, Tensor | None, Texture | None]:
    mesh = as_mesh(found)
    uvs = None if found.uvs is None else torch.from_numpy(found.uvs)
    if uvs is None or texture is None:
        return mesh, uvs, None
    if bool((uvs < -_BEYOND).any()) or bool((uvs > 1 + _BEYOND).any()):
        raise ValueError("its texture is repeated (UVs outside 0..1), which is not read")
    return welded(mesh)[0], uvs, texture
