"""Skins of splats of a given form."""

from __future__ import annotations

import torch

from tondo.gan.networks.skin import Skins


def skins_on(grid: torch.Tensor) -> Skins:
    """Splats on a map [3, rows, columns], red in the north and blue in the south."""
    count = grid[0].numel()
    colors = torch.zeros(1, count, 3)
    colors[:, : count // 2, 0] = 1.0
    colors[:, count // 2 :, 2] = 1.0
    means = grid.flatten(1).T[None]
    quats = torch.tensor([1.0, 0, 0, 0]).expand(1, count, 4)
    return Skins(
        means, quats, torch.full((1, count, 3), 0.1), torch.ones(1, count), colors, grid[None]
    )
