"""What a thing is that can be photographed: its distances and its colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

RADIUS = 1.12  # of a ball round the object, world units; chosen


@dataclass(frozen=True)
class Solid:
    """A thing made of parts, around the origin, z up, within a ball of radius `RADIUS`.

    Attributes:
        distance: the signed distance [N] (negative inside) of points (x, y, z), each [N]; a lower
            bound close to the surface.
        parts: the distance to each part by itself, each [N].
        albedo: the sRGB reflectance [N, 3] of points: their part [N] int64, and x, y, z.
        polish: of each part, how strongly it mirrors light and sky, 0..1.
        shine: how narrow highlights are, Blinn-Phong's exponent.
        glow: light [N] of points [N, 3] with normals [N, 3] and parts [N] that the thing itself
            gives; None: it gives none.
    """

    distance: Callable[[Tensor, Tensor, Tensor], Tensor]
    parts: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, ...]]
    albedo: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    polish: tuple[float, ...]
    shine: int
    glow: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
