"""Splats as planes, and how far a picture's normals are from those of its depth.

Each splat stands for the plane through its mean across its shortest axis. Planes summed by weight
along the ray through a pixel, `rasterize`d as any channels are, make one plane, and that has a
depth on the ray without bias (Chen et al. 2024, PGSR, equation 5):

    depth = D / -(N . r),   r = ((u - c_x) / f_x, (v - c_y) / f_y, 1)

Where the surface is one, the normals of these depths are the summed normals. Photographs alone
don't ask for that: a splat in front of the surface that shines through, or one that stands up from
it, can paint the same pictures.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tondo.kernels.splats.gaussians import Gaussians
from tondo.kernels.splats.rasterize_torch import splat_normals

MIN_ALPHA = 0.5  # below, a pixel has no surface; chosen
MIN_FACING = 1e-3  # of -N . r; flatter planes have no depth to speak of; chosen


def splat_planes_torch(gaussians: Gaussians, viewmat: Tensor) -> Tensor:
    """The same as `splat_planes`, for all splats."""
    normals = splat_normals(gaussians, viewmat[None])[0] @ viewmat[:3, :3].T
    means = gaussians.means @ viewmat[:3, :3].T + viewmat[:3, 3]
    return torch.cat([normals, -(normals * means).sum(dim=-1, keepdim=True)], dim=-1)


def plane_depths(planes: Tensor, alphas: Tensor, K: Tensor) -> Tensor:
    """[H, W] depth of each pixel's plane along the camera's z axis, 0 where there is none.

    Args:
        planes: [H, W, 4] splats' planes summed by weight. alphas: [H, W] 0..1. K: [3, 3].
    """
    facing = -(planes[..., :3] * _rays(alphas, K)).sum(dim=-1)
    solid = (alphas > MIN_ALPHA) & (facing > MIN_FACING) & (planes[..., 3] > 0)
    return torch.where(solid, planes[..., 3] / torch.where(solid, facing, 1.0), 0.0)


def depth_normal_loss_torch(planes: Tensor, alphas: Tensor, K: Tensor) -> Tensor:
    """The same as `depth_normal_loss`."""
    depth = plane_depths(planes, alphas, K)
    points = _rays(alphas, K) * depth[..., None]
    across = points[1:-1, 2:] - points[1:-1, :-2]
    down = points[2:, 1:-1] - points[:-2, 1:-1]
    found = depth != 0
    known = found[1:-1, 1:-1] & found[1:-1, 2:] & found[1:-1, :-2]
    known = known & found[2:, 1:-1] & found[:-2, 1:-1]
    crossed = torch.linalg.cross(down, across)
    length = torch.where(known, crossed.square().sum(dim=-1), 1.0).sqrt()
    agreement = (crossed * planes[1:-1, 1:-1, :3]).sum(dim=-1) / length
    off = alphas[1:-1, 1:-1].detach() - agreement
    return torch.where(known, off, 0.0).sum() / alphas.numel()


def _rays(alphas: Tensor, K: Tensor) -> Tensor:
    """[H, W, 3] rays through pixel centres in camera space, z = 1."""
    height, width = alphas.shape
    y, x = (torch.arange(n, dtype=K.dtype, device=K.device) + 0.5 for n in (height, width))
    x, y = (x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1]
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    return torch.cat([grid, torch.ones_like(grid[..., :1])], dim=-1)
