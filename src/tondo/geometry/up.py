"""Which way is up, as the cameras tell it.

People hold cameras level: what stands upright in the world stands upright in the picture. So up is
against the mean of the cameras' y axes, or, where phones stored upright pictures lying on their
side, against the mean of their x axes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# A mean of unit vectors shorter than this says nothing: they point all around.
_LEAST_MEAN = 0.3  # chosen
# How much longer the mean of the x axes must be before pictures count as lying on their side.
_ON_SIDE = 0.05  # chosen
_HALF_TURNED = math.cos(math.radians(45.0))  # nearer to the opposite than to a quarter turn
# Cameras whose views' mean is longer than this look the same way (within about 25 degrees).
_SAME_VIEW = 0.9  # chosen
# A world's axis is taken for up where it is within 35 degrees of the mean and the cameras are level
# about it, to a mean of 6 degrees.
_NEAR_AXIS = math.cos(math.radians(35.0))
_LEVEL = 0.1  # root mean square of x . up that counts as level (docs/notes/inputs.md)


@dataclass(frozen=True)
class CamerasUp:
    """What cameras tell about up.

    Attributes:
        direction: [3] float64 unit vector.
        certainty: 0..1, the length of the mean that it is the direction of.
        on_side: the pictures lie on their side; which of the two is a guess (as phones do it).
        horizontal: [N, 3] float64 unit vectors, the cameras' axes that are level where they stood
            upright.
    """

    direction: Tensor
    certainty: float
    on_side: bool
    horizontal: Tensor

    @property
    def is_certain(self) -> bool:
        return self.certainty >= _LEAST_MEAN

    def tilt(self, direction: Tensor) -> float:
        """How far from level the cameras are if `direction` is up: 0 (level) to 1."""
        return float((self.horizontal @ direction).square().mean().sqrt())


def cameras_up(viewmats: Tensor) -> CamerasUp:
    """Up as cameras tell it.

    Args:
        viewmats: [N, 4, 4] world-to-camera, OpenCV axes, N > 0.
    """
    axes = viewmats[:, :3, :3].double()
    x, y, view = axes[:, 0], axes[:, 1], axes[:, 2]
    by_x, by_y = float(x.mean(dim=0).norm()), float(y.mean(dim=0).norm())
    on_side = by_x >= _LEAST_MEAN and by_x > by_y + _ON_SIDE
    down, level = (x, y) if on_side else (y, x)
    mean = down.mean(dim=0)
    length = float(mean.norm())
    if length < _LEAST_MEAN and float(view.mean(dim=0).norm()) > _SAME_VIEW:
        mean = view.mean(dim=0)  # turned every way, looking one way: straight down, as drones do
        return CamerasUp(-mean / mean.norm(), 0.0, False, level)
    if length < 1e-3:  # they look every way: any choice is as good
        mean = down[0]
    return CamerasUp(-mean / mean.norm(), length, on_side, level)


def settled_up(viewmats: Tensor, convention: Tensor) -> tuple[Tensor, str | None]:
    """Up of a world whose file's convention says `convention`, which the cameras may contradict.

    Their mean up goes before the convention where it is more than 45 degrees off and certain,
    unless the cameras are as level with the convention: those that look down steeply from one side,
    or straight down, say nothing against it. Where a world's axis is close to their mean and they
    are level about it, it is the axis that is meant.

    Args:
        viewmats: [N, 4, 4] world-to-camera, OpenCV axes.
        convention: [3] unit vector.

    Returns:
        Up [3] float32, and a sentence to be said where it is not, or may not be, the convention.
    """
    wanted = convention.double()
    if not len(viewmats):
        return convention.clone(), None
    found = cameras_up(viewmats)
    cosine = float(found.direction @ wanted)
    if found.is_certain and found.on_side and cosine < -_HALF_TURNED:
        return convention.clone(), (
            f"the pictures lie on their side, which leaves {as_text(wanted)} or the opposite for "
            f"up: it is taken as {as_text(wanted)} (export and render take another with `up`)"
        )
    if not found.is_certain or cosine >= _HALF_TURNED:
        return convention.clone(), None
    degrees = math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
    is_upside_down = cosine < -_HALF_TURNED
    axis = _axis_meant(found)
    if not is_upside_down and found.tilt(wanted) <= found.tilt(axis) + _LEVEL:
        return convention.clone(), (
            f"the cameras' mean up is {degrees:.0f} degrees from {as_text(wanted)}, but they may "
            f"just look down: up is taken as {as_text(wanted)}, as the file's convention is "
            "(export and render take another with `up`)"
        )
    return axis.float(), (
        f"up is taken as {as_text(axis)} from the cameras, whose mean up is {degrees:.0f} degrees "
        f"from {as_text(wanted)}, the file's convention (export and render take another with `up`)"
    )


def as_text(direction: Tensor) -> str:
    """ "+y" for an axis, else three numbers."""
    values = [float(v) for v in direction]
    for index, name in enumerate("xyz"):
        if abs(values[index]) > 1 - 1e-6:
            return f"{'+' if values[index] > 0 else '-'}{name}"
    return ",".join(f"{value:.2f}" for value in values)


def _axis_meant(found: CamerasUp) -> Tensor:
    """The world's axis nearest to the mean up where the cameras are level about it, else that."""
    index = int(found.direction.abs().argmax())
    axis = torch.zeros(3, dtype=torch.float64)
    axis[index] = found.direction[index].sign()
    near = float(found.direction @ axis) > _NEAR_AXIS
    return axis if near and found.tilt(axis) < _LEVEL else found.direction
