"""What a set of cameras looks at."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.geometry.cameras import camera_position

# A few cameras that stand so many times as far from the middle as half of all do, and as any of the
# rest does, have no say in where the middle is and how large the scene is.
_FAR, _GAP = 4.0, 2.0
_FEW = 6  # one in so many; chosen


def core_of(positions: Tensor) -> Tensor:
    """[N] bool: all but the few of `positions` [N, 3] that stand far away from the others.

    Half of the positions say how far is far, so that a few cannot hide themselves. A line, rings
    and clusters of usual sets lose none: what is far must be few, and beyond a gap.
    """
    away = (positions.double() - positions.double().median(dim=0).values).norm(dim=1)
    most = len(away) // _FEW
    every = torch.ones(len(away), dtype=torch.bool)
    if not most:
        return every
    ordered = away.sort().values
    inner, outer = ordered[-most - 1 : -1], ordered[-most:]
    limit = _FAR * float(ordered[(len(ordered) - 1) // 2])
    gaps = (outer > limit) & (outer > _GAP * inner)
    if not bool(gaps.any()) or not limit > 0:
        return every
    return away < outer[int(gaps.nonzero()[0])]


def focus_of(positions: Tensor, axes: Tensor) -> tuple[Tensor, float]:
    """As `focus`, from positions [N, 3] and optical axes [N, 3] (unit), float64; all of them count.

    Returns:
        [3] float64, and a distance >= 0.
    """
    across = torch.eye(3, dtype=torch.float64) - axes[:, :, None] * axes[:, None, :]
    A = across.mean(0)
    b = (across @ positions[:, :, None]).mean(0).squeeze(1)
    middle = positions.mean(0)
    center = torch.linalg.solve(A + 1e-4 * torch.eye(3, dtype=torch.float64), b + 1e-4 * middle)
    return center, float((positions - center).norm(dim=1).mean())


def focus(cameras: Sequence[Camera]) -> tuple[Tensor, float]:
    """The point that the cameras look at, and their mean distance from it.

    Least squares over the optical axes, held towards the cameras' middle where they are parallel. A
    few cameras far away from all others do not count (`core_of`).

    Returns:
        [3] float32 scene units, and a distance > 0.
    """
    positions = torch.stack([camera_position(c) for c in cameras]).double()
    axes = torch.stack([c.viewmat[2, :3] for c in cameras]).double()
    core = core_of(positions)
    center, distance = focus_of(positions[core], axes[core])
    return center.float(), max(distance, 1e-6)


def camera_reach(cameras: Sequence[Camera]) -> float:
    """Largest distance of a camera from the cameras' middle, times 1.1: the scene's length unit.

    A few cameras far away from all others do not count (`core_of`). For a single place (all cameras
    together) the distance to what they look at is used instead.
    """
    positions = torch.stack([camera_position(c) for c in cameras])
    positions = positions[core_of(positions)]
    reach = 1.1 * float((positions - positions.mean(0)).norm(dim=1).max())
    return reach if reach > 1e-3 else max(focus(cameras)[1], 1e-3)


def object_share(cameras: Sequence[Camera], center: Tensor, distance: float) -> float:
    """Radius of the ball that fills the pictures, relative to `distance`, the cameras' from
    `center`; at most 1."""
    halves = [0.5 * min(c.width / float(c.K[0, 0]), c.height / float(c.K[1, 1])) for c in cameras]
    return float(min(1.0, 1.1 * sum(halves) / len(halves)))
