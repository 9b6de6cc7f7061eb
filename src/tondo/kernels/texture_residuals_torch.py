"""What a texture lacks of a photograph in plain PyTorch: the definition."""

from __future__ import annotations

import torch
from torch import Tensor


def texture_residuals_torch(
    at: Tensor, colors: Tensor, image: Tensor, up: Tensor, down: Tensor
) -> float:
    """`texture_residuals`."""
    height, width = image.shape[:2]
    size = torch.tensor([width, height], device=at.device)
    place = torch.minimum((at - 0.5).clamp_min(0), size - 1.0)
    low = torch.minimum(place.floor(), (size - 2.0).clamp_min(0))
    x, y = (place - low).unbind(-1)
    column, row = low.long().unbind(-1)
    right, below = (column + 1).clamp_max(width - 1), (row + 1).clamp_max(height - 1)
    index = torch.stack(
        [row * width + column, row * width + right, below * width + column, below * width + right],
        dim=-1,
    )
    weights = torch.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], dim=-1)
    weights = weights / at.shape[1]
    flat = image.reshape(-1, 3)
    off = colors - (flat[index] * weights[..., None]).sum(dim=(1, 2))
    up.view(-1, 3).index_add_(
        0, index.flatten(), (weights[..., None] * off[:, None, None]).reshape(-1, 3)
    )
    down.view(-1).index_add_(0, index.flatten(), weights.flatten())
    return float(off.double().square().sum())
