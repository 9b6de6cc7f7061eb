"""Blur and near-duplicates."""

from __future__ import annotations

import io

import numpy as np
import pytest
from drawn import blob, scenery
from PIL import Image, ImageFilter

from tondo.pictures import measure
from tondo.pictures.measure import (
    SIMILAR_PLAIN,
    SIMILAR_SCENERY,
    find_blurred,
    find_similar,
    measure_picture,
    over_white,
)


def vector(picture: Image.Image, is_plain: bool) -> np.ndarray:
    return measure_picture(np.asarray(picture), is_plain).vector


def saved_again(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, subsampling=0)
    return Image.open(buffer).convert("RGB")


@pytest.mark.parametrize("is_plain", [True, False])
def test_pictures_saved_again_are_found_and_others_stay(is_plain: bool) -> None:
    draw = blob if is_plain else scenery
    threshold = SIMILAR_PLAIN if is_plain else SIMILAR_SCENERY
    originals = [draw(seed, (64, 64)) for seed in range(8)]
    again = [saved_again(originals[2], 95), saved_again(originals[5], 90), originals[5]]
    vectors = np.array([vector(picture, is_plain) for picture in originals + again])
    assert find_similar(vectors, is_plain, threshold) == {8: 2, 9: 5, 10: 5}
    assert find_similar(vectors, is_plain, 0.0) == {}
    assert set(find_similar(vectors, is_plain, 1e9)) == set(range(1, 11))


def test_along_a_slow_change_every_few_pictures_one_stays() -> None:
    start, end = (np.asarray(blob(seed, (64, 64))).astype(float) for seed in (1, 2))
    frames = [start + (end - start) * t for t in np.linspace(0, 1, 60)]
    vectors = np.array([measure_picture(frame.astype(np.uint8), True).vector for frame in frames])
    like = find_similar(vectors, True, 0.1)
    stay = [row for row in range(60) if row not in like]
    assert 3 <= len(stay) <= 30
    assert all(like[row] in stay and like[row] < row for row in like)
    assert max(np.diff(stay)) < 25


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.uniform(0, 1, (60, 12)).astype(np.float32)
    vectors[[7, 33, 50]] = vectors[[3, 3, 49]]
    whole = find_similar(vectors, True, 0.3)
    assert whole[7] == whole[33] == 3
    monkeypatch.setattr(measure, "_ROWS", 7)
    monkeypatch.setattr(measure, "_COLUMNS", 5)
    assert find_similar(vectors, True, 0.3) == whole


def test_blurred_ones_are_told_from_plain_ones() -> None:
    sharp = [blob(seed, (64, 64)) for seed in range(12)]
    blurred = [picture.filter(ImageFilter.GaussianBlur(2.0)) for picture in sharp[:3]]
    blurs = [measure_picture(np.asarray(p), True).blur for p in sharp + blurred]
    assert find_blurred(blurs) == [False] * 12 + [True] * 3
    # A set that is soft as a whole, as enlarged pictures are, is not thrown away.
    assert not any(find_blurred([0.85, 0.86, 0.84, 0.9]))
    assert measure_picture(np.full((16, 16, 3), 7, np.uint8), False).blur == 1.0


def test_colours_are_those_of_the_object() -> None:
    picture = np.full((20, 20, 3), 255, np.uint8)
    picture[5:15, 5:15] = [200, 100, 0]
    found = measure_picture(picture, True)
    np.testing.assert_allclose(found.color, [200 / 255, 100 / 255, 0], atol=1e-6)
    assert found.contrast == 0.0
    clear = np.dstack([np.full((20, 20, 3), 60, np.uint8), (picture[..., 2] == 0) * 255])
    found = measure_picture(clear.astype(np.uint8), True)
    assert found.brightness == pytest.approx(60 / 255)
    assert (over_white(clear.astype(np.uint8))[0, 0] == 255).all()
    assert measure_picture(picture, False).color[2] == pytest.approx(0.75)
