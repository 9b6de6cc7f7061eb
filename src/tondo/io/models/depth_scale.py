"""The scale of the depth pictures of a folder: 16 bits hold thousandths of a world unit up to 65
units, which suits metres, but not millimetres."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from tondo.io.atomic import write_json
from tondo.io.images import DEPTH_STEPS_PER_UNIT, write_depth_png

NAME = "depth_scale.json"
_MOST = 65535  # of 16 bits
_NEARLY_ALL = 0.99  # of what a picture shows has to fit; a few far places are not worth the rest
_FEWEST_STEPS = 1000  # to what is seen, from the camera; chosen


@dataclass(frozen=True)
class DepthScale:
    """What the numbers in depth pictures mean.

    Attributes:
        steps_per_world_unit: depth = number / steps_per_world_unit.
        farthest: world units, the largest depth that the pictures can hold.
        pixels_beyond: how many in all pictures are farther, and hold 65535.
    """

    steps_per_world_unit: float
    farthest: float
    pixels_beyond: int

    @property
    def is_usual(self) -> bool:
        return self.steps_per_world_unit == DEPTH_STEPS_PER_UNIT


def rescale_depths(folder: Path, names: Sequence[str]) -> DepthScale:
    """Give the depth pictures NAME.png of a folder, as `write_depth` left them with NAME.npy
    beside them, one scale that fits, and write it into `depth_scale.json` there.

    Thousandths of a world unit stay where they fit; otherwise it is another power of ten.

    Args:
        names: at least one.

    Raises:
        OutputError: a file cannot be written.
    """
    usual, most = [], []
    for name in names:
        depth = _depth(folder, name)
        seen = depth[np.isfinite(depth) & (depth > 0)]
        if len(seen):
            usual.append(float(np.median(seen)))
            most.append(float(np.quantile(seen, _NEARLY_ALL)))
    steps = _steps(float(np.median(usual)), max(most)) if most else float(DEPTH_STEPS_PER_UNIT)
    beyond = 0
    for name in names:
        depth = _depth(folder, name)
        beyond += int((depth.astype(np.float64) * steps > _MOST + 0.5).sum())
        if steps != DEPTH_STEPS_PER_UNIT:
            write_depth_png(folder / f"{name}.png", torch.from_numpy(depth), steps)
    scale = DepthScale(steps, _MOST / steps, beyond)
    write_json(folder / NAME, asdict(scale))
    return scale


def _steps(usual: float, most: float) -> float:
    """Steps in a world unit, a power of ten, for depths up to `most`, half below `usual`."""
    if _FEWEST_STEPS <= most * DEPTH_STEPS_PER_UNIT <= _MOST:
        return float(DEPTH_STEPS_PER_UNIT)
    fitting = math.floor(math.log10(_MOST / most))
    if most * DEPTH_STEPS_PER_UNIT > _MOST:  # what is near must not lose its steps to a far sky
        least = math.ceil(math.log10(_FEWEST_STEPS / usual))
        fitting = min(max(fitting, least), round(math.log10(DEPTH_STEPS_PER_UNIT)))
    return float(f"1e{fitting}")


def _depth(folder: Path, name: str) -> np.ndarray:
    return np.load(folder / f"{name}.npy", allow_pickle=False)
