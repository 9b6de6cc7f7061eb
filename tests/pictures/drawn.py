"""Small drawn pictures for tests: blobs on a background, each with its own colour and texture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def blob(
    seed: int,
    size: tuple[int, int] = (48, 40),
    background: tuple[int, int, int] = (255, 255, 255),
    alpha: bool = False,
) -> Image.Image:
    """An ellipse with rough stripes somewhere in a picture (width, height)."""
    rng = np.random.default_rng(seed)
    width, height = size
    y, x = np.mgrid[:height, :width] + 0.5
    cx, cy = width * rng.uniform(0.4, 0.6), height * rng.uniform(0.4, 0.6)
    rx, ry = width * rng.uniform(0.2, 0.3), height * rng.uniform(0.2, 0.3)
    inside = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1
    stripes = rng.uniform(0.5, 1.0, (height // 4 + 1, width // 4 + 1)).repeat(4, 0).repeat(4, 1)
    color = rng.uniform(20, 200, 3)
    pixels = np.where(
        inside[..., None], color * stripes[:height, :width, None], np.array(background)
    )
    if not alpha:
        return Image.fromarray(pixels.astype(np.uint8))
    return Image.fromarray(np.dstack([pixels, inside * 255]).astype(np.uint8))


def scenery(seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """Coarse noise over the whole picture."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.NEAREST)


def write_all(folder: Path, pictures: list[Image.Image], ending: str = "png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        picture.save(folder / f"{number:03d}.{ending}")
    return folder
