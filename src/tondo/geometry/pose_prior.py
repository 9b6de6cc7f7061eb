"""Where the cameras of a picture collection stood: pose priors, and cameras drawn from them.

The generator's space has +y up and its object within the unit sphere about the origin; every camera
looks at the origin, or at a prior's pivot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from tondo.errors import OptionError
from tondo.geometry.look_at import angles_of, cameras_at

# Of the numbers of a prior. Weights: float32, in which cameras are drawn, begins at 1e-38.
LIMITS = {"fov": (1, 120), "pivot": (-1, 1), "distance": (1.1, 100), "weight": (1e-30, 1e6)}


@dataclass(frozen=True)
class PosePrior:
    """Ranges that cameras are drawn from, evenly over the directions of a sphere.

    Attributes:
        azimuth: degrees about +y, (lowest, highest); 0 looks along -z from +z.
        elevation: degrees above the horizon, -90..90.
        roll: degrees about the line of sight.
        fov: degrees, the whole angle of view.
        distance: camera to origin, in radii of the object.
        weight: how often, relative to the other priors of a mixture, above 0.
        by_angle: elevations are even in angle, as on a turning axis, not over the sphere's area.
        bell: most cameras stand near the middle of the ranges: angles are normally distributed with
            a standard deviation of `BELL` times half a range, and cut off at its ends.
        pivot: how far from the origin towards +z the cameras look: where pictures were cut out
            around a face, it is the face that stays in the middle as the head turns.
    """

    azimuth: tuple[float, float]
    elevation: tuple[float, float]
    roll: tuple[float, float] = (0.0, 0.0)
    fov: float = 20.0
    distance: float = 5.8
    weight: float = 1.0
    by_angle: bool = False
    bell: bool = False
    pivot: float = 0.0

    def __post_init__(self) -> None:
        for name in ("azimuth", "elevation", "roll"):
            low, high = getattr(self, name)
            if not -360.0 <= low <= high <= 360.0:
                raise OptionError(
                    f"poses: {name} must be two angles from low to high within -360..360, "
                    f"got {low:g} to {high:g}"
                )
        if not -90.0 <= self.elevation[0] <= self.elevation[1] <= 90.0:
            raise OptionError(f"poses: elevation must lie within -90..90, got {self.elevation}")
        for name, (least, most) in LIMITS.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise OptionError(
                    f"poses: {name} must lie within {least:g}..{most:g}, got {value:g}"
                )


ROUND = (-180.0, 180.0)  # degrees: all azimuths
BELL = 0.4  # ±45 degrees with a standard deviation of 18 (docs/notes/gan.md)
OF_A_RANGE = 5  # angles of view, or distances, that stand for a range of them; chosen
NAMED = {
    "frontal": (PosePrior((-45.0, 45.0), (-15.0, 15.0), bell=True, pivot=0.5),),
    "turntable": (PosePrior(ROUND, (-5.0, 15.0)),),
    # lying on a turntable: seen from all round, over the poles, the axis level in the picture
    "tumble": (
        PosePrior(ROUND, (-90.0, 90.0), (90.0, 90.0), weight=0.5, by_angle=True),
        PosePrior(ROUND, (-90.0, 90.0), (-90.0, -90.0), weight=0.5, by_angle=True),
    ),
    "upper-hemisphere": (PosePrior(ROUND, (0.0, 80.0)),),
    "sphere": (PosePrior(ROUND, (-90.0, 90.0)),),
}


def parse_poses(text: str) -> tuple[PosePrior, ...]:
    """One prior or a mixture of several joined by "+", equally often: "turntable+tumble".

    Each is a name or ranges such as "azimuth=-40:40,elevation=-10:20,fov=25,distance=5,pivot=0".
    Where `fov` or `distance` is a range, a mixture stands for it, the middle first.

    Raises:
        OptionError: an unknown name, an unknown or missing range, or values out of range.
    """
    return tuple(prior for word in text.split("+") for prior in _parse_one(word.strip()))


def _parse_one(text: str) -> tuple[PosePrior, ...]:
    if text in NAMED:
        return NAMED[text]
    if "=" not in text:
        raise OptionError(
            f"`poses={text}`: no prior of that name; choose one of {', '.join(NAMED)}, or give "
            "ranges such as azimuth=-40:40,elevation=-10:20,fov=20:30,distance=5"
        )
    found: dict[str, tuple[float, ...]] = {}
    for word in text.split(","):
        name, _, values = word.partition("=")
        try:
            found[name.strip()] = tuple(float(value) for value in values.split(":"))
        except ValueError:
            raise OptionError(f"`poses`: {word!r} is not NAME=NUMBER or NAME=LOW:HIGH") from None
    ranges = {"azimuth", "elevation", "roll"}
    wanted = dict.fromkeys(ranges, (2,)) | {"fov": (1, 2), "distance": (1, 2), "pivot": (1,)}
    for name, given in found.items():
        if len(given) not in wanted.get(name, ()) or not all(map(math.isfinite, given)):
            raise OptionError(
                f"`poses`: {name}={':'.join(f'{v:g}' for v in given)} is not understood; known "
                "are azimuth, elevation and roll as LOW:HIGH, fov and distance as one number or "
                "LOW:HIGH, pivot as one number"
            )
    if "azimuth" not in found or "elevation" not in found:
        raise OptionError("`poses`: ranges need at least azimuth=LOW:HIGH and elevation=LOW:HIGH")
    low, high = (
        dict.fromkeys(ranges, 0.0) | {k: found[k][end] for k in ranges & found.keys()}
        for end in (0, 1)
    )
    azimuth, elevation, roll = ((low[k], high[k]) for k in ("azimuth", "elevation", "roll"))
    pivot = found.get("pivot", (0.0,))[0]
    fovs = _spread("fov", found.get("fov", (20.0,)))
    lenses = [
        (fov, distance)
        for fov in fovs
        for distance in _spread("distance", found.get("distance", (_fitting(fov),)))
    ]
    return tuple(
        PosePrior(azimuth, elevation, roll, *lens, 1 / len(lenses), pivot=pivot) for lens in lenses
    )


def _fitting(fov: float) -> float:
    """The distance at which the unit sphere fills a picture of that angle of view."""
    return 1.005 / math.sin(math.radians(min(max(fov, 1.0), 120.0)) / 2)


def _spread(name: str, given: tuple[float, ...]) -> list[float]:
    """A number itself, or even values of a range, the middle one first."""
    if len(given) == 1:
        return [given[0]]
    low, high = given
    if low > high:
        raise OptionError(f"`poses`: {name} must go from low to high, got {low:g} to {high:g}")
    shares = sorted(((k + 0.5) / OF_A_RANGE for k in range(OF_A_RANGE)), key=lambda s: abs(s - 0.5))
    return [low + (high - low) * share for share in shares]


class Cameras(NamedTuple):
    """Attributes:
    angles: [B, 3] radians: azimuth, elevation, roll.
    viewmats: [B, 4, 4] world-to-camera, OpenCV axes. Ks: [B, 3, 3] pixels.
    """

    angles: Tensor
    viewmats: Tensor
    Ks: Tensor


def reweighted(priors: tuple[PosePrior, ...], chosen: Tensor) -> tuple[PosePrior, ...]:
    """`priors` with weights by how often cameras `chosen` [N] were found to be of each; what was
    said of them beforehand counts as much as one camera."""
    counts = torch.bincount(chosen.long(), minlength=len(priors)).tolist()
    given = sum(prior.weight for prior in priors)
    return tuple(
        replace(prior, weight=(count + prior.weight / given) / (len(chosen) + 1))
        for prior, count in zip(priors, counts, strict=True)
    )


def draw_cameras(
    priors: tuple[PosePrior, ...], count: int, size: int, generator: torch.Generator
) -> Cameras:
    """`count` cameras for pictures of `size` pixels a side, drawn from a mixture of priors."""
    return cameras_of(priors, *draw_angles(priors, count, generator), size)


def draw_angles(
    priors: tuple[PosePrior, ...], count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Angles [count, 3] in radians drawn from a mixture of priors, and from which one [count]."""
    weights = torch.tensor([prior.weight for prior in priors])
    chosen = torch.multinomial(weights, count, replacement=True, generator=generator)
    even = torch.rand(count, 3, generator=generator)
    angles = torch.stack([_angles(prior, even) for prior in priors])
    return angles[chosen, torch.arange(count)], chosen


