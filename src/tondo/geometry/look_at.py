"""Cameras that look at something: from a point, or from azimuth, elevation and roll."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tondo.checks import check_shape


def cameras_at(
    angles: Tensor, fov: float, distance: float, size: int, pivot: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Cameras that look at the origin, or at (0, 0, `pivot`), from `angles`.

    Args:
        angles: [B, 3] radians: azimuth, elevation, roll.
        fov: degrees. distance: of the cameras from where they look. size: pixels a side.

    Returns:
        viewmats [B, 4, 4] world-to-camera, OpenCV axes, and Ks [B, 3, 3] in pixels, float32.
    """
    azimuth, elevation, roll = angles.double().unbind(1)
    sa, ca, se, ce = azimuth.sin(), azimuth.cos(), elevation.sin(), elevation.cos()
    back = torch.stack([sa * ce, se, ca * ce], dim=1)  # from the origin to the camera
    right = torch.stack([ca, torch.zeros_like(ca), -sa], dim=1)
    down = torch.linalg.cross(-back, right)
    sr, cr = roll.sin()[:, None], roll.cos()[:, None]
    rotations = torch.stack([cr * right + sr * down, cr * down - sr * right, -back], dim=1)
    viewmats = viewmats_facing(rotations, distance, pivot)
    focal = 0.5 * size / math.tan(math.radians(fov) / 2)
    K = viewmats.new_tensor([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    return viewmats.float(), K.float().expand(len(angles), 3, 3).contiguous()


def viewmats_facing(rotations: Tensor, distance: float, pivot: float = 0.0) -> Tensor:
    """viewmats [B, 4, 4] with these rotations [B, 3, 3], that far from (0, 0, `pivot`), which they
    show in the middle."""
    viewmats = rotations.new_zeros(len(rotations), 4, 4)
    viewmats[:, :3, :3] = rotations
    viewmats[:, :3, 3] = -pivot * rotations[:, :, 2]
    viewmats[:, 2, 3] += distance
    viewmats[:, 3, 3] = 1
    return viewmats


def angles_of(viewmats: Tensor) -> Tensor:
    """[B, 3] radians: azimuth, elevation and roll of cameras [B, 4, 4], by their line of sight.

    The inverse of `cameras_at` for cameras that look at the origin.
    """
    right, down, ahead = viewmats[:, :3, :3].double().unbind(1)
    back = -ahead
    azimuth = torch.atan2(back[:, 0], back[:, 2])
    elevation = torch.asin(back[:, 1].clamp(-1, 1))
    level = torch.stack([azimuth.cos(), torch.zeros_like(azimuth), -azimuth.sin()], dim=1)
    roll = torch.atan2(-(down * level).sum(1), (right * level).sum(1))
    return torch.stack([azimuth, elevation, roll], dim=1).float()


def look_at(eye: Tensor, target: Tensor, up: Tensor) -> Tensor:
    """[4, 4] float32 world-to-camera of a camera at `eye` that looks at `target`, OpenCV axes.

    The picture's upward direction is as close to `up` as can be; looking straight along `up`, some
    direction across it is taken.

    Args:
        eye, target, up: [3], world space.

    Raises:
        ValueError: `eye` and `target` are the same point, or `up` is zero.
    """
    for name, vector in (("eye", eye), ("target", target), ("up", up)):
        check_shape(name, vector, "3")
    eye, target, up = eye.double(), target.double(), up.double()
    forward = target - eye
    if not float(forward.norm()) > 0:
        raise ValueError("eye and target are the same point")
    if not float(up.norm()) > 0:
        raise ValueError("up is zero")
    z = forward / forward.norm()
    x = torch.linalg.cross(z, up / up.norm())
    if float(x.norm()) < 1e-6:
        x = perpendicular(z)
    x = x / x.norm()
    rotation = torch.stack([x, torch.linalg.cross(z, x), z])
    viewmat = torch.eye(4, dtype=torch.float64)
    viewmat[:3, :3] = rotation
    viewmat[:3, 3] = -rotation @ eye
    return viewmat.float()


def perpendicular(axis: Tensor) -> Tensor:
    """A unit vector across the unit vector `axis`, always the same one."""
    other = torch.zeros(3, dtype=axis.dtype)
    other[int(axis.abs().argmin())] = 1.0
    across = other - (other @ axis) * axis
    return across / across.norm()
