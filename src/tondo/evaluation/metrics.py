"""How far a picture is from a photograph, and a surface from a scan."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from scipy.spatial import cKDTree
from torch import Tensor

from tondo.checks import check_finite, check_shape
from tondo.kernels.ssim_l1_torch import C1, C2, SIGMA, WINDOW


def psnr(a: Tensor, b: Tensor, mask: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio in dB: -10 log10(mean squared error), for a peak of 1.

    The mean runs over all three channels and, with `mask`, only over pixels where it is True.
    The error is floored at 1e-10, so that equal pictures give 100 dB and not infinity.

    Args:
        a, b: [H, W, 3] float sRGB 0..1.
        mask: [H, W] bool, or None for every pixel.

    Raises:
        ValueError: shapes differ, or the mask is False everywhere.
    """
    sizes = _check_pair(a, b)
    error = (a.double() - b.double()).square()
    if mask is not None:
        check_shape("mask", mask, "H W", sizes)
        if not bool(mask.any()):
            raise ValueError("mask is False everywhere: there is nothing to compare")
        error = error[mask]
    return -10.0 * float(error.mean().clamp_min(1e-10).log10())


def ssim(a: Tensor, b: Tensor, mask: Tensor | None = None) -> float:
    """Structural similarity, at most 1 (Wang et al. 2004, Image Quality Assessment, eq. 13).

    Gaussian window of 11x11 with sigma 1.5, C1 = 0.01^2, C2 = 0.03^2, per channel, averaged over
    channels. Borders: only windows that lie wholly inside the picture count (no padding), so the
    map has [H - 10, W - 10] values; with `mask`, only windows wholly inside it. In a direction with
    fewer than 11 pixels the window shrinks to the picture.

    Args:
        a, b: [H, W, 3] float sRGB 0..1.
        mask: [H, W] bool, or None for every pixel.

    Raises:
        ValueError: shapes differ, or no window lies inside the mask.
    """
    sizes = _check_pair(a, b)
    values = ssim_map(a, b).mean(dim=-1)
    if mask is None:
        return float(values.mean())
    check_shape("mask", mask, "H W", sizes)
    window = tuple(min(WINDOW, sizes[side]) for side in ("H", "W"))
    outside = F.max_pool2d((~mask)[None, None].float(), window, stride=1)[0, 0]
    inside = outside == 0
    if not bool(inside.any()):
        raise ValueError(f"no {window[0]}x{window[1]} window lies inside the mask")
    return float(values[inside].mean())


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """[H - 10, W - 10, 3] float64, the structural similarity of each window; see `ssim`."""
    _check_pair(a, b)
    # One channel at a time: in 64 bits a picture of 1,600 pixels has a dozen maps of 61 MB each.
    pairs = zip(a.unbind(dim=2), b.unbind(dim=2), strict=True)
    return torch.stack([_ssim_of_channel(*pair) for pair in pairs], dim=2)


def _ssim_of_channel(a: Tensor, b: Tensor) -> Tensor:
    x, y = a.double().numpy(), b.double().numpy()
    mean_x, mean_y, xx, yy, xy = (_window_means(t) for t in (x, y, x * x, y * y, x * y))
    var_x, var_y = xx - mean_x * mean_x, yy - mean_y * mean_y
    covariance = xy - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * covariance + C2) / (var_x + var_y + C2)
    return torch.from_numpy(luminance * structure)


def _window_means(picture: np.ndarray) -> np.ndarray:
    """Gaussian means of every window inside [H, W] float64."""
    kernels, inside = [], []
    for length in picture.shape[:2]:
        size = min(WINDOW, length)
        x = np.arange(size) - (size - 1) / 2
        weights = np.exp(-0.5 * (x / SIGMA) ** 2)
        kernels.append(weights / weights.sum())
        inside.append(slice(size // 2, size // 2 + length - size + 1))
    blurred = cv2.sepFilter2D(picture, cv2.CV_64F, kernels[1], kernels[0])
    return blurred[inside[0], inside[1]]


@dataclass(frozen=True)
class Chamfer:
    """Mean distances between two sets of points, world units.

    Attributes:
        accuracy: mean distance from each of our points to the nearest true one.
        completeness: mean distance from each true point to our nearest one.
        distance: (accuracy + completeness) / 2.
    """

    accuracy: float
    completeness: float
    distance: float


@dataclass(frozen=True)
class FScore:
    """Shares of points that have a partner within `threshold` (world units), all 0..1.

    Attributes:
        threshold: the distance.
        precision: share of our points with a true point within it.
        recall: share of the true points with one of ours within it.
        f_score: the harmonic mean 2 precision recall / (precision + recall), 0 if both are 0.
    """

    threshold: float
    precision: float
    recall: float
    f_score: float


def chamfer(ours: Tensor, truth: Tensor) -> Chamfer:
    """Symmetric chamfer distance of [P, 3] against [Q, 3] points: plain, not squared, distances.

    Raises:
        ValueError: a set is empty, of another shape, or not finite.
    """
    to_truth, to_ours = _nearest_both_ways(ours, truth)
    accuracy, completeness = float(to_truth.mean()), float(to_ours.mean())
    return Chamfer(accuracy, completeness, (accuracy + completeness) / 2)


def f_score(ours: Tensor, truth: Tensor, threshold: float) -> FScore:
    """F-score of [P, 3] against [Q, 3] points (Knapitsch et al. 2017, Tanks and Temples, eq. 5).

    Raises:
        ValueError: a set is empty, of another shape or not finite, or `threshold` is not positive.
    """
    if not threshold > 0:
        raise ValueError(f"threshold must be positive, got {threshold:g}")
    to_truth, to_ours = _nearest_both_ways(ours, truth)
    precision = float((to_truth <= threshold).mean())
    recall = float((to_ours <= threshold).mean())
    total = precision + recall
    return FScore(threshold, precision, recall, 2 * precision * recall / total if total else 0.0)


def _nearest_both_ways(ours: Tensor, truth: Tensor) -> tuple[np.ndarray, np.ndarray]:
    for name, points in (("ours", ours), ("truth", truth)):
        check_shape(name, points, "P 3")
        check_finite(name, points)
        if len(points) == 0:
            raise ValueError(f"{name} has no points")
    a, b = ours.double().numpy(), truth.double().numpy()
    return cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]


def _check_pair(a: Tensor, b: Tensor) -> dict[str, int]:
    sizes = check_shape("a", a, "H W 3")
    check_shape("b", b, "H W 3", sizes)
    return sizes
