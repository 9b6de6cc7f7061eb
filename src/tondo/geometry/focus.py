"""What a set of cameras looks at."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tondo.data.cameras import Camera, camera_position


def focus(cameras: Sequence[Camera]) -> tuple[Tensor, float]:
    """The point that the cameras look at, and their mean distance from it.

    Least squares over the optical axes, held towards the cameras' middle where they are parallel.

    Returns:
        [3] float32 world space, and a distance > 0 in world units.
    """
    positions = torch.stack([camera_position(c) for c in cameras]).double()
    axes = torch.stack([c.viewmat[2, :3] for c in cameras]).double()
    across = torch.eye(3, dtype=torch.float64) - axes[:, :, None] * axes[:, None, :]
    A = across.mean(0)
    b = (across @ positions[:, :, None]).mean(0).squeeze(1)
    middle = positions.mean(0)
    center = torch.linalg.solve(A + 1e-4 * torch.eye(3, dtype=torch.float64), b + 1e-4 * middle)
    distance = float((positions - center).norm(dim=1).mean())
    return center.float(), max(distance, 1e-6)


def camera_reach(cameras: Sequence[Camera]) -> float:
    """Largest distance of a camera from the cameras' middle, times 1.1: the scene's length unit.

    For a single place (all cameras together) the distance to what they look at is used instead.
    """
    positions = torch.stack([camera_position(c) for c in cameras])
    reach = 1.1 * float((positions - positions.mean(0)).norm(dim=1).max())
    return reach if reach > 1e-3 else max(focus(cameras)[1], 1e-3)


def object_share(cameras: Sequence[Camera], center: Tensor, distance: float) -> float:
    """Radius of the ball that fills the pictures, relative to `distance`, the cameras' from
    `center`; at most 1."""
    halves = [0.5 * min(c.width / float(c.K[0, 0]), c.height / float(c.K[1, 1])) for c in cameras]
    return float(min(1.0, 1.1 * sum(halves) / len(halves)))
