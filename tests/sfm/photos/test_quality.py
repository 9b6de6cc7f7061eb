"""Blur and exposure."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tondo.sfm.photos.quality import find_faults, measure_quality


def sharp(seed: int) -> np.ndarray:
    picture = np.random.default_rng(seed).integers(40, 210, (90, 130), np.uint8)
    return cv2.GaussianBlur(picture, None, 0.8)


def test_the_blurred_the_dark_and_the_bright_are_named_and_no_others() -> None:
    pictures = [sharp(i) for i in range(6)]
    pictures[1] = cv2.GaussianBlur(pictures[1], None, 4)
    pictures[3] = (pictures[3] * 0.03).astype(np.uint8)
    pictures[4] = np.clip(pictures[4].astype(int) + 180, 0, 255).astype(np.uint8)
    faults = find_faults([measure_quality(picture) for picture in pictures])
    assert [len(found) for found in faults] == [0, 1, 0, 1, 1, 0]
    assert "blurred" in faults[1][0]
    assert "dark" in faults[3][0]
    assert "overexposed" in faults[4][0]


def test_quality_is_measured_where_the_photo_is_solid() -> None:
    picture = sharp(0)
    picture[:, 70:] = 255
    mask = np.full(picture.shape, 255, np.uint8)
    mask[:, 66:] = 0
    assert measure_quality(picture, mask).bright == 0.0
    assert measure_quality(picture).bright == pytest.approx(60 / 130, abs=0.02)
    assert measure_quality(picture, np.zeros_like(mask)).sharpness == 0.0


def test_sharpness_hardly_depends_on_the_size_of_the_photo() -> None:
    large = cv2.resize(sharp(2), (1300, 900), interpolation=cv2.INTER_CUBIC)
    double = cv2.resize(large, (2600, 1800), interpolation=cv2.INTER_CUBIC)
    ratio = measure_quality(double).sharpness / measure_quality(large).sharpness
    assert ratio == pytest.approx(1.0, abs=0.15)
