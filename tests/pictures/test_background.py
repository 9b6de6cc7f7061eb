"""Plain backgrounds: found on the border, replaced by white, and not seen where they are not."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import blob, scenery

from tondo.pictures.background import (
    background_mask,
    common_background,
    find_object,
    has_background,
    measure_border,
    object_box,
    on_white,
)

BLUE = (40.0, 80.0, 160.0)


def picture(value: int = 200) -> np.ndarray:
    """A ring of colour on blue, with blue inside it too, and noise; 30 x 40."""
    rng = np.random.default_rng(0)
    rgb = np.full((30, 40, 3), BLUE)
    rgb[8:22, 10:30] = value
    rgb[12:18, 16:24] = BLUE
    return (rgb + rng.integers(-6, 7, rgb.shape)).clip(0, 255).astype(np.uint8)


def test_the_border_says_the_colour() -> None:
    border = measure_border(picture())
    np.testing.assert_allclose(border.color, BLUE, atol=2)
    assert border.share == 1.0
    cut = picture()
    cut[:15, :2] = 200  # an object that reaches the edge: 15 x 2 of 264 pixels
    assert measure_border(cut).share == pytest.approx(1 - 30 / 264, abs=0.01)


def test_a_set_is_plain_if_nine_in_ten_pictures_are() -> None:
    plain = measure_border(picture())
    other = measure_border(np.asarray(scenery(1)))
    assert not has_background(other, BLUE)
    found = common_background([plain] * 9 + [other])
    assert found == plain.color
    assert common_background([plain] * 8 + [other] * 2) is None
    white = measure_border(np.full((9, 9, 3), 255, np.uint8))
    assert common_background([plain] * 5 + [white] * 5) is None  # each plain, but no common colour
    assert common_background([other] * 3) is None


def test_only_what_is_connected_to_the_border_is_background() -> None:
    mask = background_mask(picture(), BLUE)
    expected = np.ones((30, 40), bool)
    expected[8:22, 10:30] = False
    np.testing.assert_array_equal(mask, expected)


def test_on_white_leaves_the_object_and_its_holes() -> None:
    rgb = picture()
    found = on_white(rgb, BLUE)
    assert (found[background_mask(rgb, BLUE)] == 255).all()
    np.testing.assert_array_equal(found[10:20, 12:28], rgb[10:20, 12:28])
    noisy = np.full((20, 20, 3), 250, np.uint8)
    noisy[5:15, 5:15] = 90
    clean = on_white(noisy, (250.0, 250.0, 250.0))
    assert (clean[:5] == 255).all()
    assert (clean[5:15, 5:15] == 90).all()


def test_the_object_s_box() -> None:
    solid = np.zeros((200, 300), bool)
    solid[40:90, 100:220] = True
    solid[5, 5] = True  # a speck
    assert object_box(solid) == (100, 40, 220, 90)
    assert object_box(np.zeros((9, 9), bool)) is None
    assert find_object(picture(), None, BLUE) == (10, 8, 30, 22)
    large = np.asarray(blob(3, (1300, 1100)))
    small = np.asarray(blob(3, (1300, 1100), alpha=True))[..., 3]
    by_color = find_object(large, None, (255.0, 255.0, 255.0))
    by_alpha = find_object(large, small, BLUE)
    assert by_color is not None
    assert by_alpha is not None
    np.testing.assert_allclose(by_color, by_alpha, atol=6)
