"""A small scene, cameras around it and photos of it, on disk as a user has them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tondo.data.cameras import Camera
from tondo.data.splats import Scene, Splats
from tondo.geometry.look_at import look_at
from tondo.scenes.render import render

UP = torch.tensor([0.0, 0.0, 1.0])
WIDTH, HEIGHT = 72, 50


def small_scene(seed: int = 0, count: int = 300) -> Scene:
    """Splats in a thick shell of radius 1 around (0.5, 0, 0), on white."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    splats = Splats(
        means=means * (0.9 + 0.2 * torch.rand(count, 1, generator=generator)),
        quats=torch.randn(count, 4, generator=generator),
        log_scales=torch.full((count, 3), math.log(0.12)),
        opacity_logits=torch.full((count,), 2.0),
        sh=torch.randn(count, 1, 3, generator=generator),
    )
    center = torch.tensor([0.5, 0.0, 0.0])
    moved = Splats(splats.means + center, *list(vars(splats).values())[1:])
    return Scene(moved, torch.ones(3), UP, 1.2, center)


def ring(count: int = 9, width: int = WIDTH, height: int = HEIGHT) -> list[Camera]:
    """Cameras 4 units from the scene's centre, all around at 25 degrees above it."""
    K = torch.tensor([[1.1 * width, 0, width / 2 + 3], [0, 1.1 * width, height / 2 - 2], [0, 0, 1]])
    center, cameras = torch.tensor([0.5, 0.0, 0.0]), []
    for i in range(count):
        angle, lift = 2 * math.pi * i / count, math.radians(25)
        flat = math.cos(lift)
        direction = [flat * math.cos(angle), flat * math.sin(angle), math.sin(lift)]
        eye = center + 4 * torch.tensor(direction)
        cameras.append(Camera(look_at(eye, center, UP), K, width, height))
    return cameras


def write_transforms(path: Path, cameras: list[Camera], names: list[str]) -> None:
    """A nerfstudio transforms.json: camera-to-world, OpenGL axes."""
    frames = []
    for camera, name in zip(cameras, names, strict=True):
        world = torch.linalg.inv(camera.viewmat.double())
        world[:3, 1:3] *= -1
        K = camera.K.tolist()
        frames.append(
            {
                "file_path": name,
                "transform_matrix": world.tolist(),
                "fl_x": K[0][0],
                "fl_y": K[1][1],
                "cx": K[0][2],
                "cy": K[1][2],
                "w": camera.width,
                "h": camera.height,
            }
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"camera_model": "PINHOLE", "frames": frames}))


def write_photos(folder: Path, scene: Scene, cameras: list[Camera]) -> None:
    """Renders of `scene` as photos 000.png, 001.png, ... with a transforms.json."""
    names = [f"images/{i:03d}.png" for i in range(len(cameras))]
    (folder / "images").mkdir(parents=True)
    for camera, name in zip(cameras, names, strict=True):
        color = render(scene, camera).color
        picture = np.round(color.numpy() * 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / name)
    write_transforms(folder / "transforms.json", cameras, names)
