"""Options of splat training. "Measured" is docs/notes/splats.md, "chosen" not measured alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from tondo.errors import check_choices, check_number

# Pixels of a picture up to which the defaults are the same: 480 x 480, at which they were measured
BASE_PIXELS = 480 * 480
# Most splats for such pictures. 30,000 are 0.6 dB worse after 25 s, 100,000 are 0.3 dB better after
# 7,000 steps (measured).
BASE_SPLATS = 60_000
# Most that larger pictures get unasked: 0.3 GB of moments and gradients beside them; chosen
SPLATS_UNASKED = 300_000


@dataclass(frozen=True)
class SplatRates:
    """Adam's learning rates. All but the first two were chosen: twice those of Kerbl et al. 2023
    and of its program, since a training has thousands of steps, not 30,000.

    Attributes:
        means: of positions, in scene radii; half as much is 0.5 dB worse (measured).
        means_end: what that falls to at the end, exponentially, relative (Kerbl et al. 2023).
        quats: of rotations.
        scales: of the logarithms of scales.
        opacities: of opacities before the logistic function; as in Kerbl et al. 2023.
        sh0: of the colours' constant part.
        sh_rest: of their other harmonics: a 20th, as in Kerbl et al. 2023.
        end: what these four fall to over the last half, relative.
        exposure: of the per-photo exposure compensation.
        background: of a learned background's colour.
        poses: of the cameras, in radians and in scene radii.
    """

    means: float = 4e-4
    means_end: float = 0.01
    quats: float = 2e-3
    scales: float = 1e-2
    opacities: float = 0.05
    sh0: float = 5e-3
    sh_rest: float = 2.5e-4
    end: float = 0.1
    exposure: float = 1e-3
    background: float = 5e-3
    poses: float = 1e-3


@dataclass(frozen=True)
class SplatDensity:
    """How splats are moved and added: Kheradmand et al. 2024 (3DGS-MCMC), which is 0.6 to 3.6 dB
    ahead of cloning and splitting after 25 s (measured).

    Attributes:
        every: steps between relocations and growth; the paper has 100 of 30,000.
        growth: new splats at each, relative to what is there, as in the paper.
        until: share of the training after which the set of splats is fixed; chosen.
        min_opacity: splats below are dead and are moved to where they help, as in the paper.
        noise: strength of the position noise (equation 9), as in the paper.
    """

    every: int = 50
    growth: float = 0.05
    until: float = 0.8
    min_opacity: float = 0.005
    noise: float = 5e5


@dataclass(frozen=True)
class SplatLoss:
    """What training makes small.

    Attributes:
        ssim: share of 1 - SSIM in the photometric loss (Kerbl et al. 2023, equation 7).
        opacity: weight of the mean opacity (Kheradmand et al. 2024); 0.003 for both is 0.2 dB worse
            (measured).
        scale: weight of the mean scale in scene radii (the same).
        normals: weight of what the depth's normals differ from the splats' (Huang et al. 2024,
            2DGS, equation 14, with its weight); 0 leaves that out.
        normals_from: share of the training after which that counts; 0.15 and 0.3 are alike, 0.6 is
            worse (measured).
        normals_every: steps from one that compares normals to the next, which has that much more
            weight: 3 are as good as 1 (measured).
    """

    ssim: float = 0.2
    opacity: float = 0.01
    scale: float = 0.01
    normals: float = 0.05
    normals_from: float = 0.2
    normals_every: int = 3

    def __post_init__(self) -> None:
        check_number("normals", self.normals, 0)
        check_number("normals_every", self.normals_every, 1)


@dataclass(frozen=True)
class SplatSchedule:
    """What changes over a training. Shares are of its whole length, 0..1.

    Attributes:
        coarse: (share, divisor) pairs: until the share, pictures are that much smaller; half size
            until 15 % is 0.4 dB better than a quarter first (measured).
        degree_every: share after which the harmonics gain a degree; chosen.
    """

    coarse: tuple[tuple[float, int], ...] = ((0.15, 2),)
    degree_every: float = 0.1


@dataclass(frozen=True)
class SplatOptions:
    """How splats are fitted.

    Attributes:
        max_splats: most splats: more show finer detail and cost time; None: 60000 for pictures of
            up to 480x480 pixels, for larger ones as many more as they have pixels, up to 300000.
        sh_degree: highest degree of the colours' spherical harmonics.
        refine_poses: fit the cameras' poses too.
        rates: learning rates.
        density: relocation and growth.
        loss: what training makes small.
        schedule: what changes over a training.
    """

    max_splats: int | None = None
    # 2 is 0.45 dB worse and hardly faster (measured).
    sh_degree: Literal[0, 1, 2, 3] = 3
    refine_poses: bool = False
    rates: SplatRates = field(default_factory=SplatRates)
    density: SplatDensity = field(default_factory=SplatDensity)
    loss: SplatLoss = field(default_factory=SplatLoss)
    schedule: SplatSchedule = field(default_factory=SplatSchedule)

    def __post_init__(self) -> None:
        check_choices(self)
        check_number("max_splats", self.max_splats, 1)


def times_base(pixels: int) -> float:
    """How many times larger than `BASE_PIXELS` a picture of so many pixels is, at least 1."""
    return max(1.0, pixels / BASE_PIXELS)


def suited(config: SplatOptions, pixels: int) -> SplatOptions:
    """`config` with all of it decided, for pictures of so many pixels: detail follows them."""
    if config.max_splats is not None:
        return config
    return replace(config, max_splats=min(SPLATS_UNASKED, round(BASE_SPLATS * times_base(pixels))))
