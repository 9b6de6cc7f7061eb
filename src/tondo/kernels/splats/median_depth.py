"""The depth at which the light through the splats has fallen to a given level, by native code where
float32 is on the CPU. `median_depth_torch` is the definition."""

from __future__ import annotations

import torch
from torch import Tensor

from tondo import _native
from tondo.kernels.splats.gaussians import (
    Cameras,
    Gaussians,
    ScreenGaussians,
    check_gaussians,
)
from tondo.kernels.splats.median_depth_torch import PROJECTION, median_depth_torch, ray_depths
from tondo.kernels.splats.project import project
from tondo.kernels.splats.project_torch import Projection


def median_depth(gaussians: Gaussians, cameras: Cameras, *, level: float = 0.5) -> Tensor:
    """Depth pictures of N splats; no gradients.

    Args:
        gaussians, cameras: float32, on one device (the torch path also takes float64).
        level: share of the light that is left at the depth asked for, above 0 and below 1; 1/2
            gives the median.

    Returns:
        [C, H, W] distance along the camera's z axis in world units, 0 where more light than `level`
        passes all splats.

    Raises:
        TypeError, ValueError: a wrong shape, dtype, device, size or level.
    """
    check_gaussians(gaussians, cameras)
    if not 0 < level < 1:
        raise ValueError(f"level must be above 0 and below 1, got {level:g}")
    with torch.no_grad():
        if gaussians.means.device.type != "cpu" or gaussians.means.dtype != torch.float32:
            return median_depth_torch(gaussians, cameras, level=level)
        screen = project(gaussians, cameras, PROJECTION)
        each = [_depth(gaussians, cameras, screen, c, level) for c in range(len(cameras.Ks))]
    return torch.stack(each)


def _depth(
    gaussians: Gaussians, cameras: Cameras, screen: Projection, camera: int, level: float
) -> Tensor:
    """[H, W] of one camera."""
    seen = (screen.radii[camera, :, 0] > 0).nonzero()[:, 0]
    shown = (screen.means2d, screen.conics, screen.depths, screen.radii)
    means2d, conics, depths, radii = (t[camera][seen] for t in shown)
    splats = Gaussians(*(t[seen] for t in gaussians))
    rays = ray_depths(splats, cameras.viewmats[camera], cameras.Ks[camera]).float().contiguous()
    on_screen = ScreenGaussians(means2d, conics, depths, radii, splats.opacities, rays)
    bins = _native.Bins()
    _native.bin_splats(bins, on_screen, cameras.width, cameras.height)
    depth = torch.empty(cameras.height, cameras.width)
    _native.median_depth(bins, on_screen, level, depth)
    return depth
