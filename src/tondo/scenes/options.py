"""What a reconstruction can be told, checked, and as it stands in a run's config."""

from __future__ import annotations

from dataclasses import dataclass, field

from tondo.errors import OptionError
from tondo.io.mask_files import AUTO, check_choice
from tondo.nerf.config import NerfConfig
from tondo.splats.config import SplatConfig

# What belongs to the machine and the moment, not to the run
OF_NOW = ("checkpoint_seconds", "evaluate_at")


@dataclass(frozen=True)
class ReconstructOptions:
    """What `reconstruct` can be told.

    Attributes:
        method: "splats" | "nerf".
        max_size: longest side of the photos in training, pixels.
        steps, minutes: how long to train; at most one of them (neither: 3 minutes).
        seed: of every random choice.
        holdout: every Nth photo by sorted name is kept for testing, 0 keeps none.
        background: "white", "black", "random" or sRGB 0..1 behind photos with transparency, and
            behind the scene; "learned": one colour fitted together with the scene, for photos
            without transparency. "random": trained on a new colour at every step, shown on white.
            None: "random" with transparency, the photos' mean colour without.
        masks: "auto": those that are found by name or named in the file of poses; "none"; or the
            folder that they are in.
        exposure: fit a colour correction per photo (None: for photos, not for renders).
        splats, nerf: everything else, of the method that is used.
        checkpoint_seconds: time between checkpoints.
        evaluate_at: seconds of training at which to measure held-out photos, the clock stopped.
    """

    method: str = "splats"
    max_size: int = 480
    steps: int | None = None
    minutes: float | None = None
    seed: int = 0
    holdout: int = 8
    background: str | tuple[float, float, float] | None = None
    masks: str = AUTO
    exposure: bool | None = None
    splats: SplatConfig = field(default_factory=SplatConfig)
    nerf: NerfConfig = field(default_factory=NerfConfig)
    checkpoint_seconds: float = 30.0
    evaluate_at: tuple[float, ...] = ()


def check_options(options: ReconstructOptions) -> None:
    """Raises OptionError for values that cannot be used."""
    if options.steps is not None and options.minutes is not None:
        raise OptionError("give --steps or --minutes, not both")
    if options.steps is not None and options.steps < 1:
        raise OptionError(f"--steps must be at least 1, got {options.steps}")
    if options.minutes is not None and not 0 < options.minutes < 1e6:
        raise OptionError(f"--minutes must be above 0, got {options.minutes:g}")
    if not options.checkpoint_seconds >= 0:
        raise OptionError(
            "--checkpoint-seconds must be 0 (after each step) or more, "
            f"got {options.checkpoint_seconds:g}"
        )
    if options.method not in ("splats", "nerf"):
        raise OptionError(f"--method must be splats or nerf, got {options.method}")
    check_choice(options.masks)
    if options.splats.max_splats < 1:
        raise OptionError(f"--max-splats must be at least 1, got {options.splats.max_splats}")
    if options.seed < 0 or options.seed >= 2**63:
        raise OptionError(f"--seed must be from 0 to 2^63 - 1, got {options.seed}")
