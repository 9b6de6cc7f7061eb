"""What is measured of each finished picture, and which ones are left out for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.measure import blur_effect

VECTOR_SIDE = 12  # pixels: pictures are compared at 12x12 (docs/notes/pictures.md)
# Distances of two pictures, as shares of their contrast. On white, frames of a thing that turns by
# one degree are 0.016 apart (median) and one saved again as JPEG 0.010; before scenery a photo
# saved again is 0.02 to 0.1 from itself, and other photos of the same person are 0.2 and more.
SIMILAR_PLAIN, SIMILAR_SCENERY = 0.012, 0.1
# Blur, 0 to 1 (Crete et al. 2007): pictures of apples, faces and fish reach 0.79 at 64 pixels,
# blurred by one pixel they are at 0.8 and above. Larger ones are softer: then the set's own counts.
BLURRED, BLURRED_BEYOND = 0.8, 0.12
_ROWS, _COLUMNS = 512, 50_000  # compared at a time


@dataclass(frozen=True)
class Measured:
    """One picture, over white.

    Attributes:
        vector: [432] float32, 0..1: the picture at 12x12, for comparing.
        blur: 0 (sharp) to 1. brightness: mean grey of the object, 0..1.
        color: mean sRGB of the object, 0..1. contrast: spread of its grey values, 0..1.
    """

    vector: NDArray[np.float32]
    blur: float
    brightness: float
    color: tuple[float, float, float]
    contrast: float


def measure_picture(picture: NDArray[np.uint8], is_plain: bool) -> Measured:
    """Measure a finished picture [S, S, 3 or 4]; with `is_plain` white is not the object."""
    rgb = over_white(picture)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    solid = np.ones(grey.shape, bool)
    if picture.shape[2] == 4:
        solid = picture[..., 3] > 127
    elif is_plain:
        solid = rgb.min(axis=2) < 250
    if not solid.any():
        solid[:] = True
    mean = rgb[solid].mean(axis=0) / 255
    side = (VECTOR_SIDE, VECTOR_SIDE)
    small = cv2.resize(rgb, side, interpolation=cv2.INTER_AREA)
    vector = np.asarray(small, np.float32) / np.float32(255)
    flat = int(grey.min()) == int(grey.max())
    return Measured(
        vector.reshape(-1),
        1.0 if flat else float(blur_effect(grey, h_size=5)),
        float(grey[solid].mean()) / 255,
        (float(mean[0]), float(mean[1]), float(mean[2])),
        float(grey[solid].std()) / 255,
    )


def over_white(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[S, S, 3]: a picture with alpha shown on white; another one as it is."""
    if picture.shape[2] == 3:
        return picture
    alpha = picture[..., 3:].astype(np.float32) / 255
    return (picture[..., :3] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)


def find_blurred(blurs: Sequence[float]) -> list[bool]:
    """Which pictures of a set are blurred."""
    values = np.array(blurs)
    return (values > max(BLURRED, float(np.median(values)) + BLURRED_BEYOND)).tolist()


def find_similar(vectors: NDArray[np.float32], is_plain: bool, threshold: float) -> dict[int, int]:
    """Near-duplicates: rows that are not needed, each with the earlier row that it resembles.

    Row j goes if it is nearer than `threshold` to a row i < j that stays: along a turning thing
    every few frames one stays. The distance of two rows is that of their values, divided by the
    root of the product of their contrasts: the distances from white, or (with scenery) from the
    row's own mean.

    Args:
        vectors: [N, F]. threshold: 0 finds none.
    """
    if threshold <= 0:
        return {}
    middle = np.float32(1.0) if is_plain else vectors.mean(axis=1, keepdims=True)
    contrast = np.maximum(np.linalg.norm(vectors - middle, axis=1), 1e-3)
    like: dict[int, int] = {}
    staying: list[int] = []
    for start in range(0, len(vectors), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(vectors)))
        for first in range(0, len(staying), _COLUMNS):
            others = np.array(staying[first : first + _COLUMNS])
            near = _relative(vectors, contrast, rows, others) < threshold
            for place in np.nonzero(near.any(axis=1))[0].tolist():
                like.setdefault(int(rows[place]), int(others[near[place].argmax()]))
        near = _relative(vectors, contrast, rows, rows) < threshold
        stays = np.zeros(len(rows), bool)
        for place, row in enumerate(rows.tolist()):
            if row in like:
                continue
            earlier = np.nonzero(near[place] & stays)[0]
            if len(earlier):
                like[row] = int(rows[earlier[0]])
            else:
                stays[place] = True
                staying.append(row)
    return like


def _relative(
    vectors: NDArray[np.float32],
    contrast: NDArray[np.float32],
    rows: NDArray[np.int64],
    others: NDArray[np.int64],
) -> NDArray[np.float32]:
    found = _distances(vectors[rows], vectors[others])
    return found / np.sqrt(contrast[rows][:, None] * contrast[others][None])


def _distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    middle = a.mean(axis=0)  # sums of squares about it lose fewer digits
    a, b = a - middle, b - middle
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0))
