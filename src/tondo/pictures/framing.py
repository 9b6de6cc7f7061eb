"""What a set of pictures has in common, which square of each is used, and the finished picture."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tondo.data.photos import Skipped
from tondo.errors import InputError, OptionError
from tondo.io.images import ImageData
from tondo.io.posed.undistort import undistort, undistortion_map
from tondo.pictures.background import common_background, has_background, on_white
from tondo.pictures.cameras import ObjectSpace, find_object_space, square_of
from tondo.pictures.crop import (
    Square,
    cropped,
    inside,
    middle_squares,
    object_squares,
)
from tondo.pictures.measure import over_white
from tondo.pictures.scan import PictureScan

_map_of = functools.lru_cache(maxsize=2)(undistortion_map)
# A much larger picture is first reduced to so many times the size that is wanted.
_OVERSIZE = 4  # chosen


@dataclass(frozen=True)
class Framed:
    """Pictures that belong together.

    Attributes:
        scans, squares: one square for each picture.
        background: the plain colour behind the object, which becomes white, or None.
        channels: 4 where the set has alpha, otherwise 3.
        kind: what was recognised, in plain words.
        space: where the cameras' object is, or None without cameras.
    """

    scans: tuple[PictureScan, ...]
    squares: tuple[Square, ...]
    background: tuple[float, float, float] | None
    channels: int
    kind: str
    space: ObjectSpace | None

    @property
    def is_plain(self) -> bool:
        return self.background is not None or self.channels == 4


def choose_squares(
    scans: Sequence[PictureScan], crop: str, size: int, with_cameras: bool
) -> tuple[Framed, list[Skipped]]:
    """Recognise what the pictures have in common and choose each one's square.

    Raises:
        InputError: cameras that do not look at one thing.
        OptionError: `crop` cannot be used with these pictures.
    """
    if with_cameras and crop != "auto":
        raise OptionError(
            f"`crop={crop}`: pictures with cameras are cut around what these look at; move "
            "transforms.json away to cut them otherwise"
        )
    fitting, background, channels, kind, left_out = _recognised(scans)
    is_plain = background is not None or channels == 4
    if crop == "object" and not is_plain:
        raise OptionError(
            "`crop=object`: these pictures have scenery behind the object; it takes a plain "
            "background or transparency to find it"
        )
    if is_plain:
        left_out += [Skipped(one.file.name, "nothing on it") for one in fitting if one.box is None]
        fitting = [scan for scan in fitting if scan.box is not None]
    space = None
    if with_cameras and fitting:
        fitting, squares, space, unseen = _by_cameras(fitting, is_plain)
        left_out += unseen
        kind += f"; {space.note}" if space.note else ""
    else:
        squares = _by_picture(fitting, crop, is_plain)
    kept = []
    for scan, square in zip(fitting, squares, strict=True):
        if square.side * 2 < size:
            reason = f"too small: {scan.width}x{scan.height}, less than half of `size={size}`"
            left_out.append(Skipped(scan.file.name, reason))
        else:
            kept.append((scan, square))
    framed = Framed(
        tuple(scan for scan, _ in kept),
        tuple(square for _, square in kept),
        background,
        channels,
        kind,
        space,
    )
    return framed, left_out


def finish(
    image: ImageData, scan: PictureScan, square: Square, framed: Framed, size: int
) -> NDArray[np.uint8]:
    """The picture [size, size, C]: undistorted, on white, cut and scaled."""
    if scan.camera is not None:
        image, _ = undistort(image, _map_of(scan.camera.lens), scan.width, scan.height)
    pixels = image.rgb.numpy()
    if image.alpha is not None or framed.channels == 4:
        alpha = np.full(pixels.shape[:2], 255, np.uint8) if image.alpha is None else image.alpha
        pixels = np.dstack([pixels, alpha])
    if square.side > 2 * _OVERSIZE * size:
        ratio = _OVERSIZE * size / square.side
        height, width = (max(1, round(s * ratio)) for s in pixels.shape[:2])
        pixels = _reduced(pixels, width, height)
        square = Square(*(value * ratio for value in square))
    if framed.background is not None:
        pixels = on_white(pixels[..., :3], framed.background)
    picture = cropped(pixels, square, size)
    return over_white(picture) if framed.channels == 3 else picture


def _reduced(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """An area filter that keeps what lies under transparent pixels out of the others."""
    if pixels.shape[2] == 3:
        reduced = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(reduced, np.uint8)
    alpha = pixels[..., 3:].astype(np.float32)
    whole = np.dstack([pixels[..., :3] * (alpha / 255), alpha])
    small = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA))
    straight = small[..., :3] * (255 / np.maximum(small[..., 3:], 1e-3))
    return np.dstack([straight, small[..., 3]]).clip(0, 255).round().astype(np.uint8)


def _recognised(
    scans: Sequence[PictureScan],
) -> tuple[list[PictureScan], tuple[float, float, float] | None, int, str, list[Skipped]]:
    """(pictures that belong together, plain background, channels, in words, the others)."""
    with_alpha = sum(scan.has_alpha for scan in scans)
    if with_alpha * 2 >= len(scans):
        others = [scan for scan in scans if not scan.has_alpha]
        reason = "no transparency, unlike most of the set"
        kept = [scan for scan in scans if scan.has_alpha]
        return kept, None, 4, "transparent around the object", _skipped(others, reason)
    color = common_background([scan.border for scan in scans])
    if color is None:
        return list(scans), None, 3, "scenery behind the object", []
    kept = [scan for scan in scans if has_background(scan.border, color) and not scan.has_alpha]
    names = {scan.file.name for scan in kept}
    others = [scan for scan in scans if scan.file.name not in names]
    word = "white" if min(color) >= 240 else "of the colour " + " ".join(f"{c:.0f}" for c in color)
    kind = f"on a plain background ({word}), which was found on the pictures' borders"
    return kept, color, 3, kind, _skipped(others, "another background than most of the set")


def _skipped(scans: Sequence[PictureScan], reason: str) -> list[Skipped]:
    return [Skipped(scan.file.name, reason) for scan in scans]


def _by_picture(scans: Sequence[PictureScan], crop: str, is_plain: bool) -> list[Square]:
    sizes = [(scan.width, scan.height) for scan in scans]
    boxes = [scan.box for scan in scans if scan.box is not None]
    if crop in ("auto", "object") and is_plain and len(boxes):
        return object_squares(sizes, boxes)
    return middle_squares(sizes, whole=crop == "whole")


def _by_cameras(
    scans: Sequence[PictureScan], is_plain: bool
) -> tuple[list[PictureScan], list[Square], ObjectSpace, list[Skipped]]:
    cameras = [scan.camera for scan in scans if scan.camera is not None]
    if len(cameras) != len(scans):
        raise InputError("some pictures have cameras and some have none")
    space = find_object_space(cameras, [scan.box for scan in scans] if is_plain else None)
    kept, squares, unseen = [], [], []
    for scan, camera in zip(scans, cameras, strict=True):
        square = square_of(camera, space)
        if square is None:
            unseen.append(Skipped(scan.file.name, "its camera does not look at the object"))
        else:
            kept.append(scan)
            squares.append(square if is_plain else inside(square, scan.width, scan.height))
    return kept, squares, space, unseen
