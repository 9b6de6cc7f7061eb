"""What keeps a generator's geometry real: terms of G's loss on the splats themselves."""

from __future__ import annotations

import torch
from torch import Tensor

from tondo.gan.generator import Skins
from tondo.gan.layers import wrap


def roughness(skins: Skins) -> Tensor:
    """Mean squared difference of each grid point from the mean of its four neighbours (the umbrella
    operator of Taubin 1995), relative to the squared cell size: creases cost, size does not."""
    padded = wrap(skins.grid, 1)
    around = 0.25 * (
        padded[:, :, 2:, 1:-1]
        + padded[:, :, :-2, 1:-1]
        + padded[:, :, 1:-1, 2:]
        + padded[:, :, 1:-1, :-2]
    )
    cell = (padded[:, :, 2:, 1:-1] - skins.grid).square().sum(dim=1)
    cell = cell + (padded[:, :, 1:-1, 2:] - skins.grid).square().sum(dim=1)
    bend = (skins.grid - around).square().sum(dim=1)
    return (bend / cell.detach().mean(dim=(1, 2), keepdim=True).clamp_min(1e-8)).mean()


def transparency(skins: Skins) -> Tensor:
    """Mean of 1 - opacity: an object of haze can look right, and is no model."""
    return (1 - skins.opacities).mean()


def off_centre(skins: Skins) -> Tensor:
    """Squared distance of the objects' middles from the origin, and of what leaves the unit
    sphere: position and size belong to the object, not to luck."""
    middle = skins.means.mean(dim=1).square().sum(dim=1)
    outside = torch.relu(skins.means.norm(dim=2) - 1.0).square().mean(dim=1)
    return (middle + 10.0 * outside).mean()
