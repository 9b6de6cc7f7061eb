"""What changes over a training: rates, picture size, harmonics. Fractions run from 0 to 1."""

from __future__ import annotations

from tondo.splats.config import SplatConfig
from tondo.splats.step import Rates


def rates_at(config: SplatConfig, fraction: float, reach: float) -> Rates:
    """Learning rates; `reach` is the scene's length unit."""
    fall = config.lr_end ** max(0.0, (fraction - 0.5) / 0.5)
    return Rates(
        means=config.lr_means * reach * config.lr_means_end**fraction,
        quats=config.lr_quats * fall,
        log_scales=config.lr_scales * fall,
        opacity_logits=config.lr_opacities * fall,
        sh0=config.lr_sh0 * fall,
        sh_rest=config.lr_sh_rest * fall,
    )


def divisor_at(config: SplatConfig, fraction: float) -> int:
    """How many times smaller the pictures are."""
    for until, divisor in config.coarse:
        if fraction < until:
            return divisor
    return 1


def degree_at(config: SplatConfig, fraction: float) -> int:
    """Degree of the harmonics in use: one more with each `degree_every` of the training."""
    return min(config.sh_degree, int(fraction / config.degree_every))
