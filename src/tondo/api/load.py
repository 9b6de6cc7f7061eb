"""Scenes and cameras from what a person has: a run, or a file."""

from __future__ import annotations

from pathlib import Path

from tondo.data.cameras import Camera
from tondo.data.field import FieldScene
from tondo.data.similarity import IDENTITY
from tondo.data.splats import Scene
from tondo.scenes.open import open_scene, read_cameras


def load_scene(path: str | Path) -> Scene | FieldScene:
    """The scene of a finished run, of a scene.safetensors, or of a .ply of splats.

    Returns:
        `Scene` of splats, `FieldScene` of a radiance field. Of a .ply up is what a comment in it
        says, else -y; its background is black.

    Raises:
        InputError: missing, unfinished, damaged or of another kind.

    Example:
        >>> import tondo
        >>> scene = tondo.load_scene("run")
        >>> scene.splats.means.shape[1], scene.background.shape
        (3, torch.Size([3]))
    """
    return open_scene(Path(path)).scene


def load_cameras(path: str | Path, scene: Scene | FieldScene | None = None) -> list[Camera]:
    """The cameras of a transforms.json, a camera_path.json or a COLMAP model, in their order; the
    photos need not exist. Those of a run's photos are in RUN/cameras.json.

    Args:
        scene: that they are to look at; they come out in its place and units.

    Raises:
        InputError: missing, damaged, without cameras, or of unknown size.

    Example:
        >>> import tondo
        >>> tondo.load_cameras("photos")[0]
        Camera(72x56, focal length 70)
        >>> len(tondo.load_cameras("run/cameras.json", tondo.load_scene("run")))
        10
    """
    return read_cameras(Path(path), IDENTITY if scene is None else scene.world_from_scene)
