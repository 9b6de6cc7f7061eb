"""Settings of a field's training. Numbers were chosen by measurement: docs/notes/nerf.md."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tondo.errors import OptionError

ENCODINGS = ("hash", "dct", "frequency")
ENOUGH_PHOTOS = 30  # for the distortion


@dataclass(frozen=True)
class NerfConfig:
    """How a field is fitted. Fractions are of the training's whole length, 0..1.

    Attributes:
        encoding: "hash" | "dct" | "frequency".
        levels, features, log2_entries: of the hash grid.
        coarsest, finest: cells along the unit cube's side on its first and last level; between them
            they grow by one ratio (Müller et al. 2022, equations 2 and 3).
        frequencies, plane_features, plane_cells: of planes and lines of cosines: how many along a
            side, numbers of a node, nodes along a side.
        first_band, band_until: they begin with frequencies up to `first_band`, and have all after
            that fraction of the training.
        place_octaves, direction_octaves: of sines and cosines. width, depth: of the coarse and the
            fine network. coarse_samples, fine_samples: of a ray, by the coarse one, and more by
            the fine one.
        hidden: width of the two networks of the other encodings.
        cells: of the occupancy grid, along a side; None: as suits the space (`suited`).
            occupancy_every: steps between looks at what rays pass by.
        steps_across: steps of a ray through a bounded space; in a contracted one, steps within its
            `radius`, beyond which they grow with distance.
        batch: samples of a step, about; rays follow from how many samples each needs.
        by_error: share of the rays, 0..1, that are drawn where the error is.
        lr_tables, lr_heads, lr_networks: Adam's rates, the last one of the coarse and the fine
            network, falling to `lr_end` times themselves over the last `decay` of the training.
            warm_up: steps over which they rise. beta2: Adam's memory of squares.
        distortion: weight of the distortion (Barron et al. 2022, equation 15), to which it rises
            over the first `distortion_until` of the training, and over `distortion_steps` at
            least: at full weight from the beginning all light gathers before the cameras. None: as
            suits the space.
        lr_exposure, lr_background: rates of colour corrections per photo, and of a learned
            background's colour.
    """

    encoding: str = "hash"
    levels: int = 8
    features: int = 4
    log2_entries: int = 17
    coarsest: int = 16
    finest: int = 1024
    frequencies: int = 96
    plane_features: int = 16
    plane_cells: int = 192
    first_band: float = 8.0
    band_until: float = 0.4
    place_octaves: int = 10
    direction_octaves: int = 4
    width: int = 256
    depth: int = 8
    coarse_samples: int = 64
    fine_samples: int = 128
    hidden: int = 64
    cells: int | None = None
    occupancy_every: int = 16
    steps_across: int = 512
    batch: int = 24_576
    by_error: float = 0.0
    lr_tables: float = 2e-2
    lr_heads: float = 1e-2
    lr_networks: float = 5e-4
    lr_end: float = 0.05
    decay: float = 0.7
    warm_up: int = 20
    beta2: float = 0.99
    distortion: float | None = None
    distortion_until: float = 0.2
    distortion_steps: int = 500
    lr_exposure: float = 1e-3
    lr_background: float = 5e-3

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise OptionError(f"--encoding {self.encoding}: choose one of {', '.join(ENCODINGS)}")
        for name in (
            "levels",
            "log2_entries",
            "hidden",
            "batch",
            "occupancy_every",
            "steps_across",
        ):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} of a field must be at least 1")
        if not 0 <= self.by_error < 1:
            raise OptionError(f"by_error must be within 0..1, below 1, got {self.by_error:g}")

    def band_at(self, fraction: float) -> float:
        """The highest frequency in use after a share of the training, of cosines."""
        if fraction >= self.band_until:
            return math.inf
        growth = self.frequencies * math.sqrt(2) / self.first_band
        return self.first_band * growth ** (fraction / self.band_until)


def suited(config: NerfConfig, *, bounded: bool, photos: int) -> NerfConfig:
    """`config` with all of it decided, for a training of so many `photos`. Without bounds a field
    has room for fog, which the distortion condenses to surfaces; fine cells then spare rays nearly
    all of their samples. Few photos do not say where that is: it would condense before them."""
    open_space = not bounded and config.encoding != "frequency"
    gathers = open_space and photos >= ENOUGH_PHOTOS
    cells = config.cells if config.cells is not None else 192 if open_space else 96
    distortion = config.distortion if config.distortion is not None else 0.05 if gathers else 0.0
    return replace(config, cells=cells, distortion=distortion)


def config_for(encoding: str) -> NerfConfig:
    """The settings that suit an encoding. Every place moves the same few cosines: they want more
    places a step, and smaller steps, than the entries of a hash grid."""
    if encoding == "dct":
        return NerfConfig(encoding, batch=65_536, lr_tables=1e-2, lr_heads=5e-3)
    if encoding == "frequency":  # as in its paper, section 5.3
        return NerfConfig(encoding, batch=16_384, lr_end=0.1, decay=1.0, beta2=0.999)
    return NerfConfig(encoding)
