"""Masks: which of a photo's pixels count.

What is not 0 keeps a pixel, as in nerfstudio and COLMAP; in instant-ngp's `dynamic_mask_NAME.png`
it is what drops one.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tondo.data.photos import Photo, Skipped
from tondo.errors import InputError
from tondo.io.images import TRANSPOSE, opened_picture, orientation_of

NOTHING_KEPT = "its mask keeps no pixel: wholly masked"
# SSIM's windows are 11x11: with fewer pixels side by side there is nothing to measure on.
_MEASURED_SIDE = 11
TOO_LITTLE_KEPT = (
    f"held out, but its mask keeps no {_MEASURED_SIDE}x{_MEASURED_SIDE} pixels side by side to "
    "measure on"
)
BY_MASK = (NOTHING_KEPT, TOO_LITTLE_KEPT)
_SHAPE_SIDE = 256  # pixels of the longest side, about; chosen
# Their values ring around edges, and an exact 0 may not survive.
_LOSSY = ("JPEG", "MPO", "WEBP", "HEIF", "AVIF")


@dataclass(frozen=True)
class MaskFile:
    """A mask of a photo.

    Attributes:
        path: the file.
        drops: what is not 0 in it is left out, not kept.
        is_alpha: nothing is where it leaves out; else what is there is not known.
    """

    path: Path
    drops: bool = False
    is_alpha: bool = False


def read_mask(mask: MaskFile, photo: Path, shape: tuple[int, int], *, upright: bool) -> NDArray:
    """[H, W] bool, True where the photo counts.

    The mask is in the alpha channel where that is not 255 everywhere; otherwise a colour that is
    not black keeps a pixel, in grey of any depth a value that is not 0. Palettes go by their
    colours, or by the index where these tell nothing (all black, or none). Lossy files (JPEG, WebP,
    HEIC, AVIF) are cut at half of their brightest value.

    Args:
        mask: a picture of the photo's shape, at any scale; turned like the photo as stored or as
            shown.
        photo: whose mask it is.
        shape: (H, W) of the photo as it was read.
        upright: the photo was turned as its EXIF orientation says.

    Raises:
        InputError: as `read_image`; or the mask has another shape than the photo.
    """
    with opened_picture(mask.path) as picture:
        own = orientation_of(picture)
        picture.load()
        marked = _marked(picture)
    kept = ~marked if mask.drops else marked
    turns: tuple[Callable[[], NDArray], ...]
    if upright:
        turns = (lambda: _turned(kept, own), lambda: kept, lambda: _turned(kept, _turn(photo)))
    else:
        turns = (
            lambda: kept,
            lambda: _turned(kept, own),
            lambda: _turned(kept, {6: 8, 8: 6}.get(_turn(photo), _turn(photo))),
        )
    for turn in turns:
        found = turn()
        if found.shape == shape:
            return found
        if _same_shape(found.shape, shape):
            small = found.astype(np.uint8)
            sized = cv2.resize(small, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
            return sized.astype(np.bool_)
    height, width = kept.shape
    raise InputError(
        f"the mask {mask.path} is {width}x{height}, but its photo {photo.name} is "
        f"{shape[1]}x{shape[0]}, of another shape: make the mask from that photo, or leave masks "
        "out with `masks=none`"
    )


def mask_shape(mask: MaskFile) -> NDArray[np.bool_]:
    """[H', W'] bool, True where a mask keeps, small and as it is stored.

    Raises:
        InputError: as `read_image`.
    """
    with opened_picture(mask.path) as picture:
        marked = _marked(picture)
    kept = ~marked if mask.drops else marked
    step = max(1, max(kept.shape) // _SHAPE_SIDE)
    return np.ascontiguousarray(kept[::step, ::step])


def check_not_masked(usable: Sequence[object], skipped: Sequence[Skipped], source: Path) -> None:
    """Raise InputError if there is no usable photo because masks leave nothing of any."""
    empty = [one for one in skipped if one.reason == NOTHING_KEPT]
    if empty and not usable:
        raise InputError(
            f"the masks of {source} leave no pixel of any photo to learn from (the first: "
            f"{empty[0].name}): what is black in a mask does not count; correct them, or leave "
            "them out with `masks=none`"
        )


def without_masked(
    photos: Sequence[Photo], held_out: Container[str]
) -> tuple[list[Photo], list[Skipped]]:
    """Those of `photos` of which a mask keeps something, and of those `held_out` (names) something
    to measure on; and the others."""
    kept, skipped = [], []
    for photo in photos:
        if photo.valid is None:
            kept.append(photo)
        elif not bool(photo.valid.any()):
            skipped.append(Skipped(photo.name, NOTHING_KEPT))
        elif photo.name in held_out and not _measurable(photo.valid.numpy()):
            skipped.append(Skipped(photo.name, TOO_LITTLE_KEPT))
        else:
            kept.append(photo)
    return kept, skipped


def _measurable(valid: NDArray) -> bool:
    window = np.ones([min(_MEASURED_SIDE, side) for side in valid.shape], np.uint8)
    inside = cv2.erode(
        valid.astype(np.uint8), window, borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    return bool(inside.any())


def _marked(picture: Image.Image) -> NDArray[np.bool_]:
    """[H, W] bool, where a decoded mask is not 0."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        values = np.asarray(picture)
        return (values != 0) & (values == values)  # NaN is nothing
    plane = None
    if picture.has_transparency_data or picture.mode in ("La", "RGBa"):
        alpha = np.asarray(picture.convert("RGBA").getchannel("A"))
        plane = alpha if alpha.min() < 255 else None
    if plane is None and picture.mode == "P":
        return _marked_palette(picture)
    if plane is None:
        plane = np.asarray(picture.convert("RGB")).max(axis=2)
    if picture.format in _LOSSY:
        return plane * 2.0 > plane.max()
    return plane != 0


def _marked_palette(picture: Image.Image) -> NDArray[np.bool_]:
    index = np.asarray(picture)
    colors = np.zeros((256, 3), np.uint8)
    palette = np.array(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    colors[: len(palette)] = palette
    lit = colors.max(axis=1) > 0
    used = np.unique(index)
    if len(used) > 1 and lit[used].all() == lit[used].any():
        return index != 0
    return lit[index]


def _turned(kept: NDArray[np.bool_], orientation: int) -> NDArray[np.bool_]:
    if orientation not in TRANSPOSE:
        return kept
    picture = Image.fromarray(kept.astype(np.uint8))
    return np.asarray(picture.transpose(TRANSPOSE[orientation])) > 0


def _turn(photo: Path) -> int:
    with opened_picture(photo) as picture:
        return orientation_of(picture)


def _same_shape(shape: tuple[int, ...], wanted: tuple[int, int]) -> bool:
    """Whether a mask is its photo's picture at another scale, but for rounding to pixels."""
    ratio = max(shape) / max(wanted)
    return max(abs(a - b * ratio) for a, b in zip(shape, wanted, strict=True)) <= 1
