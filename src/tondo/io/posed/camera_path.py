"""nerfstudio's `camera_path.json`: the cameras of a video, as its viewer saves them.

`camera_to_world` is a 4x4 matrix row by row with OpenGL axes, `fov` the vertical field of view in
degrees. nerfstudio's viewer lives in a world of its own, the data's turned, moved and scaled; what
it did stands in the `dataparser_transforms.json` of its run: X_viewer = scale (R X + t).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.similarity import IDENTITY, Similarity
from tondo.errors import InputError
from tondo.io.named_files import is_file
from tondo.io.posed.frames import NamedCamera
from tondo.io.posed.intrinsics import number
from tondo.io.posed.transforms_json import OPENGL_FROM_OPENCV, placed, read_cameras_json

TRANSFORMS = "dataparser_transforms.json"
_MAX_SIDE = 32_000  # pixels; as io/posed/undistort.py


@dataclass(frozen=True)
class CameraPath:
    """Cameras of a path.

    Attributes:
        cameras: named by their numbers.
        fps: frames per second, if the file says so.
        notes: what was assumed, in sentences.
    """

    cameras: tuple[NamedCamera, ...]
    fps: float | None
    notes: tuple[str, ...]


def is_camera_path(content: dict[str, Any]) -> bool:
    """Whether this JSON is a camera path."""
    return isinstance(content.get("camera_path"), list)


def find_camera_path(path: Path, default_size: tuple[int, int] | None) -> CameraPath | None:
    """The camera path in the file `path`, or None if it is something else."""
    if not (path.suffix.lower() == ".json" and is_file(path)):
        return None
    content = read_cameras_json(path)
    return camera_path(content, path, default_size) if is_camera_path(content) else None


def camera_path(
    content: dict[str, Any],
    path: Path,
    default_size: tuple[int, int] | None,
    world_from_scene: Similarity = IDENTITY,
) -> CameraPath:
    """The checked cameras of a path.

    Args:
        content: of the file `path`.
        default_size: (width, height) where the file says none.
        world_from_scene: the place of the scene that they come out in.

    Raises:
        InputError: something in it no camera can have, or its pictures are no perspective ones.
    """
    kind = content.get("camera_type", "perspective")
    if kind != "perspective":
        raise InputError(
            f"{path} has the camera_type {str(kind)[:40]!r}: Tondo renders perspective pictures; "
            "save the path with the camera type perspective"
        )
    size = _size(content, path, default_size)
    viewer = _viewer_from_world(path.parent / TRANSFORMS)
    cameras = []
    for index, entry in enumerate(content["camera_path"]):
        what = f"camera {index} of {path}"
        if not isinstance(entry, dict):
            raise InputError(f"{what} must be an object with camera_to_world and fov")
        viewmat = _viewmat(entry, viewer, what)
        in_scene = world_from_scene.view_to_scene(torch.from_numpy(viewmat)).float()
        camera = Camera(in_scene, _intrinsics(entry, content, size, what), *size)
        cameras.append(NamedCamera(f"{index:05d}", camera))
    fps = content.get("fps")
    rate = None if fps is None else number(fps, f"fps of {path}")
    if rate is not None and not 0 < rate <= 1000:
        raise InputError(f"fps of {path} must be above 0, got {rate:g}")
    return CameraPath(tuple(cameras), rate, tuple(_notes(content, path, viewer is not None)))


def _notes(content: dict[str, Any], path: Path, is_undone: bool) -> list[str]:
    notes = []
    if is_undone:
        notes.append(f"{path.name} is brought into the data's world by the {TRANSFORMS} beside it")
    else:
        notes.append(
            f"{path.name} is taken in the scene's own world; a path that nerfstudio's viewer saved "
            f"is in the viewer's: put the {TRANSFORMS} of its run beside it"
        )
    if content.get("crop"):
        notes.append(f"the crop of {path.name} is not applied")
    return notes


def _size(
    content: dict[str, Any], path: Path, default_size: tuple[int, int] | None
) -> tuple[int, int]:
    sides = []
    fallbacks = default_size or (None, None)
    for key, fallback in zip(("render_width", "render_height"), fallbacks, strict=True):
        value = content.get(key, fallback)
        if value is None:
            raise InputError(f"{path} says no {key}: add it")
        side = number(value, f"{key} of {path}")
        if not (1 <= side <= _MAX_SIDE and side == int(side)):
            raise InputError(f"{key} of {path} must be 1 to {_MAX_SIDE} whole pixels, got {side:g}")
        sides.append(int(side))
    return sides[0], sides[1]


def _viewmat(
    entry: dict[str, Any], viewer: tuple[NDArray[np.float64], float] | None, what: str
) -> NDArray[np.float64]:
    """[4, 4] float64, world-to-camera, OpenCV axes."""
    world_from_camera = placed(entry.get("camera_to_world"), f"camera_to_world of {what}")
    if viewer is not None:
        (matrix, scale), rotation = viewer, viewer[0][:, :3]
        world_from_camera[:3, :3] = rotation.T @ world_from_camera[:3, :3]
        world_from_camera[:3, 3] = rotation.T @ (world_from_camera[:3, 3] / scale - matrix[:, 3])
    return np.linalg.inv(world_from_camera @ OPENGL_FROM_OPENCV).astype(np.float64)


def _intrinsics(
    entry: dict[str, Any], content: dict[str, Any], size: tuple[int, int], what: str
) -> Tensor:
    """[3, 3] float32 K."""
    fov = entry.get("fov", content.get("default_fov", content.get("fov")))
    if fov is None:
        raise InputError(f"{what} has no fov")
    degrees = number(fov, f"fov of {what}")
    if not 0 < degrees < 180:
        raise InputError(f"fov of {what} must be between 0 and 180 degrees, got {degrees:g}")
    width, height = size
    focal = 0.5 * height / math.tan(math.radians(degrees) / 2)
    return torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])


def _viewer_from_world(path: Path) -> tuple[NDArray[np.float64], float] | None:
    """[3, 4] (R, t) and the scale of nerfstudio's viewer, if its file is there."""
    if not is_file(path):
        return None
    content = read_cameras_json(path)
    matrix = placed(content.get("transform"), f"transform of {path}")
    scale = number(content.get("scale", 1.0), f"scale of {path}")
    if not 1e-9 < scale < 1e9:
        raise InputError(f"scale of {path} must be above 0, got {scale:g}")
    return matrix[:3], scale
