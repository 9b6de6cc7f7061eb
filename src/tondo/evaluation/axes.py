"""Whether two surfaces would fit far better if one of them had other axes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tondo.evaluation.metrics import chamfer

_LOOKED_AT = 2000  # points of each surface
_FAR_BETTER = 0.5  # of the distance that there is between them as they are; chosen
_NAMES = ("x", "y", "z")


@dataclass(frozen=True)
class Turn:
    """A turn about the origin.

    Attributes:
        rotation: [3, 3] float64, of our points.
        about: what it does, in words.
    """

    rotation: Tensor
    about: str


def better_turn(ours: Tensor, truth: Tensor, formats: dict[str, np.ndarray]) -> Turn | None:
    """The turn of our points by which they come far closer to the true ones, if there is one.

    The 24 right-angled turns are tried, and each of them after those from the axes of files to the
    world's (where the world's up direction is none of its axes, these are no right-angled ones).

    Args:
        ours, truth: [P, 3] and [Q, 3] float64, in one world.
        formats: [3, 3] turns from a file's axes to the world's, by what they are in words.
    """
    ours, truth = _some(ours), _some(truth)
    origin = truth.mean(dim=0)  # float32 is fine around it

    def off(rotation: Tensor) -> float:
        turned = (ours @ rotation.T - origin).float()
        return chamfer(turned, (truth - origin).float()).distance

    turns = [Turn(torch.from_numpy(R), words) for words, R in formats.items()]
    plain = [Turn(torch.from_numpy(R), _words(R)) for R in right_turns()]
    turns += plain
    for words, R in formats.items():
        turns += [
            Turn(torch.from_numpy(R) @ one.rotation, f"{words}, {one.about}") for one in plain
        ]
    is_now = off(torch.eye(3, dtype=torch.float64))
    distances = [off(turn.rotation) for turn in turns]
    least = min(distances)
    if not least < _FAR_BETTER * is_now:
        return None
    return next(t for t, d in zip(turns, distances, strict=True) if d <= 1.02 * least)


def right_turns() -> list[np.ndarray]:
    """The 24 rotations [3, 3] float64 that take axes to axes, the one that does nothing first."""
    found = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            R = np.zeros((3, 3))
            R[range(3), order] = signs
            if np.linalg.det(R) > 0:
                found.append(R)
    return found


def _words(rotation: np.ndarray) -> str:
    """What a right-angled turn does to (x, y, z), e.g. "(x, y, z) -> (x, -z, y)"."""
    named = []
    for row in rotation:
        axis = int(np.abs(row).argmax())
        named.append(("-" if row[axis] < 0 else "") + _NAMES[axis])
    return f"(x, y, z) -> ({', '.join(named)})"


def _some(points: Tensor) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return points[torch.randperm(len(points), generator=rng)[:_LOOKED_AT]]
