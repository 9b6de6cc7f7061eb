"""From which sides a scene was photographed, and in plain words what to photograph next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tondo.sfm.capture.facts import WEAK_MATCHES, Capture

# Neighbouring photos further apart than this, seen from the middle of the scene, leave a gap.
GAP_DEGREES = 30.0  # chosen
_NAMES_SHOWN = 6  # names of photos; chosen


@dataclass(frozen=True)
class Coverage:
    """Directions, in degrees.

    Attributes:
        inward: the cameras look at a common middle (else they look around from within).
        center: [3] float64, the middle of the points.
        azimuths: [R] around `up`, 0..360, of the cameras as seen from the middle, or of their
            viewing directions where they look outwards; 0 is behind the mean camera.
        elevations: [R] above the horizontal plane, -90..90.
        covered: how many of the 360 degrees around have a photo within half a gap.
        gap: (from, to) azimuth of the widest gap, to > from, or None if there is none.
        gap_between: the photos at its two ends, as the user calls them.
    """

    inward: bool
    center: np.ndarray
    azimuths: np.ndarray
    elevations: np.ndarray
    covered: float
    gap: tuple[float, float] | None
    gap_between: tuple[str, str] | None


def upright_axes(capture: Capture) -> np.ndarray:
    """[3, 3] rows: to the right, away from the mean camera (both level), and up."""
    up = capture.up
    ahead = capture.directions.mean(axis=0) if len(capture.directions) else np.array([1.0, 0, 0])
    ahead = ahead - (ahead @ up) * up
    if np.linalg.norm(ahead) < 1e-3:  # cameras all around: any level direction will do
        ahead = np.cross(up, np.eye(3)[np.abs(up).argmin()])
    ahead = ahead / np.linalg.norm(ahead)
    return np.stack([np.cross(ahead, up), ahead, up])


def measure_coverage(capture: Capture) -> Coverage:
    """Coverage of a capture with at least one registered photo."""
    axes = upright_axes(capture)
    center = np.median(capture.points, axis=0) if len(capture.points) else np.zeros(3)
    to_center = center - capture.positions
    distance = np.maximum(np.linalg.norm(to_center, axis=1, keepdims=True), 1e-12)
    inward = float(np.mean((to_center / distance * capture.directions).sum(axis=1))) > 0.5
    looks = (-to_center / distance if inward else capture.directions) @ axes.T
    azimuths = np.degrees(np.arctan2(looks[:, 0], -looks[:, 1])) % 360.0
    elevations = np.degrees(np.arcsin(np.clip(looks[:, 2], -1, 1)))
    order = np.argsort(azimuths, kind="stable")
    ends = np.roll(azimuths[order], -1) + np.where(np.arange(len(order)) == len(order) - 1, 360, 0)
    widths = ends - azimuths[order]
    covered = float(360.0 - np.sum(widths[widths > GAP_DEGREES] - GAP_DEGREES))
    widest = int(widths.argmax())
    gap = between = None
    if widths[widest] > GAP_DEGREES:
        gap = (float(azimuths[order[widest]]), float(ends[widest]))
        following = order[(widest + 1) % len(order)]
        sources = {photo.name: photo.source for photo in capture.photos}
        ends = (capture.registered[order[widest]], capture.registered[following])
        between = (sources.get(ends[0], ends[0]), sources.get(ends[1], ends[1]))
    return Coverage(inward, center, azimuths, elevations, covered, gap, between)


def give_advice(capture: Capture, coverage: Coverage | None) -> list[str]:
    """What to photograph next, the most useful first; one sentence of praise if nothing."""
    advice = _advice_on_failures(capture)
    if coverage is not None:
        advice += _advice_on_directions(coverage)
        advice += _advice_on_model(capture)
    return advice or [
        "Nothing needs to be photographed again: all photos are placed, sharp and well connected, "
        "and they cover the scene from all around and from several heights."
    ]


def _advice_on_failures(capture: Capture) -> list[str]:
    missing = [photo for photo in capture.photos if not photo.registered]
    blurred = [p.source for p in missing if any("blurred" in fault for fault in p.faults)]
    light = [p.source for p in missing if any("dark" in f or "overexposed" in f for f in p.faults)]
    grouped = {name for names in capture.other_models for name in names}
    loose = [p.source for p in missing if not p.faults and p.name not in grouped]
    advice = []
    if len(missing) * 2 > len(capture.photos):
        advice.append(
            "More than half of the photos could not be placed. Photograph one thing that does not "
            "move, walk around it in small steps, and let each photo show at least two thirds of "
            "what the one before shows."
        )
    if blurred:
        advice.append(
            f"Take {_listed(blurred)} again: blurred. Hold the camera still while it takes the "
            "picture, tap to focus, and use more light."
        )
    if light:
        advice.append(
            f"Take {_listed(light)} again with other exposure, and lock the exposure for the whole "
            "series if the camera can."
        )
    if loose:
        advice.append(
            f"{_listed(loose)} could not be connected: take two or three photos on the way from "
            "there to the nearest photo that was placed, a small step apart. Plain, shiny and "
            "transparent surfaces give nothing to hold on to; let something with texture show "
            "beside them."
        )
    for number, names in enumerate(capture.other_models, start=2):
        advice.append(
            f"Group {number} ({_listed(names)}) fits together but not with the rest. If it shows "
            "the same scene, photos that have both parts in them would join them."
        )
    return advice


def _advice_on_directions(coverage: Coverage) -> list[str]:
    advice = []
    if coverage.gap is not None and coverage.gap_between is not None:
        width = coverage.gap[1] - coverage.gap[0]
        first, last = coverage.gap_between
        count = max(1, round(width / 15.0))
        seen = "around the scene" if coverage.inward else "of the directions around you"
        move = "Walk" if coverage.inward else "Turn"
        where = f"from where {first} was taken to where {last} was"
        if first == last:
            where = f"all the way around from where {first} was taken"
        advice.append(
            f"The photos cover {coverage.covered:.0f} of the 360 degrees {seen}; the widest gap is "
            f"{width:.0f} degrees. What is visible only from there will be missing or blurred in "
            f"the result. {move} {where} the way that has no photos yet, and take about {count} "
            f"photos, one every 15 degrees. If that side does not matter (a wall, say), leave it."
        )
    spread = float(np.ptp(coverage.elevations))
    if coverage.inward and spread < 20.0:
        advice.append(
            f"All photos are taken from nearly the same height ({spread:.0f} degrees from the "
            "lowest to the highest). Add a round from higher up, looking down, and one from lower."
        )
    return advice


def _advice_on_model(capture: Capture) -> list[str]:
    advice = []
    placed = [photo for photo in capture.photos if photo.registered]
    soft = [p.source for p in placed if any("blurred" in fault for fault in p.faults)]
    weak = [p.source for p in placed if p.matches < WEAK_MATCHES or p.points < 50]
    if soft:
        advice.append(
            f"{_listed(soft)} {'was' if len(soft) == 1 else 'were'} placed but less sharp than the "
            "rest, and will soften the result: take again or leave out."
        )
    if weak:
        advice.append(
            f"{_listed(weak)} {'hangs' if len(weak) == 1 else 'hang'} on few matches: another "
            "photo or two close by would make the place certain."
        )
    if capture.error > 1.5:
        advice.append(
            f"The reprojection error of {capture.error:.1f} pixels is high (usual: below 1). Did "
            "something move, or was the zoom changed on the way?"
        )
    if len(placed) < 20:
        advice.append(
            f"{len(placed)} placed photos are few for a scene that looks right from new "
            "viewpoints: 30 to 100 are usual."
        )
    return advice


def _listed(names: Sequence[str]) -> str:
    """ "a, b and c", shortened where there are many."""
    if len(names) > _NAMES_SHOWN:
        return f"{', '.join(names[: _NAMES_SHOWN - 1])} and {len(names) - _NAMES_SHOWN + 1} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
