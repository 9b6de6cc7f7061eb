"""A photograph's thing, cut out and cropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tondo.errors import InputError
from tondo.gan.inversion.target import read_target

RED = (200, 30, 20)


def disc(width: int, height: int, background: object) -> np.ndarray:
    """A red disc of a quarter of the height right of the middle; background: a colour or pixels."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:] = background
    y, x = np.mgrid[:height, :width]
    inside = (x - 0.6 * width) ** 2 + (y - 0.5 * height) ** 2 < (0.25 * height) ** 2
    picture[inside] = RED
    return picture


def save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def check_disc(image: torch.Tensor, mask: torch.Tensor | None, size: int) -> None:
    assert image.shape == (size, size, 3)
    assert mask is not None
    # a disc with a margin of 3 % on each side
    assert float(mask.mean()) == pytest.approx(0.785 / 1.06**2, abs=0.05)
    middle = image[size // 2, size // 2] * 255
    assert torch.allclose(middle, torch.tensor(RED, dtype=torch.float32), atol=3)
    assert float(image[0, 0].min()) > 0.98


@pytest.mark.parametrize("background", [(255, 255, 255), (30, 90, 160)])
def test_a_plain_background_is_cut_out(tmp_path: Path, background: tuple[int, ...]) -> None:
    target = read_target(save(tmp_path / "a.png", disc(150, 90, background)), 48, scenery=False)
    check_disc(target.image, target.mask, 48)
    assert "plain background" in target.assumed


def test_transparency_is_cut_out(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (90, 150, 3))
    picture = disc(150, 90, noise)
    alpha = (disc(150, 90, 0)[..., 0] > 0).astype(np.uint8) * 255
    file = save(tmp_path / "a.png", np.dstack([picture, alpha]))
    target = read_target(file, 48, scenery=False)
    check_disc(target.image, target.mask, 48)
    assert "transparent" in target.assumed


def test_scenery_is_told(tmp_path: Path) -> None:
    """Grass and sky behind the disc: it is found, and what was assumed is said."""
    rng = np.random.default_rng(1)
    background = rng.integers(0, 60, (90, 150, 3))
    background[:45] += np.array([60, 120, 180])
    background[45:] += np.array([20, 120, 20])
    target = read_target(save(tmp_path / "a.png", disc(150, 90, background)), 48, scenery=False)
    assert "not plain" in target.assumed
    check_disc(target.image, target.mask, 48)
    kept = read_target(tmp_path / "a.png", 48, scenery=True)
    assert kept.mask is None
    assert "scenery was kept" in kept.assumed


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.full((40, 40, 3), 255, np.uint8), "nothing stands out"),
        (np.full((4, 40, 3), 255, np.uint8), "at least 8x8"),
        (np.zeros((40, 40, 4), np.uint8), "nothing stands out"),
    ],
)
def test_photos_without_a_thing(tmp_path: Path, pixels: np.ndarray, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        read_target(save(tmp_path / "a.png", pixels), 32, scenery=False)


def test_files_that_are_no_photos(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match="not a picture"):
        read_target(tmp_path / "a.png", 32, scenery=False)
    with pytest.raises(InputError, match="no picture file"):
        read_target(tmp_path / "none.png", 32, scenery=False)
