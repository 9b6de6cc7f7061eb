"""Where the cameras of a set are, before they become 32-bit numbers: the scene's place in the
world, and cameras that stand where no photo of this scene was taken."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from tondo.data.similarity import FAR_AWAY, IDENTITY, Similarity, rounded
from tondo.geometry.focus import core_of, focus_of

# World units. Outside, a fixed near plane and steps of training are too coarse, or too fine.
LEAST_SIZE, MOST_SIZE = 0.25, 250.0
_LOOK = 30.0  # times the reach: what cameras look at cannot be told to be further away; chosen

# A camera can be a stray if it stands so many times as far from the middle as half of all do, where
# the others look at one place. Where they do not, the room between the cameras says little of how
# large the scene is.
_STRAY, _STRAY_OF_OPEN = 6.0, 300.0
_STRAY_GAP = 4.0  # and so many times as far as any of the others; chosen
_LEAST_SEEN = 1 / 50  # of the picture's side: smaller, what the others see is not seen; chosen
_SHARE = 0.8  # of the cameras that look at one place, for all to; chosen
_FEWEST = 6  # cameras, with which a stray can be told; chosen


@dataclass(frozen=True)
class Far:
    """A camera far away from all others.

    Attributes:
        index: which one.
        times: how many times as far from the middle as the farthest of the others.
        distance: from the middle, world units.
        sees: whether its picture would show the part of the world that the others look at.
    """

    index: int
    times: float
    distance: float
    sees: bool


def place(viewmats: Tensor) -> Similarity:
    """The place of the scene of cameras [N, 4, 4] (float64, world-to-camera); the identity unless
    the scene would suffer where it is.

    Its size is the cameras' reach, or how far they look, where they look at one place that is
    further away than that. Moved to the cameras' middle, rounded to the power of ten below the
    size, if that is more than 100 times the size away; scaled by a power of ten that brings the
    size into [1, 10) if it is outside [0.25, 250]. Few cameras far away do not count.
    """
    positions, axes = positions_and_axes(viewmats)
    core = core_of(positions)
    middle = positions[core].median(dim=0).values
    around = positions[core] - middle
    size = float(around.norm(dim=1).max())
    if not size > 1e-12 * float(middle.norm()):  # all in one place: only where can be told
        size = 1.0
    elif size <= MOST_SIZE:
        size = min(max(size, focus_of(around, axes[core])[1]), _LOOK * size, MOST_SIZE)
    scale = unit_of(size)
    translation = (0.0, 0.0, 0.0)
    if float(middle.norm()) > FAR_AWAY * size:
        translation = rounded(middle, size)
    return Similarity(scale, translation) if scale != 1.0 or any(translation) else IDENTITY


def unit_of(size: float) -> float:
    """World units in one unit of a scene of that size, a power of ten: 1 for usual ones, else so
    that the size is within [1, 10)."""
    if LEAST_SIZE <= size <= MOST_SIZE:
        return 1.0
    return float(f"1e{math.floor(math.log10(size))}")


def far_cameras(viewmats: Tensor, bounds: Tensor) -> list[Far]:
    """The few cameras that stand far away from all others, and whether they are strays.

    Args:
        viewmats: [N, 4, 4] float64, world-to-camera, OpenCV axes.
        bounds: [N, 4] float64, of each picture: the least and greatest x / z, and y / z, in it.
    """
    positions, axes = positions_and_axes(viewmats)
    if len(positions) < _FEWEST:
        return []
    core = core_of(positions)
    if bool(core.all()):
        return []
    center, around, inward = _looked_at(positions[core], axes[core], bounds[core])
    away = (positions - positions.median(dim=0).values).norm(dim=1)
    usual = float(away.sort().values[(len(away) - 1) // 2])
    farthest = float(away[core].max())
    far = []
    for index in (~core).nonzero()[:, 0].tolist():
        distance = float(away[index])
        least = (_STRAY if inward else _STRAY_OF_OPEN) * usual
        is_near = distance < least or distance < _STRAY_GAP * farthest
        local = viewmats[index, :3, :3] @ (center - positions[index])
        sees = is_near or _sees(local, around, bounds[index])
        far.append(Far(index, distance / farthest, distance, sees))
    return far


def positions_and_axes(viewmats: Tensor) -> tuple[Tensor, Tensor]:
    """[N, 3] positions and [N, 3] optical axes of cameras [N, 4, 4], float64."""
    R, t = viewmats[:, :3, :3].double(), viewmats[:, :3, 3].double()
    return -(R.transpose(1, 2) @ t[:, :, None])[:, :, 0], R[:, 2]


def _looked_at(positions: Tensor, axes: Tensor, bounds: Tensor) -> tuple[Tensor, float, bool]:
    """Middle and radius of the ball that the cameras look at, and True; or, where they look many
    ways, of the ball in which they stand, and False."""
    center, distance = focus_of(positions, axes)
    offsets = center - positions
    ahead = (offsets * axes).sum(dim=1)
    aside = (offsets - ahead[:, None] * axes).norm(dim=1)
    edge = bounds.abs().amax(dim=1)
    if float(((ahead > 0) & (aside < edge * ahead)).double().mean()) > _SHARE:
        return center, distance, True
    middle = positions.median(dim=0).values
    return middle, float((positions - middle).norm(dim=1).max()), False


def _sees(local: Tensor, around: float, bounds: Tensor) -> bool:
    """Whether a picture shows a ball of radius `around`, whose middle is at `local` in the camera's
    axes, as more than a speck."""
    if float(local.norm()) <= around:
        return True
    x, y, z = local.tolist()
    left, right, top, bottom = bounds.tolist()
    if z <= 0:
        return False
    ball = around / z
    inside = left - ball < x / z < right + ball and top - ball < y / z < bottom + ball
    return inside and 2 * ball > _LEAST_SEEN * max(right - left, bottom - top)
