"""A turntable before a background that does not turn: said, and nothing said of other scenes."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tondo.cli.main import main
from tondo.sfm.motion.still import StaticBackground, static_background

WIDTH, HEIGHT, FOCAL = 600, 400, 700.0
COUNT = 12
BASE = np.random.default_rng(0)
# A thing of radius 1 in the middle, and a wall behind it, both with 150 features.
THING = BASE.normal(size=(150, 3)) * 0.45
WALL = np.column_stack(
    [BASE.uniform(-2.2, 2.2, 150), BASE.uniform(-1.5, 1.5, 150), np.full(150, 2)]
)


def turn(degrees: float) -> NDArray:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def seen(places: NDArray, rotation: NDArray, shift: tuple[float, float] = (0, 0)) -> NDArray:
    """Pixels of places that were turned by `rotation` about the origin, 5 before the camera."""
    local = places @ rotation.T + np.array([0, 0, 5])
    middle = np.array([WIDTH / 2 + shift[0], HEIGHT / 2 + shift[1]])
    return local[:, :2] / local[:, 2:] * FOCAL + middle


def judged(
    views: list[tuple[NDArray, NDArray]],
    rotations: list[NDArray | None],
    farthest: float = 60,
) -> StaticBackground | None:
    """Matches of the thing where its views are less than `farthest` degrees apart, and of the
    background in all pairs.

    Args:
        views: for each photo the pixels of the thing and of the background.
    """
    points = [np.concatenate(view) + BASE.normal(size=(300, 2)) * 0.3 for view in views]
    matches = {}
    for i in range(COUNT):
        for j in range(i + 1, COUNT):
            apart = abs((j - i) * 360 / COUNT + 180) % 360 - 180
            rows = np.arange(300) if abs(apart) < farthest else np.arange(150, 300)
            matches[i, j] = np.stack([rows, rows], axis=1)
    return static_background(points, [(WIDTH, HEIGHT)] * COUNT, matches, rotations)


STEPS = [turn(360 / COUNT * i) for i in range(COUNT)]


def test_a_camera_on_a_tripod_before_a_wall() -> None:
    views = [(seen(THING, step), seen(WALL, np.eye(3))) for step in STEPS]
    for rotations in ([None] * COUNT, STEPS):
        found = judged(views, list(rotations))
        assert found is not None
        assert found.pairs == found.among == COUNT * (COUNT - 1) // 2
        text = found.sentence([f"{i}.jpg" for i in range(COUNT)])
        assert "background does not turn with the object" in text
        assert "masks" in text


def test_photos_that_were_cropped_or_held_by_hand() -> None:
    """The background moves a little; poses that follow the object tell that it should turn."""
    shifts = BASE.uniform(-20, 20, (COUNT, 2))
    views = [
        (seen(THING, step, tuple(by)), seen(WALL, turn(1.5 * math.sin(i)), tuple(by)))
        for i, (step, by) in enumerate(zip(STEPS, shifts, strict=True))
    ]
    found = judged(views, list(STEPS))
    assert found is not None
    assert found.pairs > found.among / 2


def test_scenes_that_stand_still_are_not_accused() -> None:
    around = [(seen(THING, step), seen(WALL, step)) for step in STEPS]
    assert judged(around, list(STEPS), farthest=400) is None
    # A facade, photographed from 35 degrees left to 35 degrees right of its normal.
    fan = [turn(-35 + 70 * i / (COUNT - 1)) for i in range(COUNT)]
    facade = np.column_stack([WALL[:, :2], np.zeros(150)])
    views = [(seen(facade, step), seen(facade * 0.7, step)) for step in fan]
    assert judged(views, list(fan), farthest=400) is None
    # A thing that turns before a plain background: what does not move is a small mark in a corner.
    mark = np.tile([580.0, 390.0], (150, 1)) + BASE.normal(size=(150, 2)) * 4
    views = [(seen(THING, step), mark) for step in STEPS]
    assert judged(views, list(STEPS), farthest=400) is None


def test_the_same_photograph_again_and_again_is_no_turntable() -> None:
    views = [(seen(THING, np.eye(3)), seen(WALL, np.eye(3)))] * COUNT
    assert judged(views, [np.eye(3)] * COUNT, farthest=400) is None


def test_prepare_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def noise(seed: int, width: int, height: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        layers = [rng.integers(0, 255, (height // s, width // s, 3), np.uint8) for s in (24, 6)]
        sized = [cv2.resize(a, (width, height), interpolation=cv2.INTER_CUBIC) for a in layers]
        return cv2.addWeighted(sized[0], 0.5, sized[1], 0.5, 0)

    (tmp_path / "in").mkdir()
    wall, board = noise(1, 360, 280), noise(2, 160, 160)
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * 0.6
    flat = np.array([[0, 0], [160, 0], [160, 160], [0, 160]], np.float32)
    for i in range(6):
        middle = np.array([180, 140]) - np.array([WIDTH, HEIGHT]) / 2
        to = (seen(corners, turn(-25 + 10 * i)) + middle).astype(np.float32)
        H = cv2.getPerspectiveTransform(flat, to)
        picture = wall.copy()
        covered = cv2.warpPerspective(np.full((160, 160), 255, np.uint8), H, (360, 280)) > 127
        picture[covered] = cv2.warpPerspective(board, H, (360, 280))[covered]
        Image.fromarray(picture).save(tmp_path / "in" / f"{i}.png")
    status = main(["prepare", str(tmp_path / "in"), "-o", str(tmp_path / "out")])
    told = capsys.readouterr()
    text = " ".join((told.out + told.err).split())
    assert status == 2
    assert "The background does not turn with the object" in text
    assert "does not turn with the object" in (tmp_path / "out" / "report.html").read_text()
