"""How usable a photo is: sharpness and exposure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tondo.sfm.motion.features import shrunk

_SIDE = 640  # pixels at which sharpness is compared; chosen, not measured
# Below this share of the set's usual sharpness a photo counts as blurred.
BLUR_SHARE = 0.3  # chosen


@dataclass(frozen=True)
class Quality:
    """Measured on the photo's solid pixels, reduced to 640 pixels on its longest side.

    Attributes:
        sharpness: variance of the Laplacian of the grey picture (Pech-Pacheco et al. 2000); only to
            be compared within one set.
        brightness: mean grey value, 0..1.
        dark, bright: share of pixels that are almost black (below 8 of 255) and almost white
            (above 247).
    """

    sharpness: float
    brightness: float
    dark: float
    bright: float


def measure_quality(grey: np.ndarray, mask: np.ndarray | None = None) -> Quality:
    """Quality of `grey` [H, W] uint8 where `mask` [H, W] uint8 is above 127."""
    small = shrunk(grey, _SIDE)
    solid = np.ones(small.shape, bool)
    if mask is not None:
        solid = shrunk(mask, _SIDE) > 127
    if not solid.any():
        return Quality(0.0, 0.0, 0.0, 0.0)
    values = small[solid]
    laplacian = cv2.Laplacian(small, cv2.CV_32F)[solid]
    return Quality(
        sharpness=float(laplacian.var()),
        brightness=float(values.mean()) / 255.0,
        dark=float((values < 8).mean()),
        bright=float((values > 247).mean()),
    )


def find_faults(qualities: Sequence[Quality]) -> list[tuple[str, ...]]:
    """For each photo of one set what is wrong with it, in plain words; empty where nothing is."""
    usual = float(np.median([q.sharpness for q in qualities])) if qualities else 0.0
    faults = []
    for quality in qualities:
        found = []
        if quality.brightness < 0.1 or quality.dark > 0.6:
            found.append(f"too dark ({quality.dark:.0%} of it black)")
        if quality.brightness > 0.93 or quality.bright > 0.6:
            found.append(f"overexposed ({quality.bright:.0%} of it white)")
        # A black or white picture has no edges, blurred or not.
        if not found and quality.sharpness < BLUR_SHARE * usual:
            found.append(f"blurred (sharpness {quality.sharpness / usual:.0%} of the usual)")
        faults.append(tuple(found))
    return faults
