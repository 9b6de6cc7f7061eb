"""Camera paths for videos: an orbit and a spiral, derived from the cameras of the photos.

Angles of a camera are taken as seen from the scene's centre: azimuth around `up`, elevation above
the plane across it, and distance. Where the cameras surround the scene an orbit is a full circle;
where they face it from one side it sways inside the cone in which they stand, because beyond it
nothing was seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.geometry.cameras import camera_position
from tondo.geometry.look_at import look_at, perpendicular

# Cameras that leave no gap in azimuth wider than this surround the scene.
SURROUNDING_GAP = math.radians(135.0)
# Of a path: no view from the pole, where up is lost; chosen, not measured.
HIGHEST_ELEVATION = math.radians(80.0)
# The part of the cameras' spread that a swaying path uses: the edges were seen by few photos.
SWAY = 0.75


@dataclass(frozen=True)
class Standpoints:
    """Where the cameras stand around a centre; angles in radians, distances in world units.

    Attributes:
        surrounding: whether they surround the centre.
        azimuth, elevation: middle of the azimuths (0 if surrounding), median elevation.
        azimuth_reach, elevation_reach: half of the spread of the middle 80 % of the cameras.
        distance: median distance.
        axes: [3, 3] float64 rows: azimuth 0, azimuth 90 degrees, up.
        center: [3] float64.
    """

    surrounding: bool
    azimuth: float
    elevation: float
    azimuth_reach: float
    elevation_reach: float
    distance: float
    axes: Tensor
    center: Tensor


def standpoints(cameras: Sequence[Camera], center: Tensor, up: Tensor) -> Standpoints:
    """Where `cameras` stand around `center` [3], with `up` [3] as the axis.

    Raises:
        ValueError: no camera, or all of them in the centre.
    """
    if not cameras:
        raise ValueError("a path needs at least one camera")
    axes = _axes(up.double())
    center = center.double()
    local = (torch.stack([camera_position(c).double() for c in cameras]) - center) @ axes.T
    distances = local.norm(dim=1)
    if not float(distances.max()) > 0:
        raise ValueError("every camera stands in the centre of the scene")
    local, distances = local[distances > 0], distances[distances > 0]
    elevations = torch.asin((local[:, 2] / distances).clamp(-1, 1))
    middle, gap = _widest_gap(torch.atan2(local[:, 1], local[:, 0]))
    surrounding = gap < SURROUNDING_GAP
    azimuths = torch.atan2(local[:, 1], local[:, 0]) - middle
    azimuths = torch.remainder(azimuths + math.pi, 2 * math.pi) - math.pi
    center_of_azimuths, azimuth_reach = _spread(azimuths)
    _, elevation_reach = _spread(elevations)
    return Standpoints(
        surrounding=surrounding,
        azimuth=0.0 if surrounding else middle + center_of_azimuths,
        elevation=_lowered(float(elevations.median())),
        azimuth_reach=azimuth_reach,
        elevation_reach=elevation_reach,
        distance=float(distances.median()),
        axes=axes,
        center=center,
    )


def orbit(cameras: Sequence[Camera], center: Tensor, up: Tensor, frames: int) -> list[Camera]:
    """A closed path at the median elevation and distance of `cameras`, looking at `center`.

    A full circle where the cameras surround the centre; otherwise once around an ellipse inside
    the cone in which they stand. The last frame leads back to the first.

    Args:
        cameras: those of the photos; the path's pictures have the size and the focal lengths of
            the one with the median focal length, with the principal point in the middle.
        center, up: [3], world space.
        frames: at least 1.

    Raises:
        ValueError: no cameras, no frames, or all cameras in the centre.
    """
    stand = standpoints(cameras, center, up)
    found = []
    for turn in _turns(frames):
        if stand.surrounding:
            azimuth, elevation = 2 * math.pi * turn, stand.elevation
        else:
            azimuth = stand.azimuth + SWAY * stand.azimuth_reach * math.sin(2 * math.pi * turn)
            lift = SWAY * stand.elevation_reach * math.cos(2 * math.pi * turn)
            elevation = _lowered(stand.elevation + lift)
        found.append(_camera(stand, azimuth, elevation, stand.distance, up, cameras))
    return found


def spiral(cameras: Sequence[Camera], center: Tensor, up: Tensor, frames: int) -> list[Camera]:
    """A path that also changes height or distance; arguments as in `orbit`.

    Around an object: two turns from the lowest to the highest tenth of the cameras' elevations and
    back. In front of a scene: two ellipses while the distance goes in by a quarter and back.
    The last frame leads back to the first.
    """
    stand = standpoints(cameras, center, up)
    found = []
    for turn in _turns(frames):
        angle, wave = 4 * math.pi * turn, math.cos(2 * math.pi * turn)
        distance = stand.distance
        if stand.surrounding:
            azimuth = angle
            elevation = stand.elevation - stand.elevation_reach * wave
        else:
            azimuth = stand.azimuth + SWAY * stand.azimuth_reach * math.sin(angle)
            elevation = stand.elevation + SWAY * stand.elevation_reach * math.cos(angle)
            distance *= 0.875 + 0.125 * wave
        found.append(_camera(stand, azimuth, _lowered(elevation), distance, up, cameras))
    return found


def _turns(frames: int) -> list[float]:
    if frames < 1:
        raise ValueError(f"a path needs at least 1 frame, got {frames}")
    return [i / frames for i in range(frames)]


def _camera(
    stand: Standpoints,
    azimuth: float,
    elevation: float,
    distance: float,
    up: Tensor,
    cameras: Sequence[Camera],
) -> Camera:
    flat = math.cos(elevation)
    direction = (flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(elevation))
    eye = stand.center + distance * torch.tensor(direction, dtype=torch.float64) @ stand.axes
    model = sorted(cameras, key=lambda c: float(c.K[1, 1]) / c.height)[len(cameras) // 2]
    K = model.K.clone()
    K[0, 2], K[1, 2] = model.width / 2, model.height / 2
    return Camera(look_at(eye, stand.center, up), K, model.width, model.height)


def _lowered(elevation: float) -> float:
    return max(-HIGHEST_ELEVATION, min(HIGHEST_ELEVATION, elevation))


def _spread(values: Tensor) -> tuple[float, float]:
    """Middle and half width of the middle 80 % of `values`."""
    low, high = torch.quantile(values, torch.tensor([0.1, 0.9], dtype=values.dtype)).tolist()
    return (low + high) / 2, (high - low) / 2


def _widest_gap(azimuths: Tensor) -> tuple[float, float]:
    """The azimuth opposite the middle of the widest gap, and the gap, radians."""
    ordered = azimuths.sort().values
    gaps = torch.cat([ordered[1:], ordered[:1] + 2 * math.pi]) - ordered
    widest = int(gaps.argmax())
    return float(ordered[widest] + gaps[widest] / 2) + math.pi, float(gaps[widest])


def _axes(up: Tensor) -> Tensor:
    up = up / up.norm()
    across = perpendicular(up)
    return torch.stack([across, torch.linalg.cross(up, across), up])
