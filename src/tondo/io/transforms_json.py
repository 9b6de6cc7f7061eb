"""`transforms.json` of nerfstudio, instant-ngp and Blender (NeRF-synthetic).

Poses in these files are camera-to-world with OpenGL axes (x right, y up, z backward), in a world
whose z axis is up. Everything in a file is checked; it may come from anyone.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tondo.errors import InputError
from tondo.io.frames import check_rigid, is_file, nearest_rotation, safe_path
from tondo.io.images import PHOTO_SUFFIXES
from tondo.io.undistort import Lens

_MAX_BYTES = 256 << 20
_DISTORTION = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
_PERSPECTIVE = ("", "SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")
_TRIED_SUFFIXES = (".png", ".jpg", ".jpeg", ".JPG", ".PNG", ".webp", ".tif", ".tiff", ".heic")
_OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Intrinsics:
    """The intrinsics of one frame as the file gives them; None where it does not.

    Attributes:
        model: "OPENCV" (polynomial distortion, or none), "FULL_OPENCV" or "OPENCV_FISHEYE".
        width, height: pixels.
        fx, fy, cx, cy: pixels.
        angle_x, angle_y: fields of view in radians.
        distortion: (k1, k2, p1, p2, k3, k4, k5, k6).
    """

    model: str
    width: int | None
    height: int | None
    fx: float | None
    fy: float | None
    cx: float | None
    cy: float | None
    angle_x: float | None
    angle_y: float | None
    distortion: tuple[float, ...]


@dataclass(frozen=True)
class ListedFrame:
    """One frame of the file.

    Attributes:
        name: path below the file's folder with "/"; the picture's ending is added if it was found.
        path: the picture, or None if it is not there.
        mask: where its mask should be, if one is named.
        viewmat: [4, 4] float64, world-to-camera, OpenCV axes.
        intrinsics: as the file gives them.
    """

    name: str
    path: Path | None
    mask: Path | None
    viewmat: NDArray[np.float64]
    intrinsics: Intrinsics


@dataclass(frozen=True)
class TransformsFile:
    """A checked file.

    Attributes:
        kind: "nerfstudio", "instant-ngp" or "Blender", for reports.
        frames: in the file's order.
        is_render: no photo's intrinsics, only a field of view: pictures out of a renderer.
        train_names, test_names: names of frames (without ending) if the file names its own split.
        points_path: a PLY with points in the same world, if the file names one that is there.
    """

    kind: str
    frames: tuple[ListedFrame, ...]
    is_render: bool
    train_names: frozenset[str] | None
    test_names: frozenset[str] | None
    points_path: Path | None


def read_transforms(path: Path) -> TransformsFile:
    """Read and check a `transforms.json`. No picture is opened.

    Raises:
        InputError: the file is missing, is no such JSON, or holds what no camera can have: NaN, a
            singular, scaling or mirroring matrix, a path that leaves the folder.
    """
    path = Path(path)
    content = _read_json(path)
    listed = content.get("frames")
    if not isinstance(listed, list):
        raise InputError(f'{path} has no list "frames": it is no transforms.json')
    folder = path.parent
    frames = tuple(
        _frame(frame, content, folder, f"frame {index} of {path}")
        for index, frame in enumerate(listed)
    )
    test_key = "test_filenames" if "test_filenames" in content else "val_filenames"
    keys = set(content)
    is_nerfstudio = bool(keys & {"camera_model", "applied_transform", "ply_file_path"})
    is_render = bool(frames) and all(f.intrinsics.fx is None for f in frames) and not is_nerfstudio
    return TransformsFile(
        kind="nerfstudio" if is_nerfstudio else "Blender" if is_render else "instant-ngp",
        frames=frames,
        is_render=is_render,
        train_names=_names(content, "train_filenames", folder, path),
        test_names=_names(content, test_key, folder, path),
        points_path=_points_path(content, folder, path),
    )


def lens_of(intrinsics: Intrinsics, size: tuple[int, int] | None, what: str) -> Lens:
    """The lens of a frame.

    Args:
        intrinsics: as the file gives them.
        size: (width, height) for a file that does not say; ignored where it does.
        what: the frame, for messages.

    Raises:
        InputError: values are missing or cannot be, or the size is not known.
    """
    width, height = intrinsics.width, intrinsics.height
    if width is None or height is None:
        if size is None:
            raise InputError(
                f"{what} gives no picture size and its picture is not there: add w and h"
            )
        width, height = size
        for key, value, side in (("cx", intrinsics.cx, width), ("cy", intrinsics.cy, height)):
            if value is not None and not 0 < value < side:
                raise InputError(
                    f"the intrinsics of {what} are of another size: {key} {value:g} is outside "
                    f"its picture of {width}x{height}; add the w and h that they are for"
                )
    fx, fy = _focals(intrinsics, width, height, what)
    cx = width / 2 if intrinsics.cx is None else intrinsics.cx
    cy = height / 2 if intrinsics.cy is None else intrinsics.cy
    pinhole = (fx, fy, cx, cy)
    k1, k2, p1, p2, k3, k4, *_ = intrinsics.distortion
    try:
        if intrinsics.model == "OPENCV_FISHEYE":
            return Lens("OPENCV_FISHEYE", width, height, (*pinhole, k1, k2, k3, k4))
        if intrinsics.model == "FULL_OPENCV" or k3:
            return Lens("FULL_OPENCV", width, height, pinhole + intrinsics.distortion)
        if any((k1, k2, p1, p2)):
            return Lens("OPENCV", width, height, (*pinhole, k1, k2, p1, p2))
        return Lens("PINHOLE", width, height, pinhole)
    except InputError as error:
        raise InputError(f"{what}: {error}") from error


def _read_json(path: Path) -> dict[str, Any]:
    if not is_file(path):
        raise InputError(f"there is no file {path}")
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise InputError(f"{path} has {size >> 20} MiB: no transforms.json is that large")
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f'{path} is no transforms.json: expected an object with "frames"')
    return content


def _frame(frame: object, content: dict[str, Any], folder: Path, what: str) -> ListedFrame:
    if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
        raise InputError(f'{what} has no "file_path"')
    name, path = safe_path(folder, frame["file_path"], f"file_path of {what}")
    what = f"{what} ({name})"
    name, found = _find_picture(folder, name, path, what)
    mask = frame.get("mask_path")
    if mask is not None and not isinstance(mask, str):
        raise InputError(f"mask_path of {what} must be text")
    mask_path = safe_path(folder, mask, f"mask_path of {what}")[1] if mask else None
    return ListedFrame(
        name,
        found,
        mask_path,
        _viewmat(frame.get("transform_matrix"), f"transform_matrix of {what}"),
        _intrinsics(frame, content, what),
    )


def _find_picture(folder: Path, name: str, path: Path, what: str) -> tuple[str, Path | None]:
    """The frame's picture; Blender and some instant-ngp files leave its ending out."""
    if is_file(path):
        return name, path
    if path.suffix.lower() not in PHOTO_SUFFIXES:
        for suffix in _TRIED_SUFFIXES:
            if is_file(folder / (name + suffix)):
                return safe_path(folder, name + suffix, f"file_path of {what}")
    return name, None


