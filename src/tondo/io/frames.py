"""Frames: photos that a file lists with lens and pose, and how they become `Photo`s."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray

from tondo.data.cameras import Camera, fitted
from tondo.data.photos import Photo, Skipped
from tondo.errors import InputError
from tondo.io.images import ImageData, read_image
from tondo.io.masks import MaskFile, read_mask
from tondo.io.undistort import Lens, UndistortionMap, pinhole_matrix, undistort, undistortion_map

# How far R^T R may be from the identity: Camera's own tolerance, with room for rounding.
_ROTATION_TOLERANCE = 5e-4
_FARTHEST = 1e6
_MAX_PATH = 1024


@dataclass(frozen=True)
class Frame:
    """A photo to be read.

    Attributes:
        name: as in `Photo.name`.
        path: the picture's file.
        lens: how it was imaged; its size must be the picture's.
        viewmat: [4, 4] float64, world-to-camera, OpenCV axes.
        mask: which of its pixels count, or None: all.
    """

    name: str
    path: Path
    lens: Lens
    viewmat: NDArray[np.float64]
    mask: MaskFile | None = None


def pinhole_camera(lens: Lens, viewmat: NDArray[np.float64]) -> Camera:
    """The pinhole camera of a lens without its distortion."""
    K = torch.from_numpy(pinhole_matrix(lens)).float()
    return Camera(torch.from_numpy(viewmat).float(), K, lens.width, lens.height)


def load_frames(frames: Sequence[Frame], max_size: int | None) -> tuple[list[Photo], list[Skipped]]:
    """Decode, undistort and scale down photos, several at a time.

    Args:
        frames: with unique names.
        max_size: longest side in pixels, or None for full size.

    Returns:
        The photos in the order of `frames`, and those whose file could not be read.

    Raises:
        InputError: a photo has another size than its intrinsics say, or a mask another shape.
    """
    results: list[Photo | Skipped] = []
    # A lens that many photos share is worked out once; one map is held at a time.
    for group in _by_lens(frames):
        if len(group) > 1:
            load = functools.partial(_load, lens_map=_map_of(group[0]), max_size=max_size)
            results += _in_threads(load, group)
        else:
            results += [_load(group[0], _map_of(group[0]), max_size)]
    order = {frame.name: index for index, frame in enumerate(frames)}
    results.sort(key=lambda result: order[result.name])
    photos = [result for result in results if isinstance(result, Photo)]
    return photos, [result for result in results if isinstance(result, Skipped)]


def check_rigid(rotation: NDArray[np.float64], translation: NDArray[np.float64], what: str) -> None:
    """Raise InputError, beginning with `what`, unless [3, 3] and [3] are a rotation and a place."""
    values = np.concatenate([rotation.reshape(-1), translation.reshape(-1)])
    if not np.isfinite(values).all():
        raise InputError(f"{what} has values that are NaN or infinite")
    if np.abs(values).max() > _FARTHEST:
        raise InputError(f"{what} has a value beyond {_FARTHEST:g}: too far for 32-bit numbers")
    lengths = np.linalg.norm(rotation, axis=0)
    determinant = np.linalg.det(rotation)
    if abs(determinant) <= 1e-6 * max(1e-12, lengths.prod()):
        raise InputError(f"{what} is singular: its 3x3 part must be a rotation")
    if np.abs(rotation.T @ rotation - np.eye(3)).max() > _ROTATION_TOLERANCE:
        raise InputError(
            f"{what} scales or shears (its axes are {_three(lengths)} long): its 3x3 part must be "
            "a rotation; divide the scale out"
        )
    if determinant < 0:
        raise InputError(f"{what} mirrors (determinant -1): its 3x3 part must be a rotation")


def nearest_rotation(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation closest to a nearly orthonormal [3, 3]."""
    u, _, vt = np.linalg.svd(rotation)
    return u @ vt


