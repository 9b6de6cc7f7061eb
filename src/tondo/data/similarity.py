"""Where a scene is in the world: cameras and shapes are kept in 32-bit numbers, around 0 and of
a few units' size; the world may be anywhere and of any size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# Of its size: so far from the origin, 32-bit numbers are too coarse for a scene. Training moves
# splats by 1e-6 of the cameras' reach at its end, and such numbers have 6e-8 of the offset.
FAR_AWAY = 100.0


@dataclass(frozen=True)
class Similarity:
    """world = scale * scene + translation, in float64; without a turn.

    Attributes:
        scale: world units in one unit of the scene, > 0.
        translation: world units.

    Raises:
        ValueError: numbers that are not finite, or a scale that is not positive.
    """

    scale: float = 1.0
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if not 0 < self.scale < math.inf:
            raise ValueError(f"scale must be above 0, got {self.scale}")
        if len(self.translation) != 3 or not all(map(math.isfinite, self.translation)):
            raise ValueError(f"translation must be three numbers, got {self.translation}")

    @property
    def is_identity(self) -> bool:
        """Whether the scene's units and origin are the world's."""
        return self.scale == 1.0 and not self.is_shifted

    @property
    def is_shifted(self) -> bool:
        """Whether the origins differ."""
        return any(self.translation)

    def to_world(self, points: Tensor) -> Tensor:
        """[..., 3] float64 in the world, of points in the scene."""
        return self.scale * points.double() + self._translation()

    def to_scene(self, points: Tensor) -> Tensor:
        """[..., 3] float64 in the scene, of points in the world (float64, if they are far)."""
        return (points.double() - self._translation()) / self.scale

    def view_to_scene(self, viewmats: Tensor) -> Tensor:
        """[..., 4, 4] float64 camera-from-scene, of matrices camera-from-world."""
        found = viewmats.double().clone()
        turned = found[..., :3, :3] @ self._translation()
        found[..., :3, 3] = (found[..., :3, 3] + turned) / self.scale
        return found

    def _translation(self) -> Tensor:
        return torch.tensor(self.translation, dtype=torch.float64)


IDENTITY = Similarity()


def nearby(points: Tensor) -> Similarity:
    """The shift by which points [N, 3] (float64) that are far from the origin for how large they
    are become points around it; the identity for others."""
    low, high = points.amin(dim=0), points.amax(dim=0)
    middle, size = (low + high) / 2, float((high - low).norm())
    if not FAR_AWAY * size < float(middle.norm()) < math.inf:
        return IDENTITY
    return Similarity(1.0, rounded(middle, size))


def rounded(middle: Tensor, size: float) -> tuple[float, float, float]:
    """Numbers that people can read, close to `middle` [3] for something of that size."""
    step = 10.0 ** math.floor(math.log10(max(size, 1e-30)))
    x, y, z = (float(f"{round(v / step) * step:.15g}") for v in middle.tolist())
    return x, y, z