def _viewmat(value: object, what: str) -> NDArray[np.float64]:
    """World-to-camera with OpenCV axes, from camera-to-world with OpenGL axes."""
    rows = value if isinstance(value, list) else []
    if len(rows) not in (3, 4) or not all(isinstance(r, list) and len(r) == 4 for r in rows):
        raise InputError(f"{what} must be a 4x4 matrix")
    matrix = np.array([[_number(x, what, allow_nan=True) for x in row] for row in rows])
    check_rigid(matrix[:3, :3], matrix[:3, 3], what)
    if len(rows) == 4 and not np.allclose(matrix[3], [0, 0, 0, 1], atol=1e-6):
        raise InputError(f"the last row of {what} must be 0 0 0 1")
    world_from_camera = np.eye(4)
    world_from_camera[:3, :3] = nearest_rotation(matrix[:3, :3])
    world_from_camera[:3, 3] = matrix[:3, 3]
    rotation = (world_from_camera @ _OPENGL_FROM_OPENCV)[:3, :3].T
    viewmat = np.eye(4)
    viewmat[:3, :3] = rotation
    viewmat[:3, 3] = -rotation @ world_from_camera[:3, 3]
    return viewmat


def _intrinsics(frame: dict[str, Any], content: dict[str, Any], what: str) -> Intrinsics:
    def get(key: str) -> float | None:
        value = frame.get(key, content.get(key))
        return None if value is None else _number(value, f"{key} of {what}")

    distortion = tuple(get(key) or 0.0 for key in _DISTORTION)
    return Intrinsics(
        model=_model(frame, content, distortion, what),
        width=_whole(get("w"), f"w of {what}"),
        height=_whole(get("h"), f"h of {what}"),
        fx=get("fl_x"),
        fy=get("fl_y"),
        cx=get("cx"),
        cy=get("cy"),
        angle_x=get("camera_angle_x"),
        angle_y=get("camera_angle_y"),
        distortion=distortion,
    )


