"""What cells remember, in plain PyTorch: the definition."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tondo.data.field import Marching, Space


class MemoryRule(NamedTuple):
    """How cells remember.

    Attributes:
        decay: of what a cell remembers, 0..1, at each place that is seen in it.
        least: density, per world unit, up to which a cell counts as empty.
        thin: optical depth that a sample may stand for: so many steps are taken together.
        most: of them, 1 to 255.
    """

    decay: float
    least: float
    thin: float
    most: int


def remember_torch_(
    space: Space, marching: Marching, rule: MemoryRule, densities: Tensor, u: Tensor, sigmas: Tensor
) -> None:
    """`remember_`, place by place."""
    cells = len(densities)
    at = (u * cells).long().clamp(0, cells - 1)
    y = ((at + 0.5) / cells - 0.5) * (4 if space.contracted else 2)
    reach = y.norm(dim=1)
    if space.contracted:
        reach = torch.where(reach > 1, 1 / (2 - reach.clamp_max(1.999)), reach)
    steps = (marching.cone * reach * space.radius).clamp_min(marching.step)
    for (i, j, k), step, sigma in zip(at.tolist(), steps, sigmas, strict=True):
        density = torch.maximum(densities[k, j, i] * rule.decay, sigma)
        densities[k, j, i] = density
        stride = (rule.thin / (density * step).clamp_min(1e-9)).clamp(1, rule.most).int()
        space.occupied[k, j, i] = int(stride) if float(density) > rule.least else 0
