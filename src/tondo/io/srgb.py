"""Between sRGB values and linear light (IEC 61966-2-1), both 0..1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def srgb_from_linear(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB values of linear light."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def linear_from_srgb(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light of sRGB values."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
