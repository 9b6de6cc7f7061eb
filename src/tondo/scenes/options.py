"""Options of a reconstruction."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from tondo.errors import OptionError, check_choices, check_holdout, check_number
from tondo.nerf.options import NerfOptions
from tondo.splats import options as splats_
from tondo.splats.options import SplatOptions

# What belongs to the machine and the moment, not to the run
OF_NOW = ("checkpoint_seconds", "evaluate_at")
DEFAULT_MINUTES = 3.0  # fox: 32.3 dB after 2, 32.9 after 5 (docs/notes/splats.md)
MINUTES_UNASKED = 30.0  # at most: what one lets run through a break; chosen


@dataclass(frozen=True)
class ReconstructOptions:
    """How photos become a scene.

    Attributes:
        method: what the scene is made of: 3D Gaussian splats, or a radiance field (nerf).
        max_size: longest side of the photos in training, in pixels; twice as large is four times as
            slow.
        steps: training steps: the same number and seed give the same scene every time; instead of
            `minutes`.
        minutes: training time in minutes; None: 3, if `steps` is not given; for splats of pictures
            larger than 480x480 as many times that as they have more pixels, up to 30.
        seed: random seed.
        holdout: keep every Nth photo, by sorted name, for measuring; 0 keeps none.
        background: what is behind photos with transparency, and behind the scene: white, black,
            r,g,b (sRGB, 0..1 each), random (a new colour at every step, shown on white) or learned
            (one colour fitted together with the scene, for photos without transparency); None:
            random with transparency, the photos' mean colour without.
        masks: which pixels of photos count: auto, the masks found beside them by name or named in
            transforms.json; none; or the folder that they are in.
        outside_masks: what is where masks leave out: nothing (empty), something that is not to be
            learned (unknown), or, with auto, nothing where the masks show one object alone.
        exposure: per-photo exposure compensation; auto: for photos, not for renders.
        checkpoint_seconds: training time between checkpoints, in seconds.
        evaluate_at: measure the held-out photos after these times of training, in seconds.
        splats: of splats.
        nerf: of radiance fields.
    """

    method: Literal["splats", "nerf"] = "splats"
    max_size: int = 480
    steps: int | None = None
    minutes: float | None = None
    seed: int = 0
    holdout: int = 8
    background: str | tuple[float, float, float] | None = None
    masks: str = "auto"
    outside_masks: Literal["auto", "empty", "unknown"] = "auto"
    exposure: Literal["auto", "on", "off"] = "auto"
    checkpoint_seconds: float = 30.0
    evaluate_at: tuple[float, ...] = ()
    splats: SplatOptions = field(default_factory=SplatOptions)
    nerf: NerfOptions = field(default_factory=NerfOptions)

    def __post_init__(self) -> None:
        check_choices(self)
        if self.steps is not None and self.minutes is not None:
            raise OptionError("give `steps` or `minutes`, not both")
        check_holdout(self.holdout)
        words, behind = ("white", "black", "random", "learned"), self.background
        is_color = isinstance(behind, tuple) and len(behind) == 3
        if behind is not None and behind not in words and not is_color:
            raise OptionError(f"`background` must be {', '.join(words)} or r,g,b, got {behind!r}")
        check_number("max_size", self.max_size, 1)
        check_number("steps", self.steps, 1)
        check_number("minutes", self.minutes, 0, 1e6, above=True)
        check_number("checkpoint_seconds", self.checkpoint_seconds, 0)
        check_number("seed", self.seed, 0, 2**63 - 1)


def settled(options: ReconstructOptions, pixels: int) -> ReconstructOptions:
    """`options` with the length and the number of splats decided, for pictures of so many pixels.

    Steps on larger pictures take longer by as much: splats get as many steps at any size. A step on
    a field takes as long at any size.
    """
    minutes = options.minutes
    if minutes is None and options.steps is None:
        times = splats_.times_base(pixels) if options.method == "splats" else 1.0
        minutes = min(MINUTES_UNASKED, round(DEFAULT_MINUTES * times, 1))
    return replace(options, minutes=minutes, splats=splats_.suited(options.splats, pixels))
