"""Types of option values that several commands share; each says what it expected and what came."""

from __future__ import annotations

import argparse
import math

NAMED_COLORS = {"white": (1.0, 1.0, 1.0), "black": (0.0, 0.0, 0.0)}


def positive_int(text: str) -> int:
    """A whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return value


def positive_float(text: str) -> float:
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


MASKS_HELP = (
    "which pixels of photos count: auto, the masks found beside them by name or named in "
    "transforms.json; none; or the folder that they are in"
)
UP_HELP = "the scene's up direction, if not as stored: x, -y, z or three numbers"


def direction(text: str) -> tuple[float, float, float]:
    """A unit vector from "z", "-y" or "x,y,z"."""
    word = text.strip().lower().removeprefix("+")
    if word.removeprefix("-") in ("x", "y", "z"):
        sign = -1.0 if word.startswith("-") else 1.0
        x, y, z = (sign if word[-1] == axis else 0.0 for axis in "xyz")
        return x, y, z
    try:
        x, y, z = (float(part) for part in text.split(","))
        length = math.sqrt(x * x + y * y + z * z)
        if 1e-6 < length < 1e6:
            return x / length, y / length, z / length
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected a direction such as z, -y or 0,0,1, got {text!r}")


def color(text: str) -> tuple[float, float, float]:
    """sRGB 0..1 from "white", "black" or "r,g,b"."""
    if text in NAMED_COLORS:
        return NAMED_COLORS[text]
    try:
        red, green, blue = (float(part) for part in text.split(","))
        if all(0 <= value <= 1 for value in (red, green, blue)):
            return red, green, blue
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(
        f"expected white, black or r,g,b with three numbers from 0 to 1, got {text!r}"
    )
