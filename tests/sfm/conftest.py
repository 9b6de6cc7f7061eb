"""A scene with known geometry: a textured wall, and a textured board before it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from tondo.data.cameras import Camera
from tondo.data.photos import Photo

WIDTH, HEIGHT = 400, 300
WALL_Z, BOARD_Z, BOARD_HALF = 5.0, 3.5, 0.7


def noise_texture(seed: int, side: int) -> np.ndarray:
    """[side, side, 3] uint8 colour noise on several scales, which has features at all of them."""
    rng = np.random.default_rng(seed)
    total = np.zeros((side, side, 3), np.float32)
    for cells in (side // 40, side // 14, side // 5, side // 2):
        layer = rng.random((cells, cells, 3), np.float32) - 0.5
        total += cv2.resize(layer, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 75 * total, 0, 255).astype(np.uint8)


def camera_at(
    position: tuple[float, float, float], target: tuple[float, float, float] = (0, 0, 4.5)
) -> Camera:
    """A camera at `position` that looks at `target`, with y down."""
    forward = np.array(target, float) - np.array(position, float)
    forward /= np.linalg.norm(forward)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    viewmat = np.eye(4)
    viewmat[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    viewmat[:3, 3] = -viewmat[:3, :3] @ np.array(position, float)
    K = torch.tensor([[410.0, 0, 206.0], [0, 404.0, 147.0], [0, 0, 1]])
    return Camera(torch.from_numpy(viewmat).float(), K, WIDTH, HEIGHT)


def photograph(camera: Camera, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """[H, W, 3] uint8 picture and [H, W] bool where the board is."""
    picture = _plane(camera, noise_texture(2 * seed + 1, 1100), WALL_Z, 5.0)[0]
    board, covered = _plane(camera, noise_texture(2 * seed + 2, 300), BOARD_Z, BOARD_HALF)
    picture = np.where(covered[..., None], board, picture)
    return torch.from_numpy(picture), torch.from_numpy(covered)


def _plane(
    camera: Camera, texture: np.ndarray, z: float, half: float
) -> tuple[np.ndarray, np.ndarray]:
    """A square of side 2 `half` at depth z of the world, seen by `camera`; and where it is seen."""
    side = texture.shape[0]
    step = 2 * half / side
    # (column, row, 1) of the texture, pixel centres at whole numbers, to the world.
    world_from_texture = np.array(
        [[step, 0, -half + step / 2], [0, step, -half + step / 2], [0, 0, z]]
    )
    viewmat = camera.viewmat.double().numpy()
    to_camera = viewmat[:3, :3] @ world_from_texture
    to_camera[:, 2] += viewmat[:3, 3]
    K = camera.K.double().numpy().copy()
    K[:2, 2] -= 0.5
    H = K @ to_camera
    size = (camera.width, camera.height)
    picture = cv2.warpPerspective(texture, H, size, flags=cv2.INTER_AREA)
    covered = cv2.warpPerspective(np.full((side, side), 255, np.uint8), H, size) > 127
    return picture, covered


@pytest.fixture(scope="session")
def scene_cameras() -> list[Camera]:
    """Eleven cameras on a low arc, from 40 degrees left to 40 degrees right of the scene."""
    angles = np.radians(np.linspace(-40, 40, 11))
    return [
        camera_at((4.2 * np.sin(a), 0.5 * np.cos(4 * a) - 0.2, 4.5 - 4.2 * np.cos(a)))
        for a in angles
    ]


@pytest.fixture(scope="session")
def scene_photos(scene_cameras: list[Camera]) -> tuple[Photo, ...]:
    """Photos of the scene with their true cameras."""
    return tuple(
        Photo(f"images/{i:02d}.png", camera, photograph(camera)[0])
        for i, camera in enumerate(scene_cameras)
    )


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory, scene_photos: tuple[Photo, ...]) -> Path:
    """The photos as JPEG files 00.jpg ... 10.jpg, without any metadata."""
    folder = tmp_path_factory.mktemp("photos")
    for i, photo in enumerate(scene_photos):
        Image.fromarray(photo.image.numpy()).save(folder / f"{i:02d}.jpg", quality=95)
    return folder
