"""What the cells of a field's space hold, as remembered from densities that were seen there."""

from __future__ import annotations

import torch
from torch import Tensor

from tondo import _native
from tondo.checks import check_dtype, check_shape
from tondo.data.field import Marching, Space
from tondo.kernels.fields.occupancy_torch import MemoryRule
from tondo.kernels.fields.rays import Tape, native_marching


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


def _remembering(
    space: Space, marching: Marching, rule: MemoryRule, densities: Tensor
) -> _native.Remembering:
    """The native code's view of cells, whose memory it shares."""
    check_dtype("occupied", space.occupied, torch.uint8)
    check_dtype("densities", densities, torch.float32)
    for name, tensor in (("occupied", space.occupied), ("densities", densities)):
        if not tensor.is_contiguous():  # a contiguous copy would remember instead
            raise ValueError(f"{name} must be contiguous")
    check_shape("densities", densities, "C C C", check_shape("occupied", space.occupied, "C C C"))
    cells = (space.occupied, space.center, space.radius, space.contracted)
    return _native.Remembering(densities, cells, native_marching(marching), rule)
