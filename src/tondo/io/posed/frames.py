"""Frames: photos that a file lists with lens and pose, and how they become `Photo`s."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median_low

import numpy as np
import torch
from numpy.typing import NDArray

from tondo.data.cameras import Camera
from tondo.data.photos import Photo, Skipped
from tondo.data.similarity import Similarity
from tondo.errors import InputError
from tondo.geometry.cameras import fitted
from tondo.io.images import PHOTO_SUFFIXES, ImageData, image_size, read_image
from tondo.io.mask_files import Outside
from tondo.io.masks import NOTHING_KEPT, MaskFile, read_mask, without_masked
from tondo.io.posed.undistort import (
    Lens,
    UndistortionMap,
    pinhole_matrix,
    rescaled,
    undistort,
    undistortion_map,
)
from tondo.io.threads import in_threads

# How far R^T R may be from the identity: Camera's own tolerance, with room for rounding; and that
# of matrices that were written with 2 decimals, which may be off by 2 sqrt(3) / 200.
EXACT = 5e-4
ROUNDED = 2e-2
_FARTHEST = 1e12  # world units; beyond, 64-bit numbers have a thousandth of one


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


@dataclass(frozen=True)
class Reading:
    """How photos are read; as the arguments of `tondo.io.posed.photos.load_photos`."""

    max_size: int | None
    holdout: int
    load_points: bool
    masks: str
    outside_masks: Outside
    world_from_scene: Similarity | None


@dataclass(frozen=True)
class NamedCamera:
    """A camera out of a file.

    Attributes:
        name: the photo's path below its folder with "/", without ending.
        camera: the pinhole camera with the photo's K and size (its distortion left out).
        held_out: the file says that training does not see its photo.
    """

    name: str
    camera: Camera
    held_out: bool = False


def pinhole_camera(lens: Lens, viewmat: NDArray[np.float64]) -> Camera:
    """The pinhole camera of a lens without its distortion."""
    K = torch.from_numpy(pinhole_matrix(lens)).float()
    return Camera(torch.from_numpy(viewmat).float(), K, lens.width, lens.height)


def lens_for(lens: Lens, path: Path) -> Lens:
    """`lens` scaled to a photo that is the same picture at another size (say, images of a half).

    To be used where the intrinsics name the size that they are for; a photo of another shape, as
    stored and as turned upright, is left to `load_frames` to refuse.
    """
    for upright in (False, True):
        try:
            width, height = image_size(path, upright=upright)
        except InputError:
            return lens
        ratio = max(width, height) / max(lens.width, lens.height)
        off = max(abs(lens.width * ratio - width), abs(lens.height * ratio - height))
        if off < 1:
            is_same = (width, height) == (lens.width, lens.height)
            return lens if is_same else rescaled(lens, width, height)
    return lens


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
            # Few threads: each holds a photo at full size.
            results += in_threads(load, group, most=4)
        else:
            results += [_load(group[0], _map_of(group[0]), max_size)]
    order = {frame.name: index for index, frame in enumerate(frames)}
    results.sort(key=lambda result: order[result.name])
    photos = [result for result in results if isinstance(result, Photo)]
    return photos, [result for result in results if isinstance(result, Skipped)]


def load_masked(
    frames: Sequence[Frame],
    masks: Mapping[Path, MaskFile],
    max_size: int | None,
    held_out: set[str],
) -> tuple[list[Photo], list[Skipped]]:
    """As `load_frames`, with the mask of each frame's file; photos that are masked wholly are
    among those that are left out."""
    masked = [replace(frame, mask=masks.get(frame.path)) for frame in frames]
    photos, unreadable = load_frames(masked, max_size)
    photos, empty = without_masked(photos, held_out)
    return photos, unreadable + empty


def full_size(frames: Sequence[Frame], photos: Sequence[Photo]) -> tuple[int, int] | None:
    """Width and height before they were scaled down of the middle one of those `photos` that were;
    None where none was."""
    cameras = {photo.name: photo.camera for photo in photos}
    larger = [
        (frame.lens.width, frame.lens.height)
        for frame in frames
        if (camera := cameras.get(frame.name)) is not None and camera.width < frame.lens.width
    ]
    return median_low(larger) if larger else None


def check_rigid(
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    what: str,
    tolerance: float = EXACT,
) -> None:
    """Raise InputError, beginning with `what`, unless [3, 3] and [3] are a rotation and a place."""
    values = np.concatenate([rotation.reshape(-1), translation.reshape(-1)])
    if not np.isfinite(values).all():
        raise InputError(f"{what} has values that are NaN or infinite")
    if np.abs(values).max() > _FARTHEST:
        raise InputError(f"{what} has a value beyond {_FARTHEST:g}: too far for 64-bit numbers")
    lengths = np.linalg.norm(rotation, axis=0)
    determinant = np.linalg.det(rotation)
    if abs(determinant) <= 1e-6 * max(1e-12, lengths.prod()):
        raise InputError(f"{what} is singular: its 3x3 part must be a rotation")
    if np.abs(rotation.T @ rotation - np.eye(3)).max() > tolerance:
        axes = ", ".join(f"{length:.4g}" for length in lengths)
        raise InputError(
            f"{what} scales or shears (its axes are {axes} long): its 3x3 part must be "
            "a rotation; divide the scale out"
        )
    if determinant < 0:
        raise InputError(f"{what} mirrors (determinant -1): its 3x3 part must be a rotation")


def nearest_rotation(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation closest to a nearly orthonormal [3, 3]."""
    u, _, vt = np.linalg.svd(rotation)
    return u @ vt


def name_without_ending(name: str) -> str:
    """A photo's name without the ending of its picture's format."""
    path = Path(name)
    return path.with_suffix("").as_posix() if path.suffix.lower() in PHOTO_SUFFIXES else name


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


def _load(frame: Frame, lens_map: UndistortionMap | None, max_size: int | None) -> Photo | Skipped:
    try:
        image, upright = _read_as_imaged(frame.path, frame.lens)
    except InputError as error:
        return Skipped(frame.name, str(error))
    _check_size(frame, image)
    camera = fitted(pinhole_camera(frame.lens, frame.viewmat), max_size)
    if frame.mask is not None:
        height, width = image.rgb.shape[:2]
        counts = read_mask(frame.mask, frame.path, (height, width), upright=upright)
        if frame.mask.is_alpha and not counts.any():
            return Skipped(frame.name, NOTHING_KEPT)
        if frame.mask.is_alpha:
            image = _with_alpha(image, counts)
    picture, valid = undistort(image, lens_map, camera.width, camera.height)
    if frame.mask is not None and not frame.mask.is_alpha:
        grey = torch.from_numpy(counts.astype(np.uint8) * 255)[..., None].expand(-1, -1, 3)
        seen, _ = undistort(ImageData(grey, None), lens_map, camera.width, camera.height)
        kept = seen.rgb[..., 0] >= 128
        valid = kept if valid is None else kept & valid
    return Photo(frame.name, camera, picture.rgb, picture.alpha, valid)


def _with_alpha(image: ImageData, counts: NDArray[np.bool_]) -> ImageData:
    """The picture with nothing where a mask [H, W] leaves out."""
    alpha = torch.from_numpy(counts.astype(np.uint8) * 255)
    if image.alpha is not None:
        alpha = torch.minimum(alpha, image.alpha)
    return replace(image, alpha=alpha)


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
