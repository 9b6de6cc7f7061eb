"""360-degree panoramas, which no pinhole camera took: told by their shape and by their edges."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

WHY_NOT = (
    "it is a 360-degree panorama, which no camera model here fits: cut it into ordinary views "
    "first (say, eight of 90 degrees each)"
)
_WIDTH = 512  # pixels at which borders are compared; chosen, not measured
_PROJECTIONS = (b"equirectangular", b"cylindrical")


def is_panorama(pixels: NDArray[np.uint8]) -> bool:
    """Whether a picture is equirectangular: twice as wide as high, its left and right edge join,
    and its uppermost and lowest row, each a single direction, hardly vary.

    Args:
        pixels: [H, W, 3].
    """
    height, width = pixels.shape[:2]
    if abs(width / height - 2) > 0.02 or width < 64:
        return False
    size = (min(width, _WIDTH), min(width, _WIDTH) // 2)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    columns = small.transpose(1, 0, 2)
    count = len(columns)

    def apart(first: NDArray, second: NDArray) -> NDArray:
        return np.abs(first - second).mean(axis=(1, 2))

    edge = float(apart(columns[:1], columns[-1:])[0])
    beside = float(np.median(apart(columns[:-1], columns[1:])))
    away = float(np.median(apart(columns[:1], columns[count // 8 : -count // 8])))
    # An edge without content (a plain background) joins anything.
    has_content = float(columns[[0, -1]].std(axis=1).mean()) > 8
    varied = small.std(axis=1).mean(axis=1)
    poles = max(float(varied[:2].mean()), float(varied[-2:].mean()))
    middle = float(np.median(varied))
    joins = edge < 2.0 * beside + 1.0 and edge < 0.4 * away
    return has_content and joins and poles < 0.6 * middle


def says_panorama(path: Path) -> bool:
    """Whether a photo's XMP (Google's GPano) names a projection of panoramas."""
    try:
        with Image.open(path) as picture:
            xmp = picture.info.get("xmp") or b""
    except Exception:  # whatever is wrong with the file, `read_image` says it
        return False
    data = xmp if isinstance(xmp, bytes) else str(xmp).encode()
    at = data.find(b"ProjectionType")
    near = data[at : at + 60].lower()
    return at >= 0 and any(kind in near for kind in _PROJECTIONS)
