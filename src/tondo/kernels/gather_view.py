"""Colours of points on a surface from a picture of it, by native code on the CPU."""

from __future__ import annotations

from torch import Tensor

from tondo import _native
from tondo.kernels.gather_view_torch import (
    GatherRule,
    SurfacePoints,
    ViewMaps,
    gather_view_torch,
)


def gather_view(
    surface: SurfacePoints,
    view: ViewMaps,
    rule: GatherRule,
    mean: Tensor | None,
    total: Tensor,
    weights: Tensor,
) -> None:
    """Add what a picture shows of points to `total` and `weights`: colours times weights, weights.

    A point is seen where it is within the picture, looks at the camera, and is no farther behind
    the frontmost surface than the rule's slack and the surface's own slope within a pixel. It
    counts by (pixels per world unit times the cosine to its normal) to the rule's power.

    Args:
        mean: [T, 3] float32: pictures count less where their colour is off it (`GatherRule`).
        total: [T, 3] float32. weights: [T] float32. Both change in place.

    Raises:
        ValueError: sizes differ.
    """
    if surface.points.device.type != "cpu":
        gather_view_torch(surface, view, rule, mean, total, weights)
        return
    on = SurfacePoints(*(x.contiguous() for x in surface))
    of = ViewMaps(*(x.contiguous() for x in view))
    _native.gather_view(on, of, rule, mean, total, weights)
