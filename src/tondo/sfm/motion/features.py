"""Local features of photos, and which photos are worth matching with each other."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Features:
    """SIFT features of one photo (Lowe 2004), the strongest first.

    Attributes:
        keypoints: [F, 4] float32: x, y (pixels of the full photo, pixel centres at +0.5), scale
            (pixels of the full photo), angle (radians).
        descriptors: [F, 128] uint8, RootSIFT (Arandjelovic and Zisserman 2012): the square root of
            the L1-normalised histogram, times 512.
    """

    keypoints: np.ndarray
    descriptors: np.ndarray

    @property
    def count(self) -> int:
        """How many features there are."""
        return len(self.keypoints)


def shrunk(grey: np.ndarray, max_size: int) -> np.ndarray:
    """A picture [H, W] uint8, made smaller where a side has more than `max_size` pixels."""
    height, width = grey.shape
    ratio = min(1.0, max_size / max(height, width))
    small = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return np.asarray(cv2.resize(grey, small, interpolation=cv2.INTER_AREA))


def extract_features(
    grey: np.ndarray,
    *,
    max_size: int,
    max_features: int,
    contrast: float = 0.02,
    mask: np.ndarray | None = None,
) -> Features:
    """SIFT features of a photo, found in a copy whose longest side is at most `max_size`.

    Args:
        grey: [H, W] uint8.
        max_size: longest side, in pixels, of the picture that is searched; never enlarged.
        max_features: the strongest so many are kept.
        contrast: a lower threshold finds more and weaker features.
        mask: [H, W] uint8; features where it is below 128 are left out.
    """
    height, width = grey.shape
    grey = shrunk(grey, max_size)
    solid = None if mask is None else ((shrunk(mask, max_size) >= 128) * 255).astype(np.uint8)
    sift = cv2.SIFT.create(
        nfeatures=max_features, contrastThreshold=contrast, enable_precise_upscale=True
    )
    found, histograms = sift.detectAndCompute(grey, solid)
    if not found:
        return Features(np.zeros((0, 4), np.float32), np.zeros((0, 128), np.uint8))
    # OpenCV may return a few more than asked for where strengths tie; and not in order of strength.
    order = np.argsort([-k.response for k in found], kind="stable")[:max_features]
    scale = np.array([width / grey.shape[1], height / grey.shape[0]])
    keypoints = np.empty((len(order), 4), np.float32)
    # OpenCV counts from the centre of the first pixel, we count from its corner.
    keypoints[:, :2] = (np.array([found[i].pt for i in order]) + 0.5) * scale
    keypoints[:, 2] = np.array([found[i].size for i in order]) * (scale.mean() / 2)
    keypoints[:, 3] = np.deg2rad([found[i].angle for i in order])
    histograms = histograms[order]
    sums = np.maximum(histograms.sum(axis=1, keepdims=True), 1e-6)
    roots = np.sqrt(histograms / sums) * 512.0
    return Features(keypoints, np.clip(np.rint(roots), 0, 255).astype(np.uint8))


def count_similar(features: list[Features], sample: int = 256) -> np.ndarray:
    """[N, N] int64, how many mutual matches each two photos have among `sample` of their features.

    The features of largest scale are taken: they are few, survive changes of distance and blur,
    and so tell cheaply which photos show the same thing. A match is mutually the best and clearly
    better than the second best (distance ratio 0.8).
    """
    n = len(features)
    picked = np.zeros((n, sample, 128), np.float32)
    for row, one in zip(picked, features, strict=True):
        order = np.argsort(-one.keypoints[:, 2], kind="stable")[:sample]
        # Root histograms all have length 512, so the inner product gives the distance.
        row[: len(order)] = one.descriptors[order].astype(np.float32) / 512.0
    counts = np.zeros((n, n), np.int64)
    for i in range(n):
        # Products of blocks: BLAS wastes its threads on small ones, and memory stays bounded.
        for start in range(i + 1, n, 64):
            block = picked[start : start + 64]
            closeness = (picked[i] @ block.reshape(-1, 128).T).reshape(sample, -1, sample)
            for j in range(len(block)):
                number = _count_mutual(np.ascontiguousarray(closeness[:, j]))
                counts[i, start + j] = counts[start + j, i] = number
    return counts


def _count_mutual(closeness: np.ndarray) -> int:
    """Mutual and clear matches by `closeness` [S, S], the inner products; changes it."""
    rows = np.arange(len(closeness))
    index = closeness.argmax(axis=1)
    back = closeness.argmax(axis=0)[index]
    best = closeness[rows, index]
    closeness[rows, index] = -1.0
    clear = (1.0 - best) < 0.64 * (1.0 - closeness.max(axis=1))
    # Padding has closeness 0, far below any real match.
    return int((clear & (best > 0.5) & (rows == back)).sum())


def choose_pairs(
    features: list[Features], *, in_order: bool, exhaustive_up_to: int = 30, neighbours: int = 14
) -> list[tuple[int, int]]:
    """Which photos to match: index pairs (i, j) with i < j, sorted.

    Up to `exhaustive_up_to` photos all pairs. Beyond that each photo is paired with the next ones
    in order (6 for a video, which is known to move steadily; 2 for photos, whose names may lie)
    and with the `neighbours` photos that look most like it, which closes loops.
    """
    n = len(features)
    if n <= exhaustive_up_to:
        return [(i, j) for i in range(n) for j in range(i + 1, n)]
    pairs = {(i, j) for i in range(n) for j in range(i + 1, min(n, i + (7 if in_order else 3)))}
    counts = count_similar(features)
    for i in range(n):
        for j in np.argsort(-counts[i], kind="stable")[:neighbours]:
            if counts[i, j] >= 4:
                pairs.add((min(i, int(j)), max(i, int(j))))
    return sorted(pairs)
