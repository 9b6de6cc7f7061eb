"""Depth pictures of scenes in millimetres, or of a few millimetres in metres: 16 bits that hold
them, one scale for all pictures, written beside them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tondo.io.images import write_depth
from tondo.io.models.depth_scale import DepthScale, rescale_depths


def rescaled(folder: Path, *depths: torch.Tensor) -> tuple[DepthScale, list[np.ndarray]]:
    names = [f"d.{i}" for i in range(len(depths))]
    for name, depth in zip(names, depths, strict=True):
        write_depth(folder / name, depth)
    scale = rescale_depths(folder, names)
    written = json.loads((folder / "depth_scale.json").read_text())
    assert written["steps_per_world_unit"] == scale.steps_per_world_unit
    assert written["pixels_beyond"] == scale.pixels_beyond
    pictures = [np.asarray(Image.open(folder / f"{name}.png")) for name in names]
    assert {picture.dtype for picture in pictures} == {np.dtype(np.uint16)}
    return scale, pictures


def ramp(near: float, far: float) -> torch.Tensor:
    depth = torch.linspace(near, far, 600).view(20, 30).clone()
    depth[0, :9] = 0  # where nothing is
    return depth


@pytest.mark.parametrize(
    ("unit", "steps"),
    [(1.0, 1000), (10.0, 1000), (1000.0, 10), (1e6, 0.01), (1e-3, 1e7), (1e-4, 1e8)],
    ids=["metres", "tens", "millimetres", "micrometres", "thousandths", "ten-thousandths"],
)
def test_a_power_of_ten_that_fits(tmp_path: Path, unit: float, steps: float) -> None:
    first, second = ramp(2.0 * unit, 4.0 * unit), ramp(1.0 * unit, 6.0 * unit)
    scale, pictures = rescaled(tmp_path, first, second)
    assert scale.steps_per_world_unit == steps
    assert scale.is_usual == (steps == 1000)
    assert scale.pixels_beyond == 0
    for picture, depth in zip(pictures, (first, second), strict=True):
        off = np.abs(picture / steps - depth.numpy())
        assert off.max() <= 0.51 / steps + 1e-6 * unit
        assert len(np.unique(picture)) > 500
        assert (picture[depth.numpy() == 0] == 0).all()


def test_a_far_sky_does_not_cost_what_is_near_its_steps(tmp_path: Path) -> None:
    depth = ramp(2.0, 6.0)
    depth[:5] = 90_000.0
    scale, (picture,) = rescaled(tmp_path, depth)
    assert scale.is_usual
    assert scale.pixels_beyond == 150
    assert (picture[:5] == 65535).all()
    assert np.abs(picture[5:] / 1000 - depth[5:].numpy()).max() < 0.00051


def test_where_nothing_is_there_is_nothing_to_scale(tmp_path: Path) -> None:
    scale, (picture,) = rescaled(tmp_path, torch.zeros(4, 5))
    assert scale.is_usual
    assert not picture.any()
