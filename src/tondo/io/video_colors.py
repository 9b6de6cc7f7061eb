"""The colours of video frames as sRGB.

Numbers of matrices, transfer functions and primaries are those of ITU-T H.273. Light above the
white of graphics, which only high dynamic range has, is rolled off: it would be cut off otherwise.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tondo.io.srgb import linear_from_srgb, srgb_from_linear

UNSPECIFIED = 2  # of matrices (H.273, table 4)
_BT709, _BT601, _BT2020 = 1, 5, 9  # matrices; 1 and 9 are also the primaries' numbers
_PQ, _HLG = 16, 18  # transfer functions (H.273, table 3)
# x, y of red, green, blue and white (H.273, table 2).
_D65 = (0.3127, 0.3290)
_PRIMARIES = {
    _BT709: ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65),
    _BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),  # P3 of cinemas
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),  # Display P3
}
# BT.2408: where the white of graphics lies, as a signal of HLG and in candela per square metre.
_HLG_WHITE, _PQ_WHITE = 0.75, 203.0
_KNEE = 0.9  # linear light from which on it is rolled off


def likely_matrix(width: int, height: int, transfer: int) -> int:
    """The matrix of a video that does not say it: that of its dynamic range and size, as players
    choose it."""
    if is_high_range(transfer):
        return _BT2020
    is_hd = max(width, height) >= 1280 or min(width, height) > 576
    return _BT709 if is_hd else _BT601


def is_high_range(transfer: int) -> bool:
    """Whether values mean more light than a screen of standard range shows: PQ or HLG."""
    return transfer in (_PQ, _HLG)


def needs_conversion(transfer: int, primaries: int) -> bool:
    """Whether R'G'B' of a video are not nearly those of sRGB."""
    return is_high_range(transfer) or (primaries in _PRIMARIES and primaries != _BT709)


def to_srgb(pixels: NDArray[np.uint16], transfer: int, primaries: int) -> NDArray[np.uint8]:
    """sRGB of R'G'B' [H, W, 3], full range of 16 bits.

    HLG is taken as light of the scene and PQ as that of the screen, with the white of graphics at
    1 (BT.2408); brighter light is compressed above 0.9, the ratios of the channels kept. What has
    standard range keeps its curve, only primaries change.
    """
    if primaries not in _PRIMARIES:
        primaries = _BT2020 if is_high_range(transfer) else _BT709
    linear = _linear_light(transfer)[pixels]
    mixed = cv2.transform(linear, _srgb_from(primaries)).clip(0, None)
    brightest = mixed.max(axis=2)
    over = brightest > _KNEE
    if over.any():
        beyond = (brightest[over] - _KNEE) / (1 - _KNEE)
        rolled = _KNEE + (1 - _KNEE) * beyond / (1 + beyond)
        mixed[over] *= (rolled / brightest[over])[:, None]
    steps = np.arange(65536) / 65535
    curve = srgb_from_linear(steps)
    return np.rint(255 * curve).astype(np.uint8)[(mixed * 65535 + 0.5).astype(np.uint16)]


def _linear_light(transfer: int) -> NDArray[np.float32]:
    """[65536] linear light of each value, 1 for white."""
    x = np.arange(65536) / 65535
    if transfer == _HLG:
        return (_scene_light(x) / _scene_light(np.array(_HLG_WHITE))).astype(np.float32)
    if transfer == _PQ:
        m1, m2 = 2610 / 16384, 2523 / 4096 * 128
        c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
        power = x ** (1 / m2)
        light = (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
        return (10_000 / _PQ_WHITE * light).astype(np.float32)
    return linear_from_srgb(x).astype(np.float32)


def _scene_light(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """BT.2100, table 5: the inverse of HLG's transfer function."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def _srgb_from(primaries: int) -> NDArray[np.float32]:
    """[3, 3] from linear light of `primaries` to that of sRGB."""
    mixed = np.linalg.inv(_xyz_from(_BT709)) @ _xyz_from(primaries)
    return np.asarray(mixed / mixed.sum(axis=1, keepdims=True), np.float32)  # white stays white


def _xyz_from(primaries: int) -> NDArray[np.float64]:
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in _PRIMARIES[primaries]]).T
    return columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])