def _model(
    frame: dict[str, Any], content: dict[str, Any], distortion: tuple[float, ...], what: str
) -> str:
    name = frame.get("camera_model", content.get("camera_model")) or ""
    if name == "OPENCV_FISHEYE" or frame.get("is_fisheye", content.get("is_fisheye")) is True:
        return "OPENCV_FISHEYE"
    if name == "FULL_OPENCV":
        return "FULL_OPENCV"
    if name not in _PERSPECTIVE:
        raise InputError(
            f"{what} has the camera_model {str(name)[:40]!r}, which cannot be undistorted: "
            "expected PINHOLE, OPENCV, FULL_OPENCV or OPENCV_FISHEYE"
        )
    if any(distortion[5:]):
        # nerfstudio's own polynomial has k4 r^8, OpenCV divides by 1 + k4 r^2: the file is unclear.
        raise InputError(
            f"{what} has k4, k5 or k6, which the camera_model {name or 'OPENCV'} does not have: "
            "set them to 0, or camera_model to FULL_OPENCV or OPENCV_FISHEYE"
        )
    return "OPENCV"


def _focals(intrinsics: Intrinsics, width: int, height: int, what: str) -> tuple[float, float]:
    fx, fy = intrinsics.fx, intrinsics.fy
    if fx is None and intrinsics.angle_x is not None:
        fx = _focal(intrinsics.angle_x, width, f"camera_angle_x of {what}")
        if fy is None and intrinsics.angle_y is not None:
            fy = _focal(intrinsics.angle_y, height, f"camera_angle_y of {what}")
    if fx is None:
        raise InputError(f"{what} has no focal length: add fl_x or camera_angle_x")
    return fx, fx if fy is None else fy


def _focal(angle: float, side: int, what: str) -> float:
    if not 0 < angle < math.pi:
        raise InputError(f"{what} must be an angle between 0 and pi radians, got {angle:g}")
    return 0.5 * side / math.tan(0.5 * angle)


def _number(value: object, what: str, *, allow_nan: bool = False) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{what} must be a number, got {str(value)[:40]!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) and not allow_nan:
        raise InputError(f"{what} must be finite, got {number}")
    return number


def _whole(value: float | None, what: str) -> int | None:
    if value is not None and (value != int(value) or value < 1):
        raise InputError(f"{what} must be a whole number of pixels, got {value:g}")
    return None if value is None else int(value)


def _names(content: dict[str, Any], key: str, folder: Path, path: Path) -> frozenset[str] | None:
    names = content.get(key)
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{key} of {path} must be a list of paths")
    found = (safe_path(folder, name, f"{key} of {path}") for name in names)
    return frozenset(name for name, _ in found)


def _points_path(content: dict[str, Any], folder: Path, path: Path) -> Path | None:
    text = content.get("ply_file_path")
    if text is None:
        return None
    if not isinstance(text, str):
        raise InputError(f"ply_file_path of {path} must be text")
    _, points = safe_path(folder, text, f"ply_file_path of {path}")
    return points if is_file(points) else None
