"""The first splats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Generator

from tondo.data.cameras import Camera
from tondo.data.photos import PointCloud
from tondo.data.splats import Splats
from tondo.geometry.focus import focus, object_share
from tondo.geometry.spherical_harmonics import SH_C0


def splats_from_points(
    cloud: PointCloud, *, sh_degree: int, opacity: float = 0.5, size: float = 0.5
) -> Splats:
    """Round splats at points, as large as the gaps between them.

    Args:
        cloud: the points, at least 1.
        sh_degree: 0..3; harmonics above the constant start at 0.
        opacity: 0..1 for all.
        size: standard deviation relative to the mean distance of the three nearest neighbours.
    """
    points = cloud.points
    n = len(points)
    distances = np.full((n, 3), 1.0)
    if n > 1:
        k = min(4, n)
        distances = cKDTree(points.double().numpy()).query(points.double().numpy(), k=k)[0][:, 1:]
    spread = torch.from_numpy(np.sqrt((distances**2).mean(axis=1))).float()
    # duplicated points and far strays would give splats of no size or of the whole scene
    middle = spread.median()
    spread = spread.clamp(middle * 0.05 + 1e-9, middle * 10 + 1e-9)
    quats = torch.zeros(n, 4)
    quats[:, 0] = 1
    sh = torch.zeros(n, (sh_degree + 1) ** 2, 3)
    sh[:, 0] = (cloud.colors.float() / 255 - 0.5) / SH_C0
    return Splats(
        points.clone(),
        quats,
        torch.log(spread * size)[:, None].expand(n, 3).contiguous(),
        torch.full((n,), float(torch.logit(torch.tensor(opacity)))),
        sh,
    )


def random_points(cameras: Sequence[Camera], count: int, generator: Generator) -> PointCloud:
    """Random grey points where the cameras look: in a ball around their focus, each inside the
    picture of at least one camera. Where none shows that ball, since the cameras look outwards:
    before the cameras.

    Args:
        count: how many points to try; those that no camera sees are left out.
    """
    center, distance = focus(cameras)
    direction = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    radius = torch.rand(count, 1, generator=generator) ** (1 / 3)
    points = center + direction * radius * distance * object_share(cameras, center, distance)
    seen = torch.zeros(count, dtype=torch.bool)
    for camera in cameras:
        local = points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
        pixels = (local @ camera.K.T)[:, :2] / local[:, 2:].clamp_min(1e-6)
        inside = (pixels >= 0).all(1) & (pixels[:, 0] < camera.width)
        seen |= inside & (pixels[:, 1] < camera.height) & (local[:, 2] > 0)
    points = points[seen] if bool(seen.any()) else _before(cameras, distance, count, generator)
    colors = torch.randint(64, 192, (len(points), 3), generator=generator, dtype=torch.uint8)
    return PointCloud(points, colors)


def _before(
    cameras: Sequence[Camera], distance: float, count: int, generator: Generator
) -> torch.Tensor:
    """[count, 3] points in the pictures of random cameras, at 0.5 to 8 times `distance`."""
    which = torch.randint(len(cameras), (count,), generator=generator)
    across, down, away = torch.rand(3, count, generator=generator)
    sizes = torch.tensor([[camera.width, camera.height] for camera in cameras])[which]
    pixels = torch.stack([across, down], 1) * sizes
    homogeneous = torch.cat([pixels, torch.ones(count, 1)], 1)[..., None]
    K = torch.stack([camera.K for camera in cameras])[which]
    world_from_camera = torch.linalg.inv(torch.stack([camera.viewmat for camera in cameras]))[which]
    local = torch.linalg.solve(K, homogeneous) * (distance * 0.5 * 16**away)[:, None, None]
    return (world_from_camera[:, :3, :3] @ local + world_from_camera[:, :3, 3:])[..., 0]
