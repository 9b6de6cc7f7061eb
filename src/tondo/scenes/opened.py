"""Opening what commands call RUN: a run's folder, a scene file, or splats of another program."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tondo.data.cameras import Camera
from tondo.data.field import FieldScene
from tondo.data.splats import Scene, Splats
from tondo.errors import InputError
from tondo.io.ply import read_splats
from tondo.io.scene import load_scene
from tondo.training.run_directory import RunDirectory, is_finished, open_run


@dataclass(frozen=True)
class OpenedScene:
    """A scene and where it came from.

    Attributes:
        scene: the scene.
        run: the run it is the result of, or None for a file on its own.
        has_frame: its up, center and radius were stored with it, not guessed.
    """

    scene: Scene | FieldScene
    run: RunDirectory | None
    has_frame: bool = True


def open_scene(path: Path, background: tuple[float, float, float] | None = None) -> OpenedScene:
    """Open a run's folder, a `scene.safetensors` or a `.ply` of splats.

    A `.ply` holds splats alone: background black, up +z, the rest from where the splats are.

    Args:
        background: shown in place of the scene's own, sRGB 0..1.

    Raises:
        InputError: missing, unfinished, damaged or of another kind.
    """
    opened = _open(Path(path))
    if background is None:
        return opened
    return replace(opened, scene=replace(opened.scene, background=torch.tensor(background)))


def is_scene(path: Path) -> bool:
    """Whether `path` is a finished run of a reconstruction or a scene's file."""
    path = Path(path)
    if path.is_dir():
        return (path / "scene.safetensors").is_file()
    return path.is_file() and path.suffix.lower() in (".safetensors", ".ply")


def photo_cameras(opened: OpenedScene) -> list[Camera] | None:
    """The cameras of the photos that a run was made from, or None where they are not known.

    Raises:
        InputError: the run's `cameras.json` is damaged or empty.
    """
    if opened.run is None or not opened.run.cameras_path.is_file():
        return None
    return read_cameras(opened.run.cameras_path)


def held_out_cameras(opened: OpenedScene) -> list[Camera]:
    """Those of them that training did not see; none where that is not known.

    Raises:
        InputError: as `photo_cameras`.
    """
    from tondo.io.photos import load_cameras

    if opened.run is None or not opened.run.cameras_path.is_file():
        return []
    return [one.camera for one in load_cameras(opened.run.cameras_path) if one.held_out]


def read_cameras(path: Path) -> list[Camera]:
    """The cameras of a `transforms.json`, at least one. Raises InputError."""
    from tondo.io.photos import load_cameras

    cameras = [named.camera for named in load_cameras(path)]
    if not cameras:
        raise InputError(f"{path} has no cameras")
    return cameras


def _open(path: Path) -> OpenedScene:
    if path.is_dir():
        run = open_run(path)
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
        return OpenedScene(_scene_of(read_splats(path)), None, has_frame=False)
    raise InputError(
        f"{path} is not a scene: expected a run's folder, a .safetensors or a .ply of splats"
    )


def _scene_of(splats: Splats) -> Scene:
    """A scene around splats that came alone: the middle 90 % of them are its reach."""
    center, radius = torch.zeros(3), 1.0
    if len(splats.means):
        center = splats.means.median(dim=0).values
        radius = max(1e-6, float((splats.means - center).norm(dim=1).quantile(0.9)))
    return Scene(splats, torch.zeros(3), torch.tensor([0.0, 0.0, 1.0]), radius, center)
