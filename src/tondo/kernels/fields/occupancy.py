"""What the cells of a field's space hold, as remembered from densities that were seen there."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tondo import _native  # type: ignore[attr-defined]
from tondo.checks import check_dtype, check_shape
from tondo.data.field import Marching, Space
from tondo.kernels.fields.rays import Tape


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


def remember_(
    space: Space, marching: Marching, rule: MemoryRule, densities: Tensor, u: Tensor, sigmas: Tensor
) -> None:
    """Let the cells of `space` remember places that were seen, one after the other, in place.

    A cell holds max(decay * what it held, sigma); it is empty up to `least`, and else a sample in
    it stands for thin / (density * step) steps, 1 to `most`, whose length is that of a step in the
    cell's middle seen from the space's centre.

    Args:
        space: its `occupied` [C, C, C] uint8 is changed.
        densities: [C, C, C] float32 per world unit, changed.
        u: [N, 3] float32 places of the unit cube. sigmas: [N] float32 per world unit.

    Raises:
        TypeError, ValueError: shapes or dtypes that do not fit.
    """
    sizes = check_shape("u", u, "N 3")
    check_shape("sigmas", sigmas, "N", sizes)
    x, y, z = (u[:, axis].contiguous() for axis in range(3))
    how = _remembering(space, marching, rule, densities)
    _native.remember(how, x, y, z, sigmas.contiguous())


def remember_samples_(
    space: Space, marching: Marching, rule: MemoryRule, densities: Tensor, tape: Tape
) -> None:
    """As `remember_`, of all samples that the last pass with gradients took along its rays."""
    _native.remember_rays(_remembering(space, marching, rule, densities), tape.native)


def _remembering(space: Space, marching: Marching, rule: MemoryRule, densities: Tensor) -> object:
    """The native code's view of cells, whose memory it shares."""
    check_dtype("occupied", space.occupied, torch.uint8)
    check_dtype("densities", densities, torch.float32)
    for name, tensor in (("occupied", space.occupied), ("densities", densities)):
        if not tensor.is_contiguous():  # a contiguous copy would remember instead
            raise ValueError(f"{name} must be contiguous")
    check_shape("densities", densities, "C C C", check_shape("occupied", space.occupied, "C C C"))
    return _native.Remembering(
        densities,
        space.occupied,
        space.radius,
        space.contracted,
        marching.step,
        marching.cone,
        torch.tensor([rule.decay, rule.least, rule.thin]),
        rule.most,
    )


def remember_torch_(
    space: Space, marching: Marching, rule: MemoryRule, densities: Tensor, u: Tensor, sigmas: Tensor
) -> None:
    """`remember_` in plain PyTorch, its definition: place by place."""
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
