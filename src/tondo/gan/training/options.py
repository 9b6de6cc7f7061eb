"""What a training can be told, checked, and as it stands in a run's config."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tondo
from tondo.errors import InputError, OptionError
from tondo.features.choose import DEFAULT
from tondo.gan.config import GanConfig
from tondo.geometry.pose_prior import parse_poses
from tondo.runs.device import training_device
from tondo.runs.run_directory import RunDirectory, change_config, read_config


@dataclass(frozen=True)
class TrainOptions:
    """What `train_generator` can be told.

    Attributes:
        size: pixels a side of the pictures.
        minutes, kimg: how long to train; at most one of them (neither: 60 minutes).
        seed: of every random choice.
        classes: of the pictures; none means all.
        poses: a pose prior (`tondo.geometry.pose_prior.parse_poses`); None: the pictures' own
            cameras where they are known, else "turntable" for a plain background and "frontal" for
            scenery.
        background: "white", "scene", or None to choose by the pictures.
        light: "camera" or "none" (`GeneratorShape.light`), or None: "none" where the pictures' own
            cameras are used, and for fields, else "camera".
        features: the frozen network of the discriminator (`tondo.features.choose`).
        base: a run, file or name of a generator to start from. lora: rank of adapters that alone
            are trained, 0 to train everything.
        config: everything else about the training. representation: "splats" or "field".
        mirror: the things' left and right are alike (`GeneratorShape.mirror`).
        axial: the things look much alike from all round (`GeneratorShape.axial`).
        licence: of the pictures, for the generator's card.
        checkpoint_seconds: time between checkpoints.
        device: "auto", "cpu" or "cuda" (`tondo.runs.device`); a run can go on on another one.
    """

    size: int = 64
    minutes: float | None = None
    kimg: float | None = None
    seed: int = 0
    classes: tuple[str, ...] = ()
    poses: str | None = None
    background: str | None = None
    light: str | None = None
    features: str = DEFAULT
    base: str | None = None
    lora: int = 0
    representation: str = "splats"
    mirror: bool = False
    axial: bool = False
    licence: str = ""
    config: GanConfig = field(default_factory=GanConfig)
    checkpoint_seconds: float = 30.0
    device: str = "auto"


# What belongs to the machine and not to the run
_OF_NOW = ("checkpoint_seconds", "device")
SIZES = (32, 64, 128, 256)
_TYPED = {"classes": "class", "base": "from"}


def check_options(options: TrainOptions) -> None:
    """Raises OptionError for values that cannot be used."""
    config = options.config
    if options.minutes is not None and options.kimg is not None:
        raise OptionError("give --minutes or --kimg, not both")
    if options.minutes is not None and not 0 < options.minutes < 1e6:
        raise OptionError(f"--minutes must be above 0, got {options.minutes:g}")
    if options.kimg is not None and not 0 < options.kimg < 1e7:
        raise OptionError(f"--kimg must be above 0, got {options.kimg:g}")
    if options.size not in SIZES:
        raise OptionError(f"--size must be 32, 64, 128 or 256, got {options.size}")
    if not options.checkpoint_seconds >= 0:
        raise OptionError(
            "--checkpoint-seconds must be 0 (after each step) or more, "
            f"got {options.checkpoint_seconds:g}"
        )
    if not 0 <= options.seed < 2**63:
        raise OptionError(f"--seed must be from 0 to 2^63 - 1, got {options.seed}")
    if config.batch < 4 or config.batch % 4:
        raise OptionError(
            "--batch must be a multiple of 4 (the discriminator compares pictures in fours), "
            f"got {config.batch}"
        )
    if options.light == "camera" and options.representation == "field":
        raise OptionError(
            "--light camera needs the normals of splats: not for --representation field"
        )
    for name, given in (("--mirror", options.mirror), ("--axial", options.axial)):
        if given and options.representation == "field":
            raise OptionError(f"{name} needs splats: not for --representation field")
    if options.base is not None:
        _check_shape_untouched(options)
    if options.lora and options.base is None:
        raise OptionError("--lora adapts a trained generator: say which with --from RUN|NAME")
    if options.poses is not None:
        parse_poses(options.poses)
    training_device(options.device)


def _check_shape_untouched(options: TrainOptions) -> None:
    """A generator that is adapted stays what it is."""
    wanted = {
        "--mirror": options.mirror,
        "--axial": options.axial,
        "--light": options.light is not None,
        "--representation": options.representation != TrainOptions.representation,
    }
    for name, given in wanted.items():
        if given:
            raise OptionError(
                f"{name} belongs to a new generator: with --from it is as in {options.base}, "
                "leave it out"
            )


def config_json(source: Path, options: TrainOptions) -> dict[str, Any]:
    """`config.json`: everything needed to repeat the run."""
    stored = dataclasses.asdict(options)
    for name in _OF_NOW:
        del stored[name]
    return {
        "tondo": tondo.__version__,
        "command": "train",
        "source": str(Path(source).absolute()),
        **stored,
    }


def stored_options(run: RunDirectory, options: TrainOptions) -> tuple[TrainOptions, Path]:
    """The options that a run was started with, `options`' length of training where it says one."""
    config = read_config(run)
    if config.get("command") != "train":
        raise InputError(f"{run.path} is a run of `tondo {config.get('command', '?')}`, not train")
    names = {one.name for one in dataclasses.fields(TrainOptions)} - set(_OF_NOW)
    try:
        values = {name: config[name] for name in names}
        values["classes"] = tuple(str(name) for name in config["classes"])
        values["config"] = _config_of(run, config["config"])
        stored = TrainOptions(**values, **{name: getattr(options, name) for name in _OF_NOW})
        source = Path(config["source"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{run.config_path} is not the config of a training ({error!r}): "
            "start again with --force"
        ) from error
    if options.minutes is not None or options.kimg is not None:
        stored = dataclasses.replace(stored, minutes=options.minutes, kimg=options.kimg)
    check_options(stored)
    return stored, source


def store_duration(run: RunDirectory, options: TrainOptions) -> None:
    """Into the run's `config.json`: for how long it is now to be trained."""
    change_config(run, {"minutes": options.minutes, "kimg": options.kimg})


def ignored_options(given: TrainOptions, stored: TrainOptions) -> list[str]:
    """The options, as they are typed, that were given to a run that goes on and that it was begun
    without."""

    def flat(options: TrainOptions) -> dict[str, Any]:
        found = dataclasses.asdict(options)
        return found | found.pop("config")

    new, old, default = flat(given), flat(stored), flat(TrainOptions())
    return [
        "--" + _TYPED.get(name, name.replace("_", "-"))
        for name, value in new.items()
        if name not in (*_OF_NOW, "minutes", "kimg") and value not in (default[name], old[name])
    ]


def _config_of(run: RunDirectory, stored: dict[str, Any]) -> GanConfig:
    unknown = set(stored) - {one.name for one in dataclasses.fields(GanConfig)}
    if unknown:
        raise InputError(
            f"{run.path} was begun by another version of Tondo: this one has no setting "
            f"{min(unknown)!r}. Start again with --force, or go on with that version"
        )
    return GanConfig(**stored)
