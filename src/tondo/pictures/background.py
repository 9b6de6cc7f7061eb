"""What is behind the object: a plain colour, found on the border of the pictures, or scenery."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# How far a channel may be from the background's colour: JPEG and soft shadows are within it.
TOLERANCE = 24
# Shares of a picture's border that must be of one colour, and of a set's pictures that must have
# the same one. An object cut out closely touches the border: real apples left 0.74 and more of it.
BORDER_SHARE = 0.6
SET_SHARE = 0.9  # of the pictures: 9 of 10 (docs/notes/pictures.md)
_SAME_COLOR = 30  # of 255, between a border and the common colour; chosen, not measured
_MASK_SIDE = 512  # pixels at which masks are made; chosen, not measured
_RING = 2  # pixels of the border that are looked at; chosen, not measured


@dataclass(frozen=True)
class Border:
    """The median colour, 0..255, of a picture's outermost 2 pixels, and the share that has it."""

    color: tuple[float, float, float]
    share: float


def measure_border(rgb: NDArray[np.uint8]) -> Border:
    """The border of a picture [H, W, 3]."""
    inner = rgb[_RING:-_RING]
    parts = (rgb[:_RING], rgb[-_RING:], inner[:, :_RING], inner[:, -_RING:])
    ring = np.concatenate([part.reshape(-1, 3) for part in parts]).astype(np.float32)
    color = np.median(ring, axis=0)
    share = float((np.abs(ring - color).max(axis=1) <= TOLERANCE).mean())
    return Border((float(color[0]), float(color[1]), float(color[2])), share)


def common_background(borders: list[Border]) -> tuple[float, float, float] | None:
    """The colour that is behind the object in at least `SET_SHARE` of the pictures, or None."""
    colors = [border.color for border in borders if border.share >= BORDER_SHARE]
    if len(colors) < SET_SHARE * len(borders) or not colors:
        return None
    red, green, blue = np.median(np.array(colors), axis=0)
    common = (float(red), float(green), float(blue))
    alike = sum(has_background(border, common) for border in borders)
    return common if alike >= SET_SHARE * len(borders) else None


def has_background(border: Border, color: tuple[float, float, float]) -> bool:
    """Whether the picture with this border has that colour behind its object."""
    away = np.abs(np.subtract(border.color, color)).max()
    return border.share >= BORDER_SHARE and bool(away <= _SAME_COLOR)


def background_mask(rgb: NDArray[np.uint8], color: tuple[float, float, float]) -> NDArray[np.bool_]:
    """[H, W]: where `color` is, connected to the border; the same colour on the object is not."""
    near = np.abs(rgb.astype(np.float32) - np.array(color, np.float32)).max(axis=2) <= TOLERANCE
    _, labels = cv2.connectedComponents(near.astype(np.uint8), connectivity=4)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    outside = np.zeros(int(labels.max()) + 1, bool)
    outside[edge] = True
    outside[0] = False  # what is not near the colour
    return outside[labels]


def on_white(rgb: NDArray[np.uint8], color: tuple[float, float, float]) -> NDArray[np.uint8]:
    """The picture [H, W, 3] with its plain background replaced by white.

    Where that is white already, only its noise goes. Otherwise the outermost pixel of the object,
    which the old colour has tinted, fades over.
    """
    behind = background_mask(rgb, color)
    if min(color) >= 255 - TOLERANCE:
        return np.where(behind[..., None], np.uint8(255), rgb)
    alpha = cv2.GaussianBlur((~behind).astype(np.float32), (0, 0), 0.8)
    alpha = np.where(behind, 0.0, (2 * alpha - 1).clip(0, 1))[..., None]
    return (rgb * alpha + 255.0 * (1 - alpha)).round().astype(np.uint8)


def object_box(solid: NDArray[np.bool_]) -> tuple[float, float, float, float] | None:
    """(left, top, right, bottom) in pixels of where the object [H, W] is; None if nowhere.

    Rows and columns with hardly a pixel of it do not count: a speck of dust is not the object.
    """
    rows, columns = solid.sum(axis=1), solid.sum(axis=0)
    ys = np.nonzero(rows >= max(1, 0.01 * solid.shape[1]))[0]
    xs = np.nonzero(columns >= max(1, 0.01 * solid.shape[0]))[0]
    if not len(xs) or not len(ys):
        return None
    return float(xs[0]), float(ys[0]), float(xs[-1] + 1), float(ys[-1] + 1)


def find_object(
    rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None, color: tuple[float, float, float]
) -> tuple[float, float, float, float] | None:
    """The object's box by `alpha`, or else by its background's colour; on a reduced picture."""
    height, width = rgb.shape[:2]
    ratio = min(1.0, _MASK_SIDE / max(height, width))
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    if alpha is not None:
        box = object_box(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) > 64)
    else:
        small = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        box = object_box(~background_mask(small, color))
    if box is None:
        return None
    x, y = width / size[0], height / size[1]
    return box[0] * x, box[1] * y, box[2] * x, box[3] * y
