"""`transforms.json` of nerfstudio, instant-ngp and Blender (NeRF-synthetic).

Poses in these files are camera-to-world with OpenGL axes (x right, y up, z backward), in a world
whose z axis should be up, and often is not. Everything in a file is checked; it may come from
anyone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tondo.errors import InputError
from tondo.io.images import PHOTO_SUFFIXES
from tondo.io.json_files import read_json
from tondo.io.named_files import NamedFile, find_files, readable, safe_path
from tondo.io.posed.frames import EXACT, ROUNDED, check_rigid, nearest_rotation
from tondo.io.posed.intrinsics import Intrinsics, number, read_intrinsics

_MAX_BYTES = 256 << 20  # bounds memory; chosen, not measured
_TRIED_SUFFIXES = (".png", ".jpg", ".jpeg", *sorted(PHOTO_SUFFIXES - {".png", ".jpg", ".jpeg"}))
OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])  # the camera's y and z axes turned round


@dataclass(frozen=True)
class ListedFrame:
    """One frame of the file.

    Attributes:
        name: path below the file's folder with "/", as on the disk if the picture was found.
        listed: the same as the file has it.
        path: the picture, or None if it is not there.
        mask: where its mask should be, if one is named.
        viewmat: [4, 4] float64, world-to-camera, OpenCV axes.
        intrinsics: as the file gives them.
    """

    name: str
    listed: str
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
        up: [3] the world's up direction, if the file says one.
        rounding: for each frame how far its matrix is from a rotation, where decimals are so few
            that it shows (else 0): the largest number of |R^T R - 1|.
    """

    kind: str
    frames: tuple[ListedFrame, ...]
    is_render: bool
    train_names: frozenset[str] | None
    test_names: frozenset[str] | None
    points_path: Path | None
    up: NDArray[np.float64] | None
    rounding: tuple[float, ...]


def read_transforms(path: Path) -> TransformsFile:
    """Read and check a `transforms.json`. No picture is opened.

    Raises:
        InputError: the file is missing, is no such JSON, or holds what no camera can have: NaN, a
            singular, scaling or mirroring matrix, a path that leaves the folder.
    """
    path = Path(path)
    return checked_transforms(read_cameras_json(path), path)


def checked_transforms(content: dict[str, Any], path: Path) -> TransformsFile:
    """The same for the `content` of the file `path`."""
    listed = content.get("frames")
    if not isinstance(listed, list):
        raise InputError(f'{path} has no list "frames": it is no transforms.json')
    _check_kind(content, path)
    folder = path.parent
    what = [f"frame {index} of {path}" for index in range(len(listed))]
    pictures = _find_pictures(listed, folder, what)
    frames = tuple(
        _frame(frame, picture, content, folder, where)
        for frame, picture, where in zip(listed, pictures, what, strict=True)
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
        up=_up(content, path),
        rounding=tuple(_rounding(frame["transform_matrix"]) for frame in listed),
    )


def read_cameras_json(path: Path) -> dict[str, Any]:
    """The object of a transforms.json or of a file like it. Raises InputError."""
    return read_json(path, _MAX_BYTES, "transforms.json")


def _frame(
    frame: dict[str, Any], picture: NamedFile, content: dict[str, Any], folder: Path, what: str
) -> ListedFrame:
    listed = safe_path(folder, readable(frame["file_path"]), f"file_path of {what}")[0]
    what = f"{what} ({listed})"
    mask = frame.get("mask_path")
    if mask is not None and not isinstance(mask, str):
        raise InputError(f"mask_path of {what} must be text")
    mask_path = safe_path(folder, mask, f"mask_path of {what}")[1] if mask else None
    return ListedFrame(
        picture.name,
        listed,
        picture.path,
        mask_path,
        _viewmat(frame.get("transform_matrix"), f"transform_matrix of {what}"),
        read_intrinsics(frame, content, what),
    )


