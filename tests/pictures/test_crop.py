"""Squares and finished pictures."""

from __future__ import annotations

import numpy as np
import pytest

from tondo.pictures.crop import (
    MARGIN,
    Square,
    cropped,
    inside,
    middle_squares,
    object_squares,
)


def test_centre_and_whole() -> None:
    sizes = [(40, 30), (30, 41)]
    assert middle_squares(sizes, whole=False) == [Square(5, 0, 30), Square(0, 5.5, 30)]
    assert middle_squares([(40, 30)], whole=True) == [Square(0, -5, 40)]


def test_one_scale_for_pictures_of_one_size_and_each_its_own_otherwise() -> None:
    boxes = [(10.0, 10.0, 30.0, 40.0), (20.0, 20.0, 30.0, 25.0)]
    same = object_squares([(60, 50), (60, 50)], boxes)
    room = 1 + 2 * MARGIN
    assert same[0].side == pytest.approx(30 * room)
    assert same[1].side == pytest.approx(30 * room, rel=0.02)  # though it is 10 wide
    assert same[1].x + same[1].side / 2 == 25
    assert same[1].y + same[1].side / 2 == 22.5
    own = object_squares([(60, 50), (61, 50)], boxes)
    assert [square.side for square in own] == pytest.approx([30 * room, 10 * room])


def test_inside_moves_before_it_shrinks() -> None:
    assert inside(Square(-5, 3, 20), 40, 30) == Square(0, 3, 20)
    assert inside(Square(25, 25, 20), 40, 30) == Square(20, 10, 20)
    assert inside(Square(-5, -5, 50), 40, 30) == Square(5, 0, 30)


def test_a_gradient_stays_in_its_place() -> None:
    # The value of a pixel is its x: a square from 8 to 24 halved shows 9, 11, ... at its centres.
    x = np.arange(40, dtype=np.uint8)
    pixels = np.repeat(np.broadcast_to(x, (30, 40))[..., None], 3, axis=2)
    found = cropped(pixels, Square(8, 4, 16), 8)
    np.testing.assert_allclose(found[4, :, 0], 8.5 + 2 * np.arange(8), atol=0.51)
    moved = cropped(pixels, Square(8.5, 4, 16), 16)
    assert float(moved[8, 4:12, 0].astype(float).mean()) == pytest.approx(15.5 + 0.5, abs=0.6)


def test_beyond_the_picture_it_is_white_or_transparent() -> None:
    dark = np.full((10, 20, 3), 30, np.uint8)
    found = cropped(dark, Square(0, -5, 20), 20)
    assert (found[:4] == 255).all()
    assert (found[-4:] == 255).all()
    assert (found[7:13] == 30).all()
    clear = np.full((10, 20, 4), 255, np.uint8)
    clear[..., 0] = 200
    found = cropped(clear, Square(10, 0, 20), 20)
    assert (found[:8, :8] == [200, 255, 255, 255]).all()
    assert (found[:, 13:, 3] == 0).all()


def test_what_lies_under_transparent_pixels_does_not_bleed() -> None:
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[..., 1] = 255  # green where nothing is seen
    pixels[4:12, 4:12] = [200, 0, 0, 255]
    found = cropped(pixels, Square(0, 0, 16), 7)
    seen = found[..., 3] > 20
    assert found[seen][:, 1].max() <= 12
