"""Depth pictures of a scene fused into a truncated signed distance field."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.views import View
from tondo.kernels.tsdf import Volume, empty_volume, integrate

# Pixels with less coverage than this show nothing.
MIN_ALPHA = 0.5  # chosen
# Surfaces seen at a flatter angle than this are not trusted: most such pixels are depths blended
# over an edge.
_MIN_COSINE = 0.15
_BYTES_PER_VOXEL = 24  # six float32 planes: distance, weight, red, green, blue, their weight
# Reach of the distance field on both sides of the surface: 1.5 % of the box, which bridges the
# disagreement of splat depths seen from different sides, and at least 4 voxels.
_TRUNCATION_SHARE, _TRUNCATION_VOXELS = 0.015, 4.0


@dataclass(frozen=True)
class Box:
    """An axis-aligned box in world space: `low` and `high` [3] float32 corners."""

    low: Tensor
    high: Tensor


def cube(center: Tensor, radius: float) -> Box:
    """The box from center - radius to center + radius."""
    return Box(center - radius, center + radius)


def visible_box(views: Iterable[View], limit: Box, trim: float = 0.001) -> Box:
    """The box around what the views see inside `limit`, 3 % larger than that on every side.

    `trim` is the share of the seen points beyond each side that may stay outside (stray splats).
    Returns `limit` if nothing is seen inside it.
    """
    seen = [_points_inside(view, limit) for view in views]
    points = torch.cat(seen) if seen else torch.empty(0, 3)
    if len(points) < 100:
        return limit
    ordered = points.sort(dim=0).values
    last = len(points) - 1
    low, high = ordered[round(trim * last)], ordered[round((1 - trim) * last)]
    margin = 0.03 * float((high - low).max())
    return Box(torch.maximum(low - margin, limit.low), torch.minimum(high + margin, limit.high))


def volume_bytes(box: Box, resolution: int) -> int:
    """Memory that `fuse` takes for its volume."""
    x, y, z = grid_shape(box, resolution)[1]
    return x * y * z * _BYTES_PER_VOXEL


def fuse(views: Iterable[View], box: Box, resolution: int, *, carve: bool) -> Volume:
    """Fuse the views into a volume over `box`.

    Args:
        resolution: voxels along the box's longest side.
        carve: pixels of low coverage show that nothing is there (an object before an empty
            background); otherwise they say nothing.
    """
    spacing, shape = grid_shape(box, resolution)
    middle = (box.low + box.high) / 2
    low = middle - spacing * (torch.tensor(shape) - 1) / 2
    volume = empty_volume(low, spacing, shape)
    truncation = spacing * truncation_voxels(resolution)
    for view in views:
        pixels = view_pixels(view, carve=carve)
        integrate(volume, view.camera.viewmat, view.camera.K, pixels, truncation)
    return volume


def truncation_voxels(resolution: int) -> float:
    """Reach of the distance field on both sides of the surface, in voxels."""
    return max(_TRUNCATION_VOXELS, _TRUNCATION_SHARE * resolution)


def view_pixels(view: View, *, carve: bool) -> Tensor:
    """[H, W, 6] float32, what `kernels.tsdf.integrate` wants to know about each pixel.

    A surface counts by the cosine of the angle at which it is seen (taken from the depth itself)
    and its coverage. Its colour counts only where coverage is nearly full: else it is mixed with
    the background.
    """
    solid = (view.alpha >= MIN_ALPHA) & (view.depth > 0)
    cosine = _cosines(view, solid)
    weight = torch.where(cosine > _MIN_COSINE, cosine * view.alpha, 0.0)
    color_weight = weight * ((view.alpha - 0.6) / 0.4).clamp(1e-3, 1) ** 2
    depth = torch.where(solid, view.depth, 0.0)
    if carve:
        # A pixel beside the outline says nothing: half of it may be solid, and carving there would
        # eat into the surface.
        beside = F.max_pool2d(view.alpha[None], 3, stride=1, padding=1)[0]
        empty = beside < MIN_ALPHA
        depth = torch.where(empty, torch.inf, depth)
        weight = torch.where(empty, 1.0, weight)
    channels = [depth[..., None], weight[..., None], view.color, color_weight[..., None]]
    return torch.cat(channels, dim=-1).contiguous()


def _cosines(view: View, solid: Tensor) -> Tensor:
    """[H, W] cosine between the line of sight and the normal of the depth, 0 where unknown.

    For a depth z(u, v) and x, y the pixel's place relative to the principal point, the normal is
    along n = (f_x z_u, f_y z_v, -(z + x z_u + y z_v)), and its product with the ray
    (x / f_x, y / f_y, 1) is -z.
    """
    K, depth = view.camera.K, view.depth
    height, width = depth.shape
    x = torch.arange(width) + (0.5 - K[0, 2])
    y = (torch.arange(height) + (0.5 - K[1, 2]))[:, None]
    z_u, z_v = _slope(depth, solid), _slope(depth.T, solid.T).T
    normal = (K[0, 0] * z_u) ** 2 + (K[1, 1] * z_v) ** 2 + (depth + x * z_u + y * z_v) ** 2
    ray = 1 + (x / K[0, 0]) ** 2 + (y / K[1, 1]) ** 2
    return torch.where(solid, depth / (normal * ray).sqrt(), 0.0)


def _slope(depth: Tensor, solid: Tensor) -> Tensor:
    """[H, W] change of depth per pixel along the rows, from the solid neighbours on both sides."""
    step = depth[:, 1:] - depth[:, :-1]
    known = solid[:, 1:] & solid[:, :-1]
    step = torch.where(known, step, 0.0)
    total = F.pad(step, (1, 0)) + F.pad(step, (0, 1))
    count = F.pad(known, (1, 0)).float() + F.pad(known, (0, 1)).float()
    return total / count.clamp(min=1)


def _points_inside(view: View, limit: Box) -> Tensor:
    """[M, 3] world-space points that the view sees inside `limit`."""
    solid = (view.alpha >= MIN_ALPHA) & (view.depth > 0)
    pixels = solid.nonzero()
    rays = torch.cat([pixels.flip(1) + 0.5, torch.ones(len(pixels), 1)], dim=1)
    local = rays @ torch.linalg.inv(view.camera.K).T * view.depth[solid][:, None]
    rotation, translation = view.camera.viewmat[:3, :3], view.camera.viewmat[:3, 3]
    points = (local - translation) @ rotation
    return points[((points > limit.low) & (points < limit.high)).all(dim=-1)]


def grid_shape(box: Box, resolution: int) -> tuple[float, tuple[int, int, int]]:
    """Voxel spacing and the number of voxels along x, y, z."""
    size = box.high - box.low
    spacing = float(size.max()) / resolution
    x, y, z = (max(2, int(torch.ceil(side / spacing - 1e-4))) for side in size)
    return spacing, (x, y, z)
