"""Opening what commands call RUN: a run's folder, a scene file, or splats of another program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.field import FieldScene
from tondo.data.similarity import IDENTITY, Similarity
from tondo.data.splats import Scene, Splats, scaled
from tondo.errors import InputError
from tondo.geometry.placement import unit_of
from tondo.geometry.up import as_text, cameras_up
from tondo.io.models.mesh_frames import read_offset
from tondo.io.models.ply import read_splat_file
from tondo.io.models.scene import load_scene
from tondo.runs.run_directory import RunDirectory, is_finished, open_run, read_config

ASSUMED_UP = (0.0, -1.0, 0.0)  # OpenCV's y points down: COLMAP's usual up


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
