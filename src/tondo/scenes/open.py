"""Opening what commands call RUN: a run's folder, a scene file, splats of others, or a mesh."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.field import FieldScene
from tondo.data.mesh import Mesh
from tondo.data.similarity import IDENTITY, Similarity
from tondo.data.splats import Scene, Splats, scaled
from tondo.data.textured import TexturedMesh
from tondo.data.views import View
from tondo.errors import InputError
from tondo.geometry.look_at import look_at, perpendicular
from tondo.geometry.placement import unit_of
from tondo.geometry.up import as_text, cameras_up
from tondo.geometry.up import settled_up as settled_by_cameras
from tondo.io.models.mesh_files import UP_AXES, Frame, in_world, read_world_mesh
from tondo.io.models.mesh_frames import read_offset, read_up, says_world
from tondo.io.models.ply import read_splat_file
from tondo.io.models.scene import load_scene
from tondo.io.models.textured_files import TEXTURED, read_textured
from tondo.mesh.render import mipmaps, render_mesh
from tondo.runs.run_directory import RunDirectory, is_finished, open_run, read_config
from tondo.scenes.render import render
from tondo.scenes.source import source_of

ASSUMED_UP = (0.0, -1.0, 0.0)  # OpenCV's y points down: COLMAP's usual up
AXES = {"y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
# Cameras around a mesh that comes without: a little above it and with all of it in the picture;
# pixels, pixels, radii of the mesh; chosen.
AROUND, AROUND_SIZE, AROUND_FOCAL, AROUND_DISTANCE = 8, (640, 480), 640.0, 3.0
AROUND_LIFT = math.radians(15.0)  # chosen


@dataclass(frozen=True)
class OpenedScene:
    """A scene and where it came from.

    Attributes:
        scene: the scene.
        run: the run it is the result of, or None for a file on its own.
        up_is_known: its up was stored with it or asked for, not assumed.
        notes: what was mended or left out while reading, in sentences.
    """

    scene: Scene | FieldScene
    run: RunDirectory | None
    up_is_known: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """A scene or a mesh, to be rendered.

    Attributes:
        view: renders what a camera sees, with the arguments of `scenes.render.render`.
        place: brings its coordinates into the world.
        center: [3], what an orbit goes around.
        photo_cameras: of the photos that it was made from, or None where they are not known.
        around: other cameras that a path can be derived from, or None.
        up: from cameras in its world to up [3], and a sentence to be said where it is assumed.
        notes: what was mended or left out while reading, in sentences.
    """

    view: Callable[..., View]
    place: Similarity
    center: Tensor
    photo_cameras: Sequence[Camera] | None
    around: Sequence[Camera] | None
    up: Callable[[Sequence[Camera]], tuple[Tensor, str | None]]
    notes: tuple[str, ...] = ()


def open_scene(
    path: Path,
    background: tuple[float, float, float] | None = None,
    up: tuple[float, float, float] | None = None,
) -> OpenedScene:
    """Open a run's folder, a `scene.safetensors` or a `.ply` of splats.

    A `.ply` holds splats alone: background black, the rest from where the splats are. Up is what a
    comment in it says (Tondo and nerfstudio write one), else -y, as in worlds of COLMAP, where most
    programs train.

    Args:
        background: shown in place of the scene's own, sRGB 0..1.
        up: unit vector, in place of the scene's own.

    Raises:
        InputError: missing, unfinished, damaged or of another kind.
    """
    opened = _open(Path(path))
    if background is not None:
        scene = replace(opened.scene, background=torch.tensor(background))
        opened = replace(opened, scene=scene)
    if up is not None:
        scene = replace(opened.scene, up=torch.tensor(up))
        opened = replace(opened, scene=scene, up_is_known=True)
    return opened


def open_shown(
    path: Path,
    background: tuple[float, float, float] | None = None,
    up: tuple[float, float, float] | None = None,
) -> Shown:
    """Open what `open_scene` opens, or a mesh of a file.

    A mesh is in the world, as far as its file says what that is, else in the file's axes. It has
    its texture or colours, and black behind it where no `background` is given.

    Raises:
        InputError: missing, unfinished, damaged or of another kind.
    """
    if source_of(path).kind == "mesh":
        return _shown_mesh(path, background, up)
    opened = open_scene(path, background, up)
    scene = opened.scene
    return Shown(
        partial(render, scene),
        scene.world_from_scene,
        scene.center,
        photo_cameras(opened),
        None,
        partial(settled_up, opened),
        opened.notes,
    )


def read_model(path: Path, frame: Frame | None, up: Tensor) -> Mesh | TexturedMesh:
    """As `read_world_mesh`, with the file's texture, if it has one. Raises InputError."""
    if path.suffix.lower() not in TEXTURED:
        return read_world_mesh(path, frame, up)
    mesh, uvs, texture = read_textured(path)
    mesh = in_world(mesh, path, frame, up)
    return mesh if uvs is None or texture is None else TexturedMesh(mesh, uvs, texture)


def mesh_of(model: Mesh | TexturedMesh) -> Mesh:
    """The mesh itself."""
    return model.mesh if isinstance(model, TexturedMesh) else model


def settled_up(opened: OpenedScene, cameras: Sequence[Camera] | None) -> tuple[Tensor, str | None]:
    """Up [3] of a scene, and a sentence to be said where it is not known but assumed.

    Args:
        cameras: that are known to be in the scene's world, if any: people hold them upright.
    """
    if opened.up_is_known:
        return opened.scene.up, None
    if cameras:
        found = cameras_up(torch.stack([camera.viewmat for camera in cameras]))
        if found.is_certain:
            return found.direction.float(), None
    text = as_text(opened.scene.up)
    return opened.scene.up, (
        f"the file does not say which way is up: {text} is assumed, as in worlds of COLMAP "
        "(export and render take another with `up`)"
    )


