"""An inverted bottleneck (Sandler et al. 2018, MobileNetV2, section 3.3) whose weights stand still.

Only the gradient of the picture is wanted, so that activations can be clamped where they lie and
one autograd node does for a block: with small pictures half of the time went to copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

MOST = 6.0  # of a ReLU6


@dataclass(frozen=True)
class FrozenBlock:
    """Expand, filter each channel, project; a ReLU6 after each of the first two.

    Attributes:
        expand: [E, C] and [E], or None where there are no more channels between than before.
        filter: [E, 1, K, L] in channels_last layout, and [E]; with `stride` and even `padding`.
        project: [P, E] and [P].
        skip: whether the input is added to the output.
    """

    expand: tuple[Tensor, Tensor] | None
    filter: tuple[Tensor, Tensor]
    project: tuple[Tensor, Tensor]
    stride: int
    padding: tuple[int, int]
    skip: bool


def apply_block(x: Tensor, block: FrozenBlock) -> Tensor:
    """[B, H, W, C] contiguous float32 to [B, H', W', P]. Gradients reach `x`, once."""
    found: Tensor = _Through.apply(x, block)
    return found


class _Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, block: FrozenBlock) -> Tensor:
        wide = x
        if block.expand is not None:
            wide = F.linear(x, *block.expand).clamp_(0.0, MOST)
        weight, bias = block.filter
        filtered = F.conv2d(
            wide.permute(0, 3, 1, 2), weight, bias, block.stride, block.padding, 1, len(weight)
        )
        filtered = filtered.permute(0, 2, 3, 1).contiguous().clamp_(0.0, MOST)
        found = F.linear(filtered, *block.project)
        ctx.block = block
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(wide, filtered)
        return found.add_(x) if block.skip else found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        block: FrozenBlock = ctx.block
        wide, filtered = ctx.saved_tensors
        grad = grad.contiguous()
        back = _where_open(grad @ block.project[0], filtered)
        weight, _ = block.filter
        # `torch.nn.grad.conv2d_input` does the same, but not in channels_last layout
        back = torch.ops.aten.convolution_backward(
            back.permute(0, 3, 1, 2),
            wide.permute(0, 3, 1, 2),
            weight,
            None,
            [block.stride] * 2,
            list(block.padding),
            [1, 1],
            False,
            [0, 0],
            len(weight),
            [True, False, False],
        )[0]
        back = back.permute(0, 2, 3, 1).contiguous()
        if block.expand is not None:
            back = _where_open(back, wide) @ block.expand[0]
        return (back.add_(grad) if block.skip else back), None


def _where_open(grad: Tensor, clamped: Tensor) -> Tensor:
    """`grad`, changed in place to 0 where the ReLU6 that gave `clamped` stood at an end."""
    return torch.ops.aten.hardtanh_backward.grad_input(grad, clamped, 0.0, MOST, grad_input=grad)
