"""Options of a field's training. "Measured" is docs/notes/nerf.md, "chosen" not measured alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from tondo.errors import check_choices, check_number

ENOUGH_PHOTOS = 30  # for the distortion loss; 9 were too few (docs/notes/nerf.md)


@dataclass(frozen=True)
class FieldRates:
    """How fast a field learns. The defaults are those of the hash grid (measured).

    Attributes:
        batch: samples of a step, about; the number of rays follows from how many samples each
            needs.
        tables: Adam's learning rate of tables and planes.
        heads: of the networks behind them.
        networks: of the coarse and the fine network of "frequency" (Mildenhall et al. 2020, section
            5.3).
        end: what the rates fall to, relative.
        decay: share of the training, at its end, over which they fall.
        warm_up: steps over which they rise; chosen.
        beta2: Adam's memory of squares (Müller et al. 2022, section 4).
        exposure: learning rate of the per-photo exposure compensation; as of splats.
        background: of a learned background's colour; as of splats.
    """

    batch: int = 24_576
    tables: float = 2e-2
    heads: float = 1e-2
    networks: float = 5e-4
    end: float = 0.05
    decay: float = 0.7
    warm_up: int = 20
    beta2: float = 0.99
    exposure: float = 1e-3
    background: float = 5e-3

    def __post_init__(self) -> None:
        check_number("batch", self.batch, 1)


@dataclass(frozen=True)
class HashGrid:
    """Tables of features in a grid of many resolutions (Müller et al. 2022).

    Attributes:
        levels: how many resolutions; 8 of 4 features are twice as fast as 16 of 2 (measured).
        features: numbers of an entry.
        log2_entries: logarithm of a level's entries; 2^18 are 1 dB worse in a short run (measured).
        coarsest: cells along the unit cube's side on the first level.
        finest: on the last one; between them they grow by one ratio (equations 2 and 3). 2,048 are
            no better (measured).
        hidden: width of the networks behind it (section 4).
        rates: how fast it learns.
    """

    levels: int = 8
    features: int = 4
    log2_entries: int = 17
    coarsest: int = 16
    finest: int = 1024
    hidden: int = 64
    rates: FieldRates = field(default_factory=FieldRates)

    def __post_init__(self) -> None:
        check_number("levels", self.levels, 1)
        check_number("log2_entries", self.log2_entries, 1)
        check_number("hidden", self.hidden, 1)


@dataclass(frozen=True)
class CosinePlanes:
    """Three planes and lines of cosines. Every place moves the same few cosines: they want more
    places a step, and smaller steps, than the entries of a hash grid (measured).

    Attributes:
        frequencies: how many along a side; chosen.
        features: numbers of a node; chosen.
        cells: nodes along a side; chosen.
        first_band: the highest frequency at first; chosen.
        band_until: share of the training after which all are in use; chosen.
        hidden: width of the networks behind them, as of the hash grid.
        rates: how fast they learn.
    """

    frequencies: int = 96
    features: int = 16
    cells: int = 192
    first_band: float = 8.0
    band_until: float = 0.4
    hidden: int = 64
    rates: FieldRates = field(
        default_factory=lambda: FieldRates(batch=65_536, tables=1e-2, heads=5e-3)
    )

    def band_at(self, fraction: float) -> float:
        """The highest frequency in use after a share of the training."""
        if fraction >= self.band_until:
            return math.inf
        growth = self.frequencies * math.sqrt(2) / self.first_band
        return self.first_band * growth ** (fraction / self.band_until)


@dataclass(frozen=True)
class Frequencies:
    """Sines and cosines of places into a coarse and a fine network; all numbers are those of
    Mildenhall et al. 2020, sections 5.1 to 5.3.

    Attributes:
        place_octaves: of places.
        direction_octaves: of directions.
        width: of a network's layers.
        depth: how many layers.
        coarse_samples: of a ray, by the coarse network.
        fine_samples: more of them, by the fine one.
        rates: how fast they learn.
    """

    place_octaves: int = 10
    direction_octaves: int = 4
    width: int = 256
    depth: int = 8
    coarse_samples: int = 64
    fine_samples: int = 128
    rates: FieldRates = field(
        default_factory=lambda: FieldRates(batch=16_384, end=0.1, decay=1.0, beta2=0.999)
    )


@dataclass(frozen=True)
class Sampling:
    """Where along rays a field is sampled.

    Attributes:
        cells: of the occupancy grid, along a side; None: 96 within bounds, 192 without (measured).
        occupancy_every: steps between looks at what rays pass by (Müller et al. 2022, appendix
            E.2).
        steps_across: steps of a ray through a bounded space; in a contracted one, steps within its
            radius, beyond which they grow with distance. Half as many are 1.6 dB worse (measured).
        by_error: share of the rays, 0..1, that are drawn where the error is; half of them change
            nothing (measured).
    """

    cells: int | None = None
    occupancy_every: int = 16
    steps_across: int = 512
    by_error: float = 0.0

    def __post_init__(self) -> None:
        check_number("occupancy_every", self.occupancy_every, 1)
        check_number("steps_across", self.steps_across, 1)
        check_number("by_error", self.by_error, 0, 0.999)


@dataclass(frozen=True)
class Distortion:
    """The loss against floaters of Barron et al. 2022 (Mip-NeRF 360), equation 15.

    Attributes:
        weight: None: 0.05 where the space has no bounds and there are photos enough, else 0
            (measured: it is worth 2.7 dB there, and costs 0.6 dB within bounds).
        until: share of the training over which it rises; at full weight from the beginning all
            light gathers before the cameras (measured).
        steps: least steps over which it rises.
    """

    weight: float | None = None
    until: float = 0.2
    steps: int = 500


@dataclass(frozen=True)
class Smoothness:
    """The loss against bumps: the surface bends little from pixel to pixel (`nerf.patches`).

    Attributes:
        weight: of the bend, relative to the mean squared error of colours; 0 leaves it out. None:
            0.005 within bounds; 0.002 without, where 0.005 costs 0.5 dB (measured); of sines and
            cosines (frequency) 0 (not measured).
        share: of a step's rays that are in patches of pixels; 0.25 cost 0.2 dB more (measured).
        spacing: pixels, at most, from one pixel of a patch to the next; 3 are worse (measured).
        start: share of the training after which it counts, and over which it rises then; 0.05 is
            worse (measured).
    """

    weight: float | None = None
    share: float = 0.1
    spacing: int = 8
    start: float = 0.2

    def __post_init__(self) -> None:
        if self.weight is not None:
            check_number("weight", self.weight, 0)
        check_number("share", self.share, 0, 1)
        check_number("spacing", self.spacing, 1)
        check_number("start", self.start, 0, 1)

    def weight_at(self, fraction: float) -> float:
        """What the bend weighs when `fraction` of the training is over."""
        over = fraction - self.start
        if not self.weight or over < 0:
            return 0.0
        return self.weight * (min(1.0, over / self.start) if self.start else 1.0)


@dataclass(frozen=True)
class NerfOptions:
    """How a radiance field is fitted.

    Attributes:
        encoding: field encoding: a hash grid; planes of cosines (dct), which are compact; or the
            first NeRF's sines and cosines (frequency), which take many hours.
        hash: the hash grid.
        dct: planes of cosines.
        frequency: sines and cosines.
        sampling: where along rays it is sampled.
        distortion: the loss against floaters.
        smoothness: the loss against bumps.
    """

    encoding: Literal["hash", "dct", "frequency"] = "hash"
    hash: HashGrid = field(default_factory=HashGrid)
    dct: CosinePlanes = field(default_factory=CosinePlanes)
    frequency: Frequencies = field(default_factory=Frequencies)
    sampling: Sampling = field(default_factory=Sampling)
    distortion: Distortion = field(default_factory=Distortion)
    smoothness: Smoothness = field(default_factory=Smoothness)

    def __post_init__(self) -> None:
        check_choices(self)

    @property
    def rates(self) -> FieldRates:
        """How fast the encoding that is used learns."""
        used: HashGrid | CosinePlanes | Frequencies = getattr(self, self.encoding)
        return used.rates


def suited(config: NerfOptions, *, bounded: bool, photos: int) -> NerfOptions:
    """`config` with all of it decided, for a training of so many `photos`. Without bounds a field
    has room for fog, which the distortion condenses to surfaces; fine cells then spare rays nearly
    all of their samples. Few photos do not say where that is: it would condense before them."""
    open_space = not bounded and config.encoding != "frequency"
    gathers = open_space and photos >= ENOUGH_PHOTOS
    sampling, distortion, smoothness = config.sampling, config.distortion, config.smoothness
    if sampling.cells is None:
        sampling = replace(sampling, cells=192 if open_space else 96)
    if distortion.weight is None:
        distortion = replace(distortion, weight=0.05 if gathers else 0.0)
    if smoothness.weight is None:
        weight = 5e-3 if bounded else 2e-3
        if config.encoding == "frequency":
            weight = 0.0
        smoothness = replace(smoothness, weight=weight)
    return replace(config, sampling=sampling, distortion=distortion, smoothness=smoothness)
