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
    longest = max(camera.width, camera.height)
    if max_size is None or longest <= max_size:
        return camera
    ratio = max_size / longest
    width, height = (max(1, round(s * ratio)) for s in (camera.width, camera.height))
    return scaled(camera, width, height)


def camera_position(camera: Camera) -> Tensor:
    """[3] float32, the camera's centre in world space: -R^T t."""
    return -camera.viewmat[:3, :3].T @ camera.viewmat[:3, 3]
