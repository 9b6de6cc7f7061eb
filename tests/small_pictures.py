"""Small pictures of things of one kind, and training sets of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tondo.pictures.options import PictureOptions
from tondo.pictures.prepare import prepare_pictures


def ball(number: int, side: int = 48, *, transparent: bool = False) -> Image.Image:
    """A coloured ball with a spot, on white or on nothing; each number gives another one."""
    rng = np.random.default_rng(number)
    color = tuple(int(v) for v in rng.integers(0, 200, 3))
    wide, high = side * rng.uniform(0.25, 0.42, 2)
    middle, spot = side / 2, side / 8
    picture = Image.new("RGBA", (side, side), (255, 255, 255, 0 if transparent else 255))
    pen = ImageDraw.Draw(picture)
    pen.ellipse((middle - wide, middle - high, middle + wide, middle + high), fill=(*color, 255))
    bright = tuple(min(255, v + 50) for v in color)
    pen.ellipse((middle - spot, middle - spot, middle, middle), fill=(*bright, 255))
    return picture if transparent else picture.convert("RGB")


def blocks(number: int, side: int = 48) -> Image.Image:
    """Coloured blocks from border to border: what is taken for scenery."""
    coarse = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.NEAREST)


def write_pictures(folder: Path, pictures: list[Image.Image]) -> Path:
    """The pictures as 00.png, 01.png, ... in a new folder."""
    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures):
        picture.save(folder / f"{number:02d}.png")
    return folder


def prepared(source: Path, out: Path, size: int) -> Path:
    """A training set of all pictures of a folder, alike or blurred as they may be."""
    options = PictureOptions(size=size, similar=0, keep_blurred=True)
    return prepare_pictures(source, out, options).folder


def training_set_of_balls(folder: Path) -> Path:
    """Twenty balls of 32 pixels."""
    balls = write_pictures(folder / "balls", [ball(k) for k in range(20)])
    return prepared(balls, folder / "set", 32)
