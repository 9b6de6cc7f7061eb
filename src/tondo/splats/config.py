"""Settings of splat training. Numbers were chosen by measurement: docs/notes/splats.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SplatConfig:
    """How splats are fitted. Fractions are of the training's whole length, 0..1.

    Attributes:
        max_splats: budget; growth stops there.
        sh_degree: highest degree of the colours' harmonics, 0..3.
        ssim_weight: share of 1 - SSIM in the photometric loss (Kerbl et al. 2023, equation 7).
        lr_*: Adam's rates; `lr_means` in units of the scene's radius, falling to
            `lr_means_end` times itself at the end, exponentially.
        lr_end: what the other rates fall to over the last half, relative.
        noise: strength of the position noise (Kheradmand et al. 2024, 3DGS-MCMC, equation 9).
        opacity_reg, scale_reg: weights of the mean opacity and mean scale (in scene radii).
        densify_every: steps between relocations and growth.
        growth: new splats at each densification, relative to what is there.
        densify_until: fraction after which the set of splats is fixed.
        min_opacity: splats below are dead and are moved to where they help.
        degree_every: fraction after which the harmonics gain a degree.
        coarse: (fraction, divisor) pairs; until the fraction, pictures are that much smaller.
        lr_background: of a learned background's colour.
        refine_poses: fit the cameras too; `lr_poses` in radians, and in scene radii.
    """

    max_splats: int = 60_000
    sh_degree: int = 3
    ssim_weight: float = 0.2
    lr_means: float = 4e-4
    lr_means_end: float = 0.01
    lr_quats: float = 2e-3
    lr_scales: float = 1e-2
    lr_opacities: float = 0.05
    lr_sh0: float = 5e-3
    lr_sh_rest: float = 2.5e-4
    lr_end: float = 0.1
    lr_exposure: float = 1e-3
    lr_background: float = 5e-3
    noise: float = 5e5
    opacity_reg: float = 0.01
    scale_reg: float = 0.01
    densify_every: int = 50
    growth: float = 0.05
    densify_until: float = 0.8
    min_opacity: float = 0.005
    coarse: tuple[tuple[float, int], ...] = ((0.15, 2),)
    degree_every: float = 0.1
    refine_poses: bool = False
    lr_poses: float = 1e-3
