"""Fusion of depth pictures into a truncated signed distance field, by native code on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from tondo import _native
from tondo.checks import check_dtype, check_one_device, check_shape
from tondo.kernels.tsdf_torch import Volume, integrate_torch


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
        integrate_torch(volume, viewmat, K, pixels, truncation)
        return
    _native.tsdf_integrate(
        volume.planes,
        volume.grid,
        viewmat.contiguous(),
        K.contiguous(),
        pixels.contiguous(),
        truncation,
    )


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
