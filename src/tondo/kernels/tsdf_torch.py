"""Fusion of depth pictures into a truncated signed distance field in PyTorch: the definition.

Curless & Levoy 1996, "A Volumetric Method for Building Complex Models from Range Images": every
voxel holds the weighted mean, over the cameras that see it, of its distance in front of (positive)
or behind (negative) the surface, cut off at a truncation distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tondo.checks import check_dtype, check_shape


@dataclass(frozen=True)
class Volume:
    """A grid of voxels, changed in place by `integrate`.

    Attributes:
        planes: [6, X, Y, Z] float32: value, weight, red, green, blue (0..1), colour weight.
            value is -1..1 in units of the truncation distance, positive in free space. Where
            weight is 0, value is +1 if no camera looked there, -1 if it lies behind surfaces.
        grid: [4] float32: world x, y, z of voxel (0, 0, 0)'s centre, and the voxels' spacing.
    """

    planes: Tensor
    grid: Tensor

    def __post_init__(self) -> None:
        check_shape("planes", self.planes, "6 X Y Z")
        check_shape("grid", self.grid, "4")
        check_dtype("planes", self.planes, torch.float32)
        check_dtype("grid", self.grid, torch.float32)


def integrate_torch(
    volume: Volume, viewmat: Tensor, K: Tensor, pixels: Tensor, truncation: float
) -> None:
    """`integrate`."""
    height, width = pixels.shape[:2]
    u, v, z = _project(volume, viewmat, K)
    inside = (z > 0) & (u >= 0) & (u < width) & (v >= 0) & (v < height)
    u, v, z = u[inside], v[inside], z[inside]
    sample = _sample(pixels, u, v, z, truncation)
    distance = sample[:, 0] - z
    seen = (sample[:, 0] > 0) & (sample[:, 1] > 0)

    value, weight, *color, color_weight = (plane[inside] for plane in volume.planes)
    behind = seen & (distance < -truncation)
    value = torch.where(behind & (weight == 0), -1.0, value)

    # Behind the surface the trust falls to nothing, so that the far side of thin parts survives.
    trust = ((distance + truncation) / (truncation - float(volume.grid[3]))).clamp(0, 1)
    w = torch.where(seen & ~behind, sample[:, 1] * trust, 0.0)
    target = (distance / truncation).clamp(max=1)
    weight = weight + w
    value = torch.where(w > 0, value + (target - value) * (w / weight), value)

    near = (1 - distance.abs() / truncation).clamp(min=0)
    cw = torch.where(w > 0, sample[:, 5] * near**2, 0.0)
    color_weight = color_weight + cw
    share = torch.where(cw > 0, cw / color_weight, 0.0)
    color = [old + (new - old) * share for old, new in zip(color, sample[:, 2:5].T, strict=True)]
    for plane, new in zip(volume.planes, [value, weight, *color, color_weight], strict=True):
        plane[inside] = new


def _project(volume: Volume, viewmat: Tensor, K: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each [X, Y, Z]: the voxels' pixel coordinates u, v and depth z."""
    axes = [
        volume.grid[a] + torch.arange(n, device=volume.grid.device) * volume.grid[3]
        for a, n in enumerate(volume.planes.shape[1:])
    ]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    homogeneous = points @ (K @ viewmat[:3, :3]).T + K @ viewmat[:3, 3]
    z = homogeneous[..., 2]
    return homogeneous[..., 0] / z, homogeneous[..., 1] / z, z


def _sample(pixels: Tensor, u: Tensor, v: Tensor, z: Tensor, truncation: float) -> Tensor:
    """[M, 6]: bilinear where the four neighbours lie on one surface, otherwise the nearest pixel
    as it is: a mean over an edge would be a depth at which nothing is."""
    height, width = pixels.shape[:2]
    nearest = pixels[v.long(), u.long()]
    x, y = u - 0.5, v - 0.5
    ax, ay = (x - x.floor())[:, None], (y - y.floor())[:, None]
    x0, y0 = x.floor().long().clamp(0, width - 1), y.floor().long().clamp(0, height - 1)
    x1 = (x.floor().long() + 1).clamp(0, width - 1)
    y1 = (y.floor().long() + 1).clamp(0, height - 1)
    corners = torch.stack([pixels[y0, x0], pixels[y0, x1], pixels[y1, x0], pixels[y1, x1]])
    low, high = corners[..., 0].amin(0), corners[..., 0].amax(0)
    smooth = (corners[..., 1] > 0).all(0) & (low > 0) & (high - low < truncation)
    smooth &= (nearest[:, 0] - z).abs() < 2 * truncation
    shares = [(1 - ax) * (1 - ay), ax * (1 - ay), (1 - ax) * ay, ax * ay]
    mean = sum(s * c for s, c in zip(shares, corners, strict=True))
    return torch.where(smooth[:, None] & (nearest[:, 1:2] > 0), mean, nearest)
