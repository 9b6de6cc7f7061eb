"""What a reconstruction can be told, checked, and as it stands in a run's config."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tondo
from tondo.errors import InputError, OptionError
from tondo.io.mask_files import AUTO, check_choice, stored_choice
from tondo.io.posed.photos import has_poses
from tondo.nerf.config import NerfConfig
from tondo.runs.run_directory import RunDirectory, read_config
from tondo.scenes.open import is_scene
from tondo.splats.config import SplatConfig


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


def config_json(source: Path, options: ReconstructOptions) -> dict[str, Any]:
    """`config.json`: everything needed to repeat the run."""
    stored = dataclasses.asdict(options)
    for name in {"splats", "nerf"} - {options.method}:
        del stored[name]
    del stored["evaluate_at"], stored["checkpoint_seconds"], stored["method"]
    posed = {} if has_poses(source) and not is_scene(source) else {"posed": "prepared"}
    return {
        "tondo": tondo.__version__,
        "command": "reconstruct",
        "method": options.method,
        "source": str(Path(source).absolute()),
        **posed,
        **stored,
        "masks": stored_choice(options.masks),
    }


def stored_options(
    run: RunDirectory, options: ReconstructOptions
) -> tuple[ReconstructOptions, Path]:
    """The options that a run was started with, `options`' length of training where it says one."""
    config = read_config(run)
    try:
        method = config["method"]
        background = config["background"]
        stored = ReconstructOptions(
            method=method,
            **{name: config[name] for name in ("max_size", "steps", "minutes", "seed", "holdout")},
            background=tuple(background) if isinstance(background, list) else background,
            masks=str(config.get("masks", AUTO)),
            exposure=config["exposure"],
            splats=_splat_config(config),
            nerf=NerfConfig(**config["nerf"]) if method == "nerf" else NerfConfig(),
            checkpoint_seconds=options.checkpoint_seconds,
            evaluate_at=options.evaluate_at,
        )
        source = Path(config["source"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{run.config_path} is not the config of a reconstruction ({error!r}): "
            "start again with --force"
        ) from error
    if options.steps is not None or options.minutes is not None:
        stored = dataclasses.replace(stored, steps=options.steps, minutes=options.minutes)
    check_options(stored)
    return stored, source


def _splat_config(config: dict[str, Any]) -> SplatConfig:
    if config["method"] != "splats":
        return SplatConfig()
    stored = dict(config["splats"])
    stored["coarse"] = tuple((float(f), int(d)) for f, d in stored["coarse"])
    return SplatConfig(**stored)


# What may change when a run goes on: its length, and what belongs to the machine.
_OF_NOW = ("steps", "minutes", "checkpoint_seconds", "evaluate_at")
_TYPED = {
    "splats.max_splats": "--max-splats",
    "splats.sh_degree": "--sh-degree",
    "splats.refine_poses": "--refine-poses",
    "nerf.encoding": "--encoding",
}


def set_aside(
    asked: ReconstructOptions, stored: ReconstructOptions, given: Collection[str] | None
) -> list[str]:
    """A sentence for each option that a run which goes on does not take, since it was started with
    another value.

    Args:
        asked: what it is told now. stored: what it was started with.
        given: which of `asked` were said at all: names of fields, "splats." or "nerf." before those
            of a method. None: those that are not the defaults.
    """
    new, old, default = _flat(asked), _flat(stored), _flat(ReconstructOptions())
    other = "nerf." if stored.method == "splats" else "splats."
    sentences = []
    for name, value in new.items():
        is_told = value != default[name] if given is None else name in given
        is_other = name.startswith(other)
        if not is_told or (value == old[name] and not is_other):
            continue
        option = _TYPED.get(name, name if "." in name else "--" + name.replace("_", "-"))
        begun = f"with --method {stored.method}" if is_other else f"with {_text(name, old[name])}"
        if name != "splats.refine_poses":
            option = f"{option} {_text(name, value)}"
        elif not is_other:
            begun = "without it"
        sentences.append(f"{option} is ignored: the run was started {begun}")
    return sentences


def _flat(options: ReconstructOptions) -> dict[str, Any]:
    """The options that a run keeps, by name, those of both methods with the method before."""
    found = {k: v for k, v in dataclasses.asdict(options).items() if k not in _OF_NOW}
    for method in ("splats", "nerf"):
        found |= {f"{method}.{name}": value for name, value in found.pop(method).items()}
    return found


def _text(name: str, value: Any) -> str:
    """An option's value as it is typed."""
    if name == "exposure":
        return {True: "on", False: "off"}.get(value, "auto")
    if name == "background" and isinstance(value, tuple):
        return ",".join(f"{number:g}" for number in value)
    return "the default" if value is None else str(value)
