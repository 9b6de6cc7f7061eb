"""Detail follows the pictures: how many splats they get."""

from __future__ import annotations

import pytest

from tondo.splats.options import SplatOptions, suited


@pytest.mark.parametrize(
    ("width", "height", "splats"),
    [
        (72, 56, 60_000),
        (270, 480, 60_000),
        (400, 400, 60_000),
        (480, 480, 60_000),
        (540, 960, 135_000),
        (960, 720, 180_000),
        (1600, 1200, 300_000),
        (6000, 4000, 300_000),
    ],
)
def test_splats_follow_the_pixels(width: int, height: int, splats: int) -> None:
    assert suited(SplatOptions(), width * height).max_splats == splats
    assert suited(SplatOptions(max_splats=7), width * height) == SplatOptions(max_splats=7)
