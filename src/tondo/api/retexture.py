"""The texture of a scene for a mesh of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from tondo.api.options import ExportOptions
from tondo.data.cameras import Camera
from tondo.data.field import FieldScene
from tondo.data.mesh import Mesh
from tondo.data.splats import Scene
from tondo.data.textured import TexturedMesh
from tondo.errors import InputError, OptionError
from tondo.geometry.cameras import fitted
from tondo.geometry.mesh import vertex_normals
from tondo.io.models.file_mesh import welded
from tondo.io.models.mesh_files import UP_AXES, Frame, format_from_world, in_scene, turned
from tondo.io.models.mesh_frames import frame_words, read_up, says_world
from tondo.io.models.onto_files import MOST_FACES, Onto, OwnMesh, read_own, write_onto
from tondo.io.models.textured_files import TEXTURED
from tondo.io.models.textured_obj import check_beside
from tondo.mesh.sample import sample_surface
from tondo.runs.memory import check_memory
from tondo.runs.watch import SILENT, Watch
from tondo.scenes.open import OpenedScene
from tondo.scenes.texture import texture_of_scene
from tondo.scenes.to_mesh import surface_view
from tondo.texture.make import TextureFacts
from tondo.texture.own_uvs import check_uvs
from tondo.texture.tangents import corner_tangents

MOST_OFF = 0.02  # of its size, half of a mesh may be off the surface; simplified ones are 0.003
# Of a mesh whose file says no axes those of its format are taken, as `export` writes them, unless
# it is so many times farther off with them; chosen.
NO_WORSE = 1.5
TEXEL_BYTES = 150  # that baking takes for each texel: 137 at 4096 x 4096 (docs/notes/texture.md)
_VIEWS, _VIEW_SIZE = 24, 200  # that tell where the surface is, and their pixels; chosen
_POINTS = 4000  # of the mesh, that are measured; chosen


@dataclass(frozen=True)
class Placed:
    """A mesh of the user's in a scene.

    Attributes:
        mesh: in the scene's frame, its vertices shared across seams.
        became: [V] int64, which of its vertices each of the file's became, or -1.
        up: [3] the world's up direction, where the file has it along its format's up axis; None:
            where it has the world's axes.
        off: how far half of it is off the surface, as a share of its size.
    """

    mesh: Mesh
    became: Tensor
    up: Tensor | None
    off: float


def check_textured_place(output: Path, options: ExportOptions) -> None:
    """Find out before the work, not after it, that a texture cannot be written, or not on the mesh
    of `onto`. Raises OptionError or OutputError."""
    suffix, faces = output.suffix.lower(), options.mesh.faces or 0
    textured = suffix in TEXTURED and options.texture.size != "none"
    if textured and options.onto is None and faces > MOST_FACES:
        raise OptionError(
            f"`faces={faces}` is more than the {MOST_FACES:,} that can have a texture: choose "
            "fewer, or `size=none`"
        )
    if textured and isinstance(options.texture.size, int):
        size = options.texture.size
        check_memory(TEXEL_BYTES * size**2, f"size={size}")
    if suffix == ".obj" and textured:
        check_beside(output)
    if options.onto is None:
        return
    if suffix not in TEXTURED:
        raise OptionError(f"{output}: a texture on `onto` can be written as {', '.join(TEXTURED)}")
    if output.resolve() == Path(options.onto).resolve():
        raise OptionError(
            f"{output} is the mesh of `onto` itself: choose another name for `output`"
        )
    if options.texture.size == "none":
        raise OptionError("`onto` takes a texture, and `size=none` has none: leave one of them out")


def retextured(
    opened: OpenedScene,
    output: Path,
    options: ExportOptions,
    cameras: Sequence[Camera],
    up: Tensor,
    dense: Callable[[], Mesh],
    watch: Watch = SILENT,
) -> tuple[TexturedMesh, TextureFacts]:
    """Put the texture of a scene on the mesh of `options.onto` and write it, its vertices as they
    are in its file.

    Args:
        cameras: that see the surface. up: [3] the world's up direction.
        dense: makes what a normal map and ambient occlusion are baked from, in the scene's frame.

    Raises:
        InputError: the mesh cannot be read, has UVs that cannot be used, or lies elsewhere.
        OutputError: a file cannot be written.
    """
    assert options.onto is not None
    path = Path(options.onto)
    own = read_own(path)
    if options.mesh.faces is not None or options.texture.lod:
        watch.note(f"{path.name} stays as it is: `faces` and `lod` are of the mesh that is made")
    uvs = None if own.found.uvs is None else torch.from_numpy(own.found.uvs)
    if uvs is not None:
        check_uvs(uvs, str(path))
        uvs = uvs.clamp(0, 1)
    elif own.found.some_uvs:
        watch.note(f"some parts of {path.name} have no UVs: all of it is unwrapped")
    placed = _placed(own, opened, options, cameras, up, watch)
    if placed.off > MOST_OFF:
        raise InputError(
            f"{path} lies away from what the run shows: half of it is {placed.off:.0%} of its size "
            f"or more off that surface, and {MOST_OFF:.0%} is the most that a texture is put on: "
            "move it to where it was exported, or name its axes by `frame_of_onto`"
        )
    how = options.texture
    surface = dense() if how.normal_map or how.ao else None
    model, facts = texture_of_scene(
        opened, placed.mesh, how, watch, source=options.source, uvs=uvs, dense=surface
    )
    axes = np.eye(3)
    if placed.up is not None:
        axes = format_from_world(placed.up, UP_AXES[path.suffix.lower()])
    words = frame_words(None if placed.up is None else placed.up.double().numpy())
    write_onto(output, own, _onto(model, placed, own, torch.from_numpy(axes)), words)
    return model, facts


def _onto(model: TexturedMesh, placed: Placed, own: OwnMesh, axes: Tensor) -> Onto:
    """What the file gets, turned into its axes by [3, 3]."""
    mesh = model.mesh
    normals = vertex_normals(mesh.vertices, mesh.faces) if mesh.normals is None else mesh.normals
    of_file = torch.zeros(len(placed.became), 3)
    used = placed.became >= 0
    of_file[used] = (normals[placed.became[used]].double() @ axes.T).float()
    tangents = None
    if model.texture.normals is not None:
        tangents = corner_tangents(mesh, model.uvs)
        tangents[..., :3] = (tangents[..., :3].double() @ axes.T).float()
    uvs = model.uvs if own.found.uvs is None else torch.from_numpy(own.found.uvs)
    return Onto(model.texture, uvs, of_file, tangents)


def _placed(
    own: OwnMesh,
    opened: OpenedScene,
    options: ExportOptions,
    cameras: Sequence[Camera],
    up: Tensor,
    watch: Watch,
) -> Placed:
    """The mesh in the scene, by the axes that it has by `frame_of_onto` or its own words; where
    nothing says so, by those that bring it close to the surface."""
    said = read_up(own.path)
    frames: list[Frame] = ["format", "world"]
    if options.frame_of_onto is not None:
        frames = [options.frame_of_onto]
    elif said is not None or says_world(own.path):
        frames = ["world" if said is None else "format"]
    direction = up if said is None else torch.tensor(said)
    if not float(triangle_areas(own.mesh).sum()) > 0:
        raise InputError(f"{own.path} has no area: all of its faces are points or lines")
    surface = cKDTree(surface_points(opened.scene, cameras).numpy())
    found = []
    for frame in frames:
        mesh = own.mesh
        if frame == "format":
            axes = format_from_world(direction, UP_AXES[own.path.suffix.lower()])
            mesh = turned(own.mesh, axes.T)
        mesh, became = welded(in_scene(mesh, opened.scene.world_from_scene))
        off = distance_off(mesh, surface)
        found.append(Placed(mesh, became, direction if frame == "format" else None, off))
    best = min(found, key=lambda one: one.off * (1 if one.up is not None else NO_WORSE))
    if len(found) > 1 and best.off <= MOST_OFF:
        which = "the world's" if best.up is None else "its format's"
        watch.note(f"{own.path.name} does not say its axes: {which} fit (`frame_of_onto`)")
    return best


def triangle_areas(mesh: Mesh) -> Tensor:
    """[F] float64."""
    a, b, c = mesh.vertices[mesh.faces].double().unbind(1)
    return 0.5 * torch.linalg.cross(b - a, c - a).norm(dim=1)


def distance_off(mesh: Mesh, surface: cKDTree) -> float:
    """The median distance of places on the mesh to points of a surface, as a share of the diagonal
    of its bounding box."""
    extent = float((mesh.vertices.amax(dim=0) - mesh.vertices.amin(dim=0)).norm())
    distances, _ = surface.query(sample_surface(mesh, _POINTS).numpy())
    return float(np.median(distances)) / extent


def surface_points(scene: Scene | FieldScene, cameras: Sequence[Camera]) -> Tensor:
    """[N, 3] float32 points that some of the cameras see of a scene.

    Raises:
        InputError: they see nothing.
    """
    found = []
    step = max(1, len(cameras) // _VIEWS)
    for camera in list(cameras)[::step][:_VIEWS]:
        view = surface_view(scene, fitted(camera, _VIEW_SIZE))
        solid = (view.alpha > 0.5) & (view.depth > 0)
        row, column = solid.nonzero().unbind(1)
        rays = torch.stack([column + 0.5, row + 0.5, torch.ones(len(row))], dim=1)
        local = rays @ torch.linalg.inv(view.camera.K).T * view.depth[solid][:, None]
        found.append((local - view.camera.viewmat[:3, 3]) @ view.camera.viewmat[:3, :3])
    points = torch.cat(found)
    if not len(points):
        raise InputError("no surface is seen in the scene: what it shows is too transparent")
    return points
