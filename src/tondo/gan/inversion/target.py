"""One photograph of one thing, made ready for being compared with a generator's pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tondo.errors import InputError
from tondo.io.images import ImageData, read_image
from tondo.pictures.background import BORDER_SHARE, background_mask, measure_border, object_box
from tondo.pictures.crop import MARGIN, Square, cropped, middle_squares

LEAST_SIDE = 8  # pixels of a photo; chosen, not measured
WORKED_SIDE = 512  # a cut-out is found on a picture of at most this size; chosen
LEAST_SHARE = 0.002  # of the picture that an object must cover; chosen


@dataclass(frozen=True)
class Target:
    """A photograph as the generator's cameras would have taken it.

    Attributes:
        image: [S, S, 3] float sRGB 0..1, on white where it was cut out.
        mask: [S, S] float 0..1 coverage of the object, or None where scenery is kept.
        assumed: how the object was found, in words.
    """

    image: Tensor
    mask: Tensor | None
    assumed: str


def read_target(path: Path, size: int, *, scenery: bool) -> Target:
    """Read, cut out and crop a photograph.

    The object is found by the picture's alpha, else by a plain background, else it is taken to be
    what stands out in the middle (GrabCut: Rother et al. 2004).

    Args:
        size: pixels a side of the result.
        scenery: the generator makes pictures with scenery behind the object: nothing is cut out,
            and the largest square in the middle is used.

    Raises:
        InputError: it cannot be read, is too small, or holds nothing but background.
    """
    photo = read_image(path)
    height, width = photo.rgb.shape[:2]
    if min(height, width) < LEAST_SIDE:
        raise InputError(
            f"{path} has {width}x{height} pixels: at least {LEAST_SIDE}x{LEAST_SIDE} are needed"
        )
    if scenery:
        (square,) = middle_squares([(width, height)], whole=False)
        image = torch.from_numpy(cropped(photo.rgb.numpy(), square, size).copy()).float() / 255
        return Target(image, None, "the thing fills the middle of the photo; scenery was kept")
    photo = _reduced(photo)
    solid, assumed = _solid(photo)
    box = object_box(solid > 127)
    if box is None or float((solid > 127).mean()) < LEAST_SHARE:
        raise InputError(f"{path}: nothing stands out from its background: is there a thing on it?")
    return _cut(photo.rgb.numpy(), solid, box, size, assumed)


def _cut(
    rgb: NDArray[np.uint8],
    solid: NDArray[np.uint8],
    box: tuple[float, float, float, float],
    size: int,
    assumed: str,
) -> Target:
    left, top, right, bottom = box
    side = max(right - left, bottom - top) * (1 + 2 * MARGIN)
    square = Square((left + right - side) / 2, (top + bottom - side) / 2, side)
    pixels = cropped(np.dstack([rgb, solid]), square, size).astype(np.float32) / 255
    mask = torch.from_numpy(pixels[..., 3].copy())
    image = torch.from_numpy(pixels[..., :3].copy())
    return Target(image * mask[..., None] + (1 - mask[..., None]), mask, assumed)


def _solid(photo: ImageData) -> tuple[NDArray[np.uint8], str]:
    """[H, W] coverage 0..255 of the object, and how it was found."""
    if photo.alpha is not None:
        return photo.alpha.numpy(), "the thing is what is not transparent"
    rgb = photo.rgb.numpy()
    border = measure_border(rgb)
    if border.share >= BORDER_SHARE:
        behind = background_mask(rgb, border.color)
        color = " ".join(f"{value:.0f}" for value in border.color)
        return _soft(~behind), f"the thing is what differs from the plain background ({color})"
    return _soft(_grabbed(rgb)), (
        "the background is not plain: the thing was taken to be what stands out in the middle "
        "(cut it out yourself, with transparency, where that is wrong)"
    )


def _soft(solid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return cv2.GaussianBlur(solid.astype(np.float32) * 255, (0, 0), 0.7).round().astype(np.uint8)


def _grabbed(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """[H, W] what GrabCut finds inside a frame of a twelfth of the picture."""
    height, width = rgb.shape[:2]
    x, y = max(1, width // 12), max(1, height // 12)
    mask = np.zeros((height, width), np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    frame = (x, y, width - 2 * x, height - 2 * y)
    cv2.grabCut(bgr, mask, frame, *models, 4, cv2.GC_INIT_WITH_RECT)
    solid = (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(solid.astype(np.uint8))
    if count < 2:
        return solid
    return labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())


def _reduced(photo: ImageData) -> ImageData:
    height, width = photo.rgb.shape[:2]
    ratio = WORKED_SIDE / max(height, width)
    if ratio >= 1:
        return photo
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    rgb = cv2.resize(photo.rgb.numpy(), size, interpolation=cv2.INTER_AREA)
    alpha = None
    if photo.alpha is not None:
        smaller = cv2.resize(photo.alpha.numpy(), size, interpolation=cv2.INTER_AREA)
        alpha = torch.from_numpy(smaller)
    return ImageData(torch.from_numpy(rgb), alpha)