def safe_path(folder: Path, text: str, what: str) -> tuple[str, Path]:
    """A path that a file from outside names: (its name below `folder` with "/", its place).

    Raises:
        InputError: it is empty, absolute, has "..", or holds characters that no path of a photo
            has; `what` says where it came from.

    Links are followed wherever they lead: a file of cameras cannot make one, and people link to the
    photos of a large capture instead of copying them.
    """
    plain = text.replace("\\", "/")
    if not plain or len(plain) > _MAX_PATH or not plain.isprintable():
        raise InputError(f"{what} is no usable path: {text[:80]!r}")
    relative = PurePosixPath(plain)
    if relative.is_absolute() or ".." in relative.parts or plain[1:2] == ":":
        raise InputError(f"{what} leaves the folder: {text!r}; paths must stay below {folder}")
    if not relative.parts:
        raise InputError(f"{what} names no file: {text!r}")
    return relative.as_posix(), folder / relative


def is_file(path: Path) -> bool:
    """`path.is_file()`, and False too where the name is one that no file can have."""
    try:
        return path.is_file()
    except OSError:
        return False


def _map_of(frame: Frame) -> UndistortionMap | None:
    try:
        return undistortion_map(frame.lens)
    except InputError as error:
        raise InputError(f"{frame.name}: {error}") from error


def _by_lens(frames: Sequence[Frame]) -> Iterable[list[Frame]]:
    groups: dict[Lens, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(frame.lens, []).append(frame)
    return groups.values()


def _in_threads(
    load: Callable[[Frame], Photo | Skipped], frames: Sequence[Frame]
) -> list[Photo | Skipped]:
    # Pillow, OpenCV and pycolmap release the GIL. Few threads: each holds a photo at full size.
    pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1))
    try:
        return list(pool.map(load, frames))
    finally:
        pool.shutdown(cancel_futures=True)


def _load(frame: Frame, lens_map: UndistortionMap | None, max_size: int | None) -> Photo | Skipped:
    try:
        image, upright = _read_as_imaged(frame.path, frame.lens)
    except InputError as error:
        return Skipped(frame.name, str(error))
    _check_size(frame, image)
    camera = fitted(pinhole_camera(frame.lens, frame.viewmat), max_size)
    picture, valid = undistort(image, lens_map, camera.width, camera.height)
    if frame.mask is not None:
        height, width = image.rgb.shape[:2]
        counts = read_mask(frame.mask, frame.path, (height, width), upright=upright)
        grey = torch.from_numpy(counts.astype(np.uint8) * 255)[..., None].expand(-1, -1, 3)
        seen, _ = undistort(ImageData(grey, None), lens_map, camera.width, camera.height)
        kept = seen.rgb[..., 0] >= 128
        valid = kept if valid is None else kept & valid
    return Photo(frame.name, camera, picture.rgb, picture.alpha, valid)


def _read_as_imaged(path: Path, lens: Lens) -> tuple[ImageData, bool]:
    """The picture as its pose was found, and whether that is turned upright.

    COLMAP and instant-ngp look at the pixels as they are stored, whatever EXIF says of the
    orientation. It counts only where the intrinsics fit the picture that was turned upright.
    """
    image = read_image(path, upright=False)
    if (lens.height, lens.width) == tuple(image.rgb.shape[:2]):
        return image, False
    turned = read_image(path)
    fits = (lens.height, lens.width) == tuple(turned.rgb.shape[:2])
    return (turned, True) if fits else (image, False)


def _check_size(frame: Frame, image: ImageData) -> None:
    height, width = image.rgb.shape[:2]
    if (width, height) != (frame.lens.width, frame.lens.height):
        raise InputError(
            f"the intrinsics of {frame.name} are of another size: they say "
            f"{frame.lens.width}x{frame.lens.height}, {frame.path} is {width}x{height}; "
            "scale the photos back, or the intrinsics (w h fl_x fl_y cx cy) to the photos"
        )


def _three(values: NDArray[np.float64]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
