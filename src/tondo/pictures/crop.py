"""Squares out of pictures: which one, and how it becomes a picture of another size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MARGIN = 0.03  # of the object's extent, on each side; chosen
_SAME_SIZE_SHARE = 0.8  # of the pictures: they were taken at one scale; chosen, not measured
Box = tuple[float, float, float, float]


class Square(NamedTuple):
    """A square of a picture in pixels, (0, 0) its top left corner; it may reach beyond it."""

    x: float
    y: float
    side: float


def middle_squares(sizes: Sequence[tuple[int, int]], *, whole: bool) -> list[Square]:
    """The largest squares in the middle of pictures (width, height), or the smallest around them
    (`whole`)."""
    squares = []
    for width, height in sizes:
        side = max(width, height) if whole else min(width, height)
        squares.append(Square((width - side) / 2, (height - side) / 2, side))
    return squares


def object_squares(sizes: Sequence[tuple[int, int]], boxes: Sequence[Box]) -> list[Square]:
    """Squares around the objects' boxes, with a margin.

    If most pictures have one size they are taken to be of one scale, and that is kept: a fish from
    the front stays smaller than from the side. Their squares then have the side that suits 98 % of
    their objects, more only where one is larger. Any other object fills its own square.
    """
    extents = np.array([max(right - left, bottom - top) for left, top, right, bottom in boxes])
    sides = extents * (1 + 2 * MARGIN)
    usual, count = Counter(sizes).most_common(1)[0] if sizes else ((0, 0), 0)
    if count >= _SAME_SIZE_SHARE * len(sizes) > 0:
        same = np.array([size == usual for size in sizes])
        sides[same] = np.maximum(sides[same], np.percentile(sides[same], 98))
    return [
        Square((left + right - side) / 2, (top + bottom - side) / 2, float(side))
        for (left, top, right, bottom), side in zip(boxes, sides, strict=True)
    ]


def inside(square: Square, width: int, height: int) -> Square:
    """The square moved, and made smaller if it must be, so that it lies within the picture."""
    side = min(square.side, width, height)
    x, y = square.x + (square.side - side) / 2, square.y + (square.side - side) / 2
    return Square(min(max(x, 0.0), width - side), min(max(y, 0.0), height - side), side)


def cropped(pixels: NDArray[np.uint8], square: Square, size: int) -> NDArray[np.uint8]:
    """The square of a picture [H, W, 3 or 4] at `size` pixels a side, by Lanczos' filter.

    Beyond the picture it is white, or transparent where there is alpha; colours are weighted by
    their alpha.
    """
    height, width = pixels.shape[:2]
    left, top = max(0, int(np.ceil(-square.x))), max(0, int(np.ceil(-square.y)))
    right = max(0, int(np.ceil(square.x + square.side - width)))
    bottom = max(0, int(np.ceil(square.y + square.side - height)))
    if left or top or right or bottom:
        fill = 255 if pixels.shape[2] == 3 else 0
        edges = ((top, bottom), (left, right), (0, 0))
        pixels = np.pad(pixels, edges, constant_values=fill)
    x, y = square.x + left, square.y + top
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    box = (x, y, min(x + square.side, picture.width), min(y + square.side, picture.height))
    return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS, box=box))