def photo_cameras(opened: OpenedScene) -> list[Camera] | None:
    """The cameras of the photos that a run was made from, in its scene, or None where they are not
    known.

    Raises:
        InputError: the run's `cameras.json` is damaged or empty.
    """
    if opened.run is None or not opened.run.cameras_path.is_file():
        return None
    return read_cameras(opened.run.cameras_path, opened.scene.world_from_scene)


def held_out_cameras(opened: OpenedScene) -> list[Camera]:
    """Those of them that training did not see; none where that is not known.

    Raises:
        InputError: as `photo_cameras`.
    """
    from tondo.io.posed.photos import load_cameras

    if opened.run is None or not opened.run.cameras_path.is_file():
        return []
    place = opened.scene.world_from_scene
    named = load_cameras(opened.run.cameras_path, world_from_scene=place)
    return [one.camera for one in named if one.held_out]


def read_cameras(path: Path, world_from_scene: Similarity) -> list[Camera]:
    """The cameras of a `transforms.json`, at least one, in a scene. Raises InputError."""
    from tondo.io.posed.photos import load_cameras

    named = load_cameras(path, world_from_scene=world_from_scene)
    cameras = [one.camera for one in named]
    if not cameras:
        raise InputError(f"{path} has no cameras")
    return cameras


def _open(path: Path) -> OpenedScene:
    if path.is_dir():
        run = open_run(path)
        if read_config(run).get("command") == "train":
            raise InputError(f"{path} is a run of `tondo train`: it has a generator and no scene")
        if not is_finished(run):
            raise InputError(
                f"the run {path} has no scene.safetensors yet: "
                "finish it first with `tondo reconstruct ... --resume`"
            )
        return OpenedScene(load_scene(run.scene_path), run)
    if not path.exists():
        raise InputError(f"there is no run or scene at {path}: nothing of that name exists")
    if path.suffix.lower() == ".safetensors":
        return OpenedScene(load_scene(path), None)
    if path.suffix.lower() == ".ply":
        found = read_splat_file(path)
        up = ASSUMED_UP if found.up is None else found.up
        scene = _scene_of(found.splats, up, read_offset(path).tolist())
        return OpenedScene(scene, None, found.up is not None, found.notes)
    raise InputError(
        f"{path} is not a scene: expected a run's folder, a .safetensors or a .ply of splats"
    )


def _scene_of(splats: Splats, up: tuple[float, float, float], offset: Sequence[float]) -> Scene:
    """A scene around splats that came alone, in a file whose coordinates want `offset` added: the
    middle 90 % of them are its reach."""
    center, radius, place = torch.zeros(3), 1.0, IDENTITY
    if len(splats.means):
        center = splats.means.median(dim=0).values
        radius = max(1e-6, float((splats.means - center).norm(dim=1).quantile(0.9)))
    x, y, z = offset
    scale = unit_of(radius)
    if scale != 1 or any(offset):
        place = Similarity(scale, (x, y, z))
        splats, center, radius = scaled(splats, 1 / scale), center / scale, radius / scale
    return Scene(splats, torch.zeros(3), torch.tensor(up), radius, center, None, place)


def _shown_mesh(
    path: Path,
    background: tuple[float, float, float] | None,
    up: tuple[float, float, float] | None,
) -> Shown:
    model = read_model(path, None, torch.tensor(AXES["z"]))
    mesh = mesh_of(model)
    low, high = mesh.vertices.amin(dim=0), mesh.vertices.amax(dim=0)
    center, radius = (low + high) / 2, float((high - low).norm()) / 2
    behind = torch.tensor(background or (0.0, 0.0, 0.0))
    axis = "z" if says_world(path) else UP_AXES[path.suffix.lower()]
    known = up or read_up(path)
    mips = mipmaps(model.texture.color) if isinstance(model, TexturedMesh) else ()

    def view(camera: Camera, *, with_normals: bool = False, exposed: bool = False) -> View:
        return render_mesh(model, camera, behind, with_normals=with_normals, mips=mips)

    def settled(cameras: Sequence[Camera]) -> tuple[Tensor, str | None]:
        if known is not None:
            return torch.tensor(known), None
        viewmats = [camera.viewmat for camera in cameras]
        known_views = torch.stack(viewmats) if viewmats else torch.empty(0, 4, 4)
        return settled_by_cameras(known_views, torch.tensor(AXES[axis]))

    around = _ring(center, max(radius, 1e-6), settled(())[0])
    return Shown(view, mesh.world_from_scene, center, None, around, settled)


def _ring(center: Tensor, radius: float, up: Tensor) -> list[Camera]:
    """Cameras all around a ball, which see it whole."""
    width, height = AROUND_SIZE
    K = torch.tensor([[AROUND_FOCAL, 0, width / 2], [0, AROUND_FOCAL, height / 2], [0, 0, 1]])
    across = perpendicular(up)
    sideways = torch.linalg.cross(up, across)
    cameras = []
    for i in range(AROUND):
        turn = 2 * math.pi * i / AROUND
        level = math.cos(turn) * across + math.sin(turn) * sideways
        away = math.cos(AROUND_LIFT) * level + math.sin(AROUND_LIFT) * up
        eye = center + AROUND_DISTANCE * radius * away
        cameras.append(Camera(look_at(eye, center, up), K, width, height))
    return cameras
