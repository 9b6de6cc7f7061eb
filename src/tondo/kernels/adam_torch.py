"""Adam over the visible splats only, in plain PyTorch: the definition.

Kingma & Ba 2015, Adam, algorithm 1; Mallick et al. 2024, Taming 3DGS (leaving out splats that no
camera of the step saw).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class AdamStep(NamedTuple):
    """What a step of Adam is told beside its tensors.

    Attributes:
        lr: learning rate, one for all or [D], one for each column.
        beta1, beta2, eps: as in `torch.optim.Adam`.
        step: 1 for the first step.
    """

    lr: float | Tensor
    beta1: float
    beta2: float
    eps: float
    step: int


@torch.no_grad()
def adam_visible_torch_(
    params: Tensor,
    grads: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    visible: Tensor,
    adam: AdamStep,
) -> None:
    """`adam_visible_`."""
    lr, beta1, beta2, eps, step = adam
    rows = visible.nonzero().squeeze(1)
    grad = grads[rows]
    first = beta1 * exp_avg[rows] + (1 - beta1) * grad
    second = beta2 * exp_avg_sq[rows] + (1 - beta2) * grad * grad
    mean = first / (1 - beta1**step)
    deviation = (second / (1 - beta2**step)).sqrt()
    params[rows] -= lr * mean / (deviation + eps)
    exp_avg[rows] = first
    exp_avg_sq[rows] = second


@torch.no_grad()
def adam_touched_torch_(
    params: Tensor, grads: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, adam: AdamStep
) -> None:
    """`adam_touched_`."""
    now, grad, first, second = (t.view(-1, 8) for t in (params, grads, exp_avg, exp_avg_sq))
    adam_visible_torch_(now, grad, first, second, (grad != 0).any(dim=1), adam)
