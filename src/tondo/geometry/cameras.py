"""Pinhole cameras for other image sizes, and where they stand."""

from __future__ import annotations

from torch import Tensor

from tondo.data.cameras import Camera


def scaled(camera: Camera, width: int, height: int) -> Camera:
    """The same camera for an image of another size (each axis of K scaled by its own ratio)."""
    K = camera.K.clone()
    K[0] *= width / camera.width
    K[1] *= height / camera.height
    return Camera(camera.viewmat, K, width, height)


def fitted(camera: Camera, max_size: int | None) -> Camera:
    """The same camera with its longest side at most `max_size` pixels; never enlarged."""
    size = (camera.width, camera.height)
    fitting = fitted_size(*size, max_size)
    return camera if fitting == size else scaled(camera, *fitting)


def fitted_size(width: int, height: int, max_size: int | None) -> tuple[int, int]:
    """Width and height with the longer one at most `max_size`; never enlarged."""
    longest = max(width, height)
    if max_size is None or longest <= max_size:
        return width, height
    ratio = max_size / longest
    return max(1, round(width * ratio)), max(1, round(height * ratio))


def camera_position(camera: Camera) -> Tensor:
    """[3] float32, the camera's centre in world space: -R^T t."""
    return -camera.viewmat[:3, :3].T @ camera.viewmat[:3, 3]
