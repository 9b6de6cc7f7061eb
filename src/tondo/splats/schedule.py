"""What changes over a training: rates, picture size, harmonics. Fractions run from 0 to 1."""

from __future__ import annotations

from tondo.splats.options import SplatOptions
from tondo.splats.step import Rates


def rates_at(config: SplatOptions, fraction: float, reach: float) -> Rates:
    """Learning rates; `reach` is the scene's length unit."""
    rates = config.rates
    fall = rates.end ** max(0.0, (fraction - 0.5) / 0.5)
    return Rates(
        means=rates.means * reach * rates.means_end**fraction,
        quats=rates.quats * fall,
        log_scales=rates.scales * fall,
        opacity_logits=rates.opacities * fall,
        sh0=rates.sh0 * fall,
        sh_rest=rates.sh_rest * fall,
    )


def divisor_at(config: SplatOptions, fraction: float) -> int:
    """How many times smaller the pictures are."""
    for until, divisor in config.schedule.coarse:
        if fraction < until:
            return divisor
    return 1


def degree_at(config: SplatOptions, fraction: float) -> int:
    """Degree of the harmonics in use: one more with each `degree_every` of the training."""
    return min(config.sh_degree, int(fraction / config.schedule.degree_every))
