"""A background that stays where it is while the thing before it turns: two motions in one set of
photos, which contradict each other. The mapper places them all nevertheless, somewhere between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# In shares of a photo's longest side.
_STILL, _MOVED = 0.0015, 0.01  # a tripod moves less, what turns more (docs/notes/inputs.md)
_AROUND = 0.03  # of the common shift; chosen
_FARTHEST_SHIFT = 0.1  # of what an unmoved background moves by; chosen, not measured
_WIDE_SPREAD = 0.15  # of matches that are all over the picture; chosen, not measured
_STIFF = 0.04  # of the spread: what turns is deformed by more; chosen
_WIDE_ANGLE = 25.0  # degrees: no unmoved background beyond (docs/notes/inputs.md)
_ENOUGH, _FEW = 25, 15  # matches; chosen


@dataclass(frozen=True)
class StaticBackground:
    """What was found.

    Attributes:
        pairs: how many pairs of photos show a background that did not turn. among: of how many
            that could tell.
        example: indices of the photos of one of them.
    """

    pairs: int
    among: int
    example: tuple[int, int]

    def sentence(self, names: Sequence[str]) -> str:
        """What it means and what to do, for the photos' `names`."""
        first, second = (names[index] for index in self.example)
        return (
            f"The background does not turn with the object: {self.pairs} of {self.among} pairs of "
            f"photos ({first} and {second}, for example) show it unmoved although the object "
            "turned. The two contradict each other, and the poses cannot be trusted. Give masks of "
            "the object (masks/NAME.png, black where the background is), or photograph before a "
            "plain background, or walk around the object instead of turning it."
        )


def static_background(
    points: Sequence[NDArray],
    sizes: Sequence[tuple[int, int]],
    matches: Mapping[tuple[int, int], NDArray],
    rotations: Sequence[NDArray | None],
) -> StaticBackground | None:
    """Whether a part of the photos stays in place while another part turns.

    Either the camera stood still: in most pairs many matches do not move at all, while others do.
    Or it was held, or photos were cropped: then pairs of photos whose poses look in quite different
    directions have matches all over the picture that a small shift explains, which no
    scene that stands still can show.

    Args:
        points: for each photo where its features are, [F, 2] pixels.
        sizes: (width, height) of each photo.
        matches: for pairs (i, j) of photos indices of features [M, 2], not only verified ones.
        rotations: of each photo from the world to the camera, [3, 3], or None where it was not
            placed.
    """
    known = {}
    for (i, j), rows in matches.items():
        if len(rows) >= _ENOUGH:
            first = points[i][rows[:, 0]] / max(sizes[i])
            known[i, j] = (first, points[j][rows[:, 1]] / max(sizes[j]) - first)
    return _on_a_tripod(known) or _against_the_poses(known, rotations)


def _on_a_tripod(
    known: Mapping[tuple[int, int], tuple[NDArray, NDArray]],
) -> StaticBackground | None:
    still, both = [], 0
    for pair, (first, shifts) in known.items():
        lengths = np.hypot(*shifts.T)
        fixed = lengths < _STILL
        if fixed.sum() >= _FEW and _spread(first[fixed]) > _WIDE_SPREAD:
            still.append(pair)
            both += (lengths > _MOVED).sum() >= _ENOUGH
    if len(still) >= max(3, 0.6 * len(known)) and both >= max(3, 0.1 * len(known)):
        return StaticBackground(len(still), len(known), still[len(still) // 2])
    return None


def _against_the_poses(
    known: Mapping[tuple[int, int], tuple[NDArray, NDArray]], rotations: Sequence[NDArray | None]
) -> StaticBackground | None:
    wide, still = 0, []
    for (i, j), (first, shifts) in known.items():
        one, other = rotations[i], rotations[j]
        if one is not None and other is not None and _angle(one, other) > _WIDE_ANGLE:
            wide += 1
            if _only_shifted(first, shifts):
                still.append((i, j))
    if len(still) >= max(3, 0.2 * wide):
        return StaticBackground(len(still), wide, still[len(still) // 2])
    return None


def _only_shifted(first: NDArray, shifts: NDArray) -> bool:
    """Whether most matches of a pair, all over the picture, moved together by a small shift."""
    center = np.median(shifts, axis=0)
    near = np.zeros(len(shifts), np.bool_)
    for _ in range(5):
        near = np.hypot(*(shifts - center).T) < _AROUND
        if not near.any():
            return False
        center = np.median(shifts[near], axis=0)
    if near.sum() < max(_ENOUGH, 0.5 * len(near)) or np.hypot(*center) > _FARTHEST_SHIFT:
        return False
    spread = _spread(first[near])
    left = np.quantile(np.hypot(*(shifts[near] - center).T), 0.8)
    return bool(spread > _WIDE_SPREAD and left < _STIFF * spread)


def _spread(places: NDArray) -> float:
    """How far the middle half of places lies from their middle, a few others aside."""
    return float(np.median(np.hypot(*(places - np.median(places, axis=0)).T)))


def _angle(one: NDArray, other: NDArray) -> float:
    """Degrees between two rotations."""
    cosine = (np.trace(one @ other.T) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
