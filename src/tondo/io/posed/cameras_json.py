"""Cameras as a nerfstudio-style transforms.json, which `photos.load_cameras` reads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.similarity import IDENTITY, Similarity
from tondo.io.atomic import write_json


def write_cameras(
    path: Path,
    cameras: Sequence[tuple[str, Camera]],
    held_out: Collection[str] = (),
    *,
    up: Tensor | None = None,
    world_from_scene: Similarity = IDENTITY,
) -> None:
    """Write named cameras, one frame each, with their own intrinsics, in the world.

    Args:
        cameras: (name, camera) pairs; the name becomes the frame's `file_path`.
        held_out: names of those that training does not see, written as nerfstudio's
            `train_filenames` and `test_filenames` if there are any.
        up: [3] the world's up direction, written as instant-ngp's `up`; None leaves it out.
        world_from_scene: of the scene that the cameras are in.

    Raises:
        OutputError: the file cannot be written.
    """
    content: dict[str, object] = {"camera_model": "PINHOLE"}
    if up is not None:
        content["up"] = up.tolist()
    if held_out:
        content["train_filenames"] = [name for name, _ in cameras if name not in held_out]
        content["test_filenames"] = [name for name, _ in cameras if name in held_out]
    write_json(path, {**content, "frames": [_frame(*pair, world_from_scene) for pair in cameras]})


def _frame(name: str, camera: Camera, world_from_scene: Similarity) -> dict[str, object]:
    world_from_camera = torch.linalg.inv(camera.viewmat.double())
    if not world_from_scene.is_identity:
        world_from_camera[:3, 3] = world_from_scene.to_world(world_from_camera[:3, 3])
    world_from_camera[:, 1:3] *= -1  # to OpenGL axes
    K = camera.K.double()
    return {
        "file_path": name,
        "w": camera.width,
        "h": camera.height,
        "fl_x": float(K[0, 0]),
        "fl_y": float(K[1, 1]),
        "cx": float(K[0, 2]),
        "cy": float(K[1, 2]),
        "transform_matrix": world_from_camera.tolist(),
    }
