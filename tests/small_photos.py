"""A small scene of known splats, and photos of it."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from tondo.data.cameras import Camera
from tondo.data.photos import Photo, PointCloud
from tondo.data.splats import Scene, Splats
from tondo.geometry.look_at import look_at
from tondo.io.images import write_png
from tondo.io.posed.cameras_json import write_cameras
from tondo.scenes.render import render


def known_scene(count: int = 60, seed: int = 3) -> Scene:
    """Coloured blobs in a ball of radius 1 before grey."""
    g = torch.Generator().manual_seed(seed)
    means = torch.nn.functional.normalize(torch.randn(count, 3, generator=g), dim=1)
    means = means * torch.rand(count, 1, generator=g) ** (1 / 3)
    sh = torch.zeros(count, 4, 3)
    sh[:, 0] = torch.randn(count, 3, generator=g) * 1.2
    splats = Splats(
        means,
        torch.randn(count, 4, generator=g),
        torch.log(0.08 + 0.2 * torch.rand(count, 3, generator=g)),
        torch.full((count,), 2.0),
        sh,
    )
    up = torch.tensor([0.0, 0.0, 1.0])
    return Scene(splats, torch.full((3,), 0.5), up, 1.0, torch.zeros(3))


def cameras(count: int, width: int = 72, height: int = 56) -> list[Camera]:
    """Cameras around the scene at several heights, the principal point off the centre."""
    K = torch.tensor([[70.0, 0, width / 2 + 3], [0, 72.0, height / 2 - 2], [0, 0, 1]])
    found = []
    for i in range(count):
        turn, lift = 2.4 * i, 0.8 * math.sin(1.3 * i)
        place = 3.5 * torch.tensor(
            [math.cos(turn) * math.cos(lift), math.sin(turn) * math.cos(lift), math.sin(lift)]
        )
        view = look_at(place, torch.zeros(3), torch.tensor([0.0, 0.0, 1.0]))
        found.append(Camera(view, K, width, height))
    return found


def photos(count: int = 10) -> list[Photo]:
    """Pictures of the known scene."""
    scene = known_scene()
    return [
        Photo(f"{i:03d}.png", camera, (render(scene, camera).color * 255).round().byte())
        for i, camera in enumerate(cameras(count))
    ]


def points(count: int = 80) -> PointCloud:
    """The scene's centres, shaken, in grey."""
    means = known_scene().splats.means
    g = torch.Generator().manual_seed(5)
    rows = torch.randint(0, len(means), (count,), generator=g)
    shaken = means[rows] + 0.1 * torch.randn(count, 3, generator=g)
    return PointCloud(shaken, torch.full((count, 3), 128, dtype=torch.uint8))


def write_photos(folder: Path, count: int = 10) -> Path:
    """The photos as PNG files with a transforms.json."""
    folder.mkdir(parents=True)
    shots = photos(count)
    for photo in shots:
        write_png(folder / photo.name, photo.image)
    write_cameras(folder / "transforms.json", [(p.name, p.camera) for p in shots])
    return folder