def _find_pictures(listed: list[object], folder: Path, what: list[str]) -> list[NamedFile]:
    """The frames' pictures; Blender and some instant-ngp files leave their endings out."""
    names = []
    for frame, where in zip(listed, what, strict=True):
        if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
            raise InputError(f'{where} has no "file_path"')
        names.append(frame["file_path"])
    return find_files(folder, names, [f"file_path of {where}" for where in what], _TRIED_SUFFIXES)


def _check_kind(content: dict[str, Any], path: Path) -> None:
    """Refuse what would be read wrongly without a word."""
    for key in ("from_na", "normal_mts_args"):
        if content.get(key):
            raise InputError(
                f"{path} has {key!r}: its cameras have other axes than those of transforms.json; "
                "turn them to OpenGL's (x right, y up, z backward) and take the key out"
            )


def _up(content: dict[str, Any], path: Path) -> NDArray[np.float64] | None:
    value = content.get("up")
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 3:
        raise InputError(f"up of {path} must be three numbers, got {str(value)[:40]!r}")
    up = np.array([number(x, f"up of {path}") for x in value])
    length = np.linalg.norm(up)
    if not 1e-6 < length < 1e6:
        raise InputError(f"up of {path} must be a direction, got {str(value)[:40]}")
    return up / length


def _viewmat(value: object, what: str) -> NDArray[np.float64]:
    """World-to-camera with OpenCV axes, from camera-to-world with OpenGL axes."""
    rotation = (world_from_camera := placed(value, what) @ OPENGL_FROM_OPENCV)[:3, :3].T
    viewmat = np.eye(4)
    viewmat[:3, :3] = rotation
    viewmat[:3, 3] = -rotation @ world_from_camera[:3, 3]
    return viewmat


def placed(value: object, what: str) -> NDArray[np.float64]:
    """[4, 4] a rotation and a place, from a matrix out of JSON: the nearest one if it is rounded.

    Raises:
        InputError: it is no matrix, or none that turns and moves; `what` begins the message.
    """
    rows = _rows(value)
    if rows is None:
        raise InputError(f"{what} must be a 4x4 matrix")
    matrix = np.array([[number(x, what, allow_nan=True) for x in row] for row in rows])
    check_rigid(matrix[:3, :3], matrix[:3, 3], what, ROUNDED)
    if len(rows) == 4 and not np.allclose(matrix[3], [0, 0, 0, 1], atol=1e-6):
        is_turned = np.allclose(matrix[:, 3], [0, 0, 0, 1], atol=1e-6)
        hint = ", it is written column by column: transpose it" if is_turned else ""
        raise InputError(f"the last row of {what} must be 0 0 0 1{hint}")
    result = np.eye(4)
    result[:3, :3] = nearest_rotation(matrix[:3, :3])
    result[:3, 3] = matrix[:3, 3]
    return result


def _rows(value: object) -> list[list[object]] | None:
    """Three or four rows of four, from nested lists or from 16 numbers row by row."""
    rows = value if isinstance(value, list) else []
    if len(rows) == 16 and not any(isinstance(x, list) for x in rows):
        rows = [rows[i : i + 4] for i in range(0, 16, 4)]
    is_matrix = len(rows) in (3, 4) and all(isinstance(r, list) and len(r) == 4 for r in rows)
    return rows if is_matrix else None


def _rounding(value: object) -> float:
    rotation = np.array([row[:3] for row in (_rows(value) or [])[:3]], np.float64)
    off = float(np.abs(rotation.T @ rotation - np.eye(3)).max())
    return off if off > EXACT else 0.0


def _names(content: dict[str, Any], key: str, folder: Path, path: Path) -> frozenset[str] | None:
    names = content.get(key)
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{key} of {path} must be a list of paths")
    found = (safe_path(folder, readable(name), f"{key} of {path}") for name in names)
    return frozenset(name for name, _ in found)


def _points_path(content: dict[str, Any], folder: Path, path: Path) -> Path | None:
    text = content.get("ply_file_path")
    if text is None:
        return None
    if not isinstance(text, str):
        raise InputError(f"ply_file_path of {path} must be text")
    return find_files(folder, [text], [f"ply_file_path of {path}"])[0].path
