"""Fusion of depth pictures into a truncated signed distance field.

Curless & Levoy 1996, "A Volumetric Method for Building Complex Models from Range Images": every
voxel holds the weighted mean, over the cameras that see it, of its distance in front of (positive)
or behind (negative) the surface, cut off at a truncation distance. `integrate` calls the native
kernel; `integrate_reference` is the readable definition, and what runs on other devices.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tondo import _native
from tondo.checks import check_dtype, check_one_device, check_shape


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


def empty_volume(low: Tensor, spacing: float, shape: tuple[int, int, int]) -> Volume:
    """A volume that no camera has seen, where `low` [3], the centre of voxel (0, 0, 0), is."""
    planes = torch.zeros(6, *shape, device=low.device)
    planes[0] = 1.0
    return Volume(planes, torch.cat([low.float(), torch.tensor([spacing], device=low.device)]))


def integrate(
    volume: Volume, viewmat: Tensor, K: Tensor, pixels: Tensor, truncation: float
) -> None:
    """Update `volume` in place by what one camera sees.

    Args:
        viewmat: [4, 4] float32 world-to-camera. K: [3, 3] float32, pixels.
        pixels: [H, W, 6] float32: depth along the camera's z axis (0: unknown, infinite: nothing
            there as far as one can see), weight (0: ignore), red, green, blue, colour weight.
        truncation: world units, more than the volume's spacing.

    Raises:
        TypeError, ValueError: wrong shapes, dtypes, devices or truncation.
    """
    _check(volume, viewmat, K, pixels, truncation)
    if volume.planes.device.type != "cpu":
        integrate_reference(volume, viewmat, K, pixels, truncation)
        return
    _native.tsdf_integrate(
        volume.planes,
        volume.grid,
        viewmat.contiguous(),
        K.contiguous(),
        pixels.contiguous(),
        truncation,
    )


def integrate_reference(
    volume: Volume, viewmat: Tensor, K: Tensor, pixels: Tensor, truncation: float
) -> None:
    """The same as `integrate`, in torch."""
    _check(volume, viewmat, K, pixels, truncation)
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


def _check(volume: Volume, viewmat: Tensor, K: Tensor, pixels: Tensor, truncation: float) -> None:
    check_shape("viewmat", viewmat, "4 4")
    check_shape("K", K, "3 3")
    check_shape("pixels", pixels, "H W 6")
    for name, tensor in (("viewmat", viewmat), ("K", K), ("pixels", pixels)):
        check_dtype(name, tensor, torch.float32)
    check_one_device(planes=volume.planes, grid=volume.grid, viewmat=viewmat, K=K, pixels=pixels)
    if not truncation > float(volume.grid[3]):
        raise ValueError(
            f"truncation ({truncation:g}) must exceed the voxel spacing ({volume.grid[3]:g})"
        )


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
