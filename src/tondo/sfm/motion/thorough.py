"""Slower and stronger features, for photos that the quick ones leave out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pycolmap
from numpy.typing import NDArray
from PIL import Image

from tondo.io.threads import in_threads
from tondo.sfm.motion.features import Features, choose_pairs, shrunk

# As large as pycolmap itself searches them.
MAX_SIZE = 3200
# Up to so many photos every pair is compared; beyond, each with so many that look like it.
ALL_PAIRS_UP_TO = 60  # chosen
NEIGHBOURS = 30  # chosen, not measured
# So many pairs at most with a photo that was left out, a photo each.
PAIRS_OF_LEFT_OUT = 100  # chosen


def thorough_features(
    names: Sequence[str], images: Path, on_progress: Callable[[int, int], None]
) -> list[Features]:
    """pycolmap's own SIFT features with its defaults: of the photo at full size and at twice that,
    up to 8,192 places and two angles at each.

    Args:
        names: of photos below `images`; what their alpha or `masks`/NAME.png beside `images` leaves
            out has no features.
        on_progress: called with (photos done, photos in all).
    """

    found = []
    for features in in_threads(lambda name: _extract(*_read(images, name)), names):
        found.append(features)
        on_progress(len(found), len(names))
    return found


def thorough_pairs(quick: Sequence[Features], left_out: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, to compare: all of a small set; of a large one those that look alike by
    their `quick` features, and those of photos that were left out with all, evenly thinned."""
    count = len(quick)
    pairs = set(
        choose_pairs(
            list(quick), in_order=False, exhaustive_up_to=ALL_PAIRS_UP_TO, neighbours=NEIGHBOURS
        )
    )
    if count > ALL_PAIRS_UP_TO:
        step = max(1, count // PAIRS_OF_LEFT_OUT)
        for i in left_out:
            pairs |= {(min(i, j), max(i, j)) for j in range(0, count, step) if i != j}
    return sorted(pairs)


def _read(images: Path, name: str) -> tuple[NDArray, NDArray[np.bool_] | None]:
    """Grey [H, W], and which pixels count (None: all)."""
    with Image.open(images / name) as picture:
        kept = np.asarray(picture.getchannel("A")) >= 128 if "A" in picture.getbands() else None
        grey = cv2.cvtColor(np.asarray(picture.convert("RGB")), cv2.COLOR_RGB2GRAY)
    mask = images.with_name("masks") / f"{name}.png"
    if mask.is_file():
        with Image.open(mask) as picture:
            of_mask = np.asarray(picture.convert("L")) > 0
        kept = of_mask if kept is None else kept & of_mask
    return grey, kept


def _extract(grey: NDArray, kept: NDArray[np.bool_] | None) -> Features:
    height, width = grey.shape
    grey = shrunk(grey, MAX_SIZE)
    options = pycolmap.FeatureExtractionOptions()
    options.use_gpu = False
    options.num_threads = 1
    extractor = pycolmap.FeatureExtractor.create(options)
    found, histograms = extractor.extract_from_uint8_array(np.ascontiguousarray(grey))
    rows = [(k.x, k.y, k.compute_scale(), k.compute_orientation()) for k in found]
    keypoints = np.array(rows, np.float32).reshape(-1, 4)
    descriptors = np.asarray(histograms.data).reshape(-1, 128)
    scale = np.array([width / grey.shape[1], height / grey.shape[0]])
    keypoints[:, :2] *= scale
    keypoints[:, 2] *= scale.mean()
    if kept is not None:
        x = np.clip(keypoints[:, 0].astype(int), 0, width - 1)
        y = np.clip(keypoints[:, 1].astype(int), 0, height - 1)
        keypoints, descriptors = keypoints[kept[y, x]], descriptors[kept[y, x]]
    return Features(keypoints, np.ascontiguousarray(descriptors))
