"""Where splats are needed: dead ones move, new ones are added, under a fixed budget.

Kheradmand et al. 2024, 3D Gaussian Splatting as Markov Chain Monte Carlo: a splat is put on top of
a living one and both are changed so that the picture stays nearly the same (equation 9 there).
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from tondo.geometry.rotations import rotation_from_quat
from tondo.splats.parameters import NAMES, Parameters, append_rows, reset_moments

_MOST_COPIES = 51  # Kheradmand et al. 2024 (3DGS as MCMC), as in their code


def _binomials() -> Tensor:
    rows = [
        [math.comb(n, k) if k <= n else 0 for k in range(_MOST_COPIES)] for n in range(_MOST_COPIES)
    ]
    return torch.tensor(rows, dtype=torch.float64)


def split_values(opacities: Tensor, scales: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
    """Opacity and scale of each of `copies` equal splats that replace one.

    Args:
        opacities: [M] 0..1. scales: [M, 3]. copies: [M] int64 >= 1 (more than 51 count as 51).

    Returns:
        new opacities [M] = 1 - (1 - o)^(1/n) and scales [M, 3] = scales * o / sum_{i=1..n}
        sum_{k<i} C(i-1, k) (-1)^k new_o^(k+1) / sqrt(k+1), float32.
    """
    n = copies.clamp(1, _MOST_COPIES)
    o = opacities.double().clamp(1e-6, 1 - 1e-6)
    new = 1 - (1 - o) ** (1 / n.double())
    table = _binomials()
    k = torch.arange(_MOST_COPIES, dtype=torch.float64)
    terms = (-1.0) ** k / torch.sqrt(k + 1) * new[:, None] ** (k + 1)  # [M, k]
    total = torch.zeros_like(new)
    for i in range(1, int(n.max()) + 1 if len(n) else 1):
        total += torch.where(n >= i, terms @ table[i - 1], 0.0)
    return new.float(), (scales.double() * (o / total)[:, None]).float()


def _choose(weights: Tensor, count: int, generator: Generator) -> Tensor:
    return torch.multinomial(weights.double(), count, replacement=True, generator=generator)


def _shared(parameters: Parameters, sources: Tensor, min_opacity: float) -> dict[str, Tensor]:
    """Values for copies of `sources` [M]; the sources themselves are changed in place."""
    values = parameters.values
    extra = torch.bincount(sources, minlength=len(parameters))[sources]
    opacities, scales = split_values(
        values["opacity_logits"][sources].sigmoid(),
        values["log_scales"][sources].exp(),
        extra + 1,
    )
    opacities = opacities.clamp(min_opacity, 1 - 1e-4)
    values["opacity_logits"][sources] = torch.logit(opacities)
    values["log_scales"][sources] = scales.log()
    reset_moments(parameters, sources)
    return {name: values[name][sources].clone() for name in NAMES}


def relocate(
    parameters: Parameters, weights: Tensor, min_opacity: float, generator: Generator
) -> int:
    """Move dead splats (opacity <= `min_opacity`) onto living ones; returns how many.

    Args:
        weights: [N] >= 0, how much each splat deserves company.
    """
    opacities = parameters.values["opacity_logits"].sigmoid()
    dead = (opacities <= min_opacity).nonzero().squeeze(1)
    alive = weights.clone()
    alive[dead] = 0
    if not len(dead) or not bool((alive > 0).any()):
        return 0
    sources = _choose(alive, len(dead), generator)
    rows = _shared(parameters, sources, min_opacity)
    for name in NAMES:
        parameters.values[name][dead] = rows[name]
    reset_moments(parameters, dead)
    return len(dead)


def grow(
    parameters: Parameters, weights: Tensor, count: int, min_opacity: float, generator: Generator
) -> int:
    """Add `count` splats on top of living ones; returns how many."""
    if count <= 0 or not bool((weights > 0).any()):
        return 0
    sources = _choose(weights, count, generator)
    append_rows(parameters, _shared(parameters, sources, min_opacity))
    return count


def add_noise(parameters: Parameters, strength: float, generator: Generator) -> None:
    """Shake the positions of nearly transparent splats, within their own shape.

    means += strength * sigmoid(-100 (opacity - 0.005)) * covariance @ normal noise.
    """
    values = parameters.values
    # logit(0.06): above, the factor is below 0.5 %
    rows = (values["opacity_logits"] < -2.75).nonzero().squeeze(1)
    if not len(rows):
        return
    opacities = values["opacity_logits"][rows].sigmoid()
    axes = rotation_from_quat(values["quats"][rows]) * values["log_scales"][rows].exp()[:, None, :]
    noise = torch.randn(len(rows), 3, generator=generator)
    factor = strength * torch.sigmoid(-100 * (opacities - 0.005))
    local = (axes.transpose(1, 2) * (noise * factor[:, None])[:, None, :]).sum(-1)
    values["means"][rows] += (axes * local[:, None, :]).sum(-1)