def cameras_of(priors: tuple[PosePrior, ...], angles: Tensor, chosen: Tensor, size: int) -> Cameras:
    """Cameras at angles [B, 3], each with the angle of view and the distance of prior `chosen`
    [B]."""
    parts = [cameras_by(prior, angles, size) for prior in priors]
    pick = torch.arange(len(angles))
    viewmats, Ks = (torch.stack(tensors)[chosen, pick] for tensors in zip(*parts, strict=True))
    return Cameras(angles, viewmats, Ks)


def cameras_by(prior: PosePrior, angles: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """`cameras_at` angles [B, 3], as far away and with the angle of view that `prior` says."""
    return cameras_at(angles, prior.fov, prior.distance, size, prior.pivot)


def within(priors: tuple[PosePrior, ...], angles: Tensor, chosen: Tensor) -> Tensor:
    """Angles [B, 3], moved into the ranges of prior `chosen` [B] where they lie outside; a whole
    turn has no outside."""
    ranges = torch.tensor([(prior.azimuth, prior.elevation, prior.roll) for prior in priors])
    low, high = torch.deg2rad(ranges)[chosen].unbind(2)
    inside = torch.minimum(torch.maximum(angles, low), high)
    return torch.where(high - low > 2 * math.pi - 1e-3, angles, inside)


def _angles(prior: PosePrior, even: Tensor) -> Tensor:
    """[B, 3] radians from even numbers [B, 3] in 0..1."""
    if prior.bell:
        return bell_angles(prior, torch.special.ndtri(even))
    if prior.by_angle:
        elevation = _between(prior.elevation, even[:, 1])
    else:
        low, high = (math.sin(math.radians(value)) for value in prior.elevation)
        elevation = torch.asin((low + (high - low) * even[:, 1]).clamp(-1, 1))
    azimuth, roll = _between(prior.azimuth, even[:, 0]), _between(prior.roll, even[:, 2])
    return torch.stack([azimuth, elevation, roll], dim=1)


def bell_angles(prior: PosePrior, normal: Tensor) -> Tensor:
    """[B, 3] radians about the middle of the ranges, from normally distributed numbers [B, 3]."""
    ranges = normal.new_tensor((prior.azimuth, prior.elevation, prior.roll))
    low, high = torch.deg2rad(ranges).unbind(1)
    return 0.5 * (low + high) + 0.5 * (high - low) * (BELL * normal).clamp(-1, 1)


def prior_around(viewmats: Tensor, Ks: Tensor, size: int) -> PosePrior:
    """The ranges of known cameras, as a prior; the median angle of view and distance."""
    angles = torch.rad2deg(angles_of(viewmats).double())
    lowest, highest = (angles.quantile(share, dim=0).tolist() for share in (0.01, 0.99))
    whole_round = highest[0] - lowest[0] > 300
    f = float(Ks[:, 0, 0].median())
    places = -(viewmats[:, :3, :3].mT @ viewmats[:, :3, 3:])[..., 0]
    return PosePrior(
        azimuth=ROUND if whole_round else (lowest[0], highest[0]),
        elevation=(lowest[1], highest[1]),
        roll=(lowest[2], highest[2]),
        fov=min(120.0, max(1.0, math.degrees(2 * math.atan(0.5 * size / f)))),
        distance=min(100.0, max(1.1, float(places.norm(dim=1).median()))),
    )


def _between(ends: tuple[float, float], even: Tensor) -> Tensor:
    low, high = (math.radians(value) for value in ends)
    return low + (high - low) * even
