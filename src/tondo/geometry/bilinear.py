"""Pictures between their pixels."""

from __future__ import annotations

import torch
from torch import Tensor


def bilinear(image: Tensor, pixels: Tensor) -> Tensor:
    """[M, X] float32 values of an image at places between its pixels; beyond its border those of
    the border.

    Args:
        image: [H, W, X] of any dtype.
        pixels: [M, 2] float32 x, y; the centre of the upper left pixel is (0.5, 0.5).
    """
    height, width = image.shape[:2]
    last = torch.tensor([width - 1, height - 1], dtype=pixels.dtype)
    at = torch.minimum((pixels - 0.5).clamp_min(0), last)
    low = at.floor()
    x, y = (at - low).split(1, dim=1)
    column, row = low.long().unbind(1)
    right = (column + 1).clamp_max(width - 1)
    above, below = row * width, (row + 1).clamp_max(height - 1) * width
    flat = image.reshape(-1, image.shape[-1])
    four = (above + column, above + right, below + column, below + right)
    a, b, c, d = (flat.index_select(0, place).float() for place in four)  # faster than indexing
    return torch.lerp(torch.lerp(a, b, x), torch.lerp(c, d, x), y)
