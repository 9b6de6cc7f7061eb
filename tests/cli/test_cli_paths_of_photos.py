"""Paths around real captures: all around an object, and swaying before a wall."""

from __future__ import annotations

from pathlib import Path

import torch

from tondo.geometry.camera_paths import orbit, standpoints
from tondo.geometry.cameras import camera_position
from tondo.geometry.focus import focus
from tondo.io.posed.photos import load_cameras


def test_a_chair_is_circled_and_a_wall_is_not(shared_data: Path) -> None:
    up = torch.tensor([0.0, 0.0, 1.0])
    for name, surrounding in (("chair/transforms_train.json", True), ("fox", False)):
        cameras = [named.camera for named in load_cameras(shared_data / name)]
        center, _ = focus(cameras)
        assert standpoints(cameras, center, up).surrounding == surrounding
        path = orbit(cameras, center, up, 16)
        nearest = [
            min(float((camera_position(c) - camera_position(p)).norm()) for c in cameras)
            for p in path
        ]
        distance = float((camera_position(path[0]) - center).norm())
        assert max(nearest) < 0.35 * distance, f"{name}: photos were taken near every frame"
