"""sRGB and linear light."""

from __future__ import annotations

import numpy as np

from tondo.io.srgb import linear_from_srgb, srgb_from_linear


def test_they_undo_each_other_and_hold_known_values() -> None:
    values = np.linspace(0, 1, 511)
    np.testing.assert_allclose(srgb_from_linear(linear_from_srgb(values)), values, atol=1e-7)
    assert np.all(np.diff(linear_from_srgb(values)) > 0)
    # IEC 61966-2-1: middle grey of 18 % is 118 of 255.
    np.testing.assert_allclose(255 * srgb_from_linear(np.array([0.0, 0.18, 1.0])), [0, 117.6, 255],
                               atol=0.1)  # fmt: skip
