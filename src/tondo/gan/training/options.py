"""What a training can be told, checked, and as it stands in a run's config."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import tondo
from tondo.errors import InputError, OptionError
from tondo.gan.options import TrainOptions
from tondo.geometry.pose_prior import parse_poses
from tondo.runs.device import training_device
from tondo.runs.run_directory import RunDirectory, change_config, read_config

# What belongs to the machine and not to the run
_OF_NOW = ("checkpoint_seconds", "device")
DEFAULTS = TrainOptions()
SIZES = (32, 64, 128, 256)


def check_options(options: TrainOptions) -> None:
    """Raises OptionError for values that cannot be used."""
    if options.size not in SIZES:
        raise OptionError(f"`size` must be 32, 64, 128 or 256, got {options.size}")
    if options.schedule.batch < 4 or options.schedule.batch % 4:
        raise OptionError(
            "`batch` must be a multiple of 4 (the discriminator compares pictures in fours), "
            f"got {options.schedule.batch}"
        )
    if options.light == "camera" and options.representation == "field":
        raise OptionError(
            "`light=camera` needs the normals of splats: not for `representation=field`"
        )
    for name, given in (("`mirror`", options.mirror), ("`axial`", options.axial)):
        if given and options.representation == "field":
            raise OptionError(f"{name} needs splats: not for `representation=field`")
    if options.base is not None:
        _check_shape_untouched(options)
    if options.lora and options.base is None:
        raise OptionError("`lora` adapts a trained generator: say which with `base`")
    if options.poses is not None:
        parse_poses(options.poses)
    training_device(options.device)


def _check_shape_untouched(options: TrainOptions) -> None:
    """A generator that is adapted stays what it is."""
    wanted = {
        "`mirror`": options.mirror,
        "`axial`": options.axial,
        "`light`": options.light is not None,
        "`representation`": options.representation != TrainOptions.representation,
    }
    for name, given in wanted.items():
        if given:
            raise OptionError(
                f"{name} belongs to a new generator: with `base` it is as in {options.base}, "
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
        for one in dataclasses.fields(DEFAULTS):
            if dataclasses.is_dataclass(group := getattr(DEFAULTS, one.name)):
                values[one.name] = type(group)(**config[one.name])  # type: ignore[operator, misc]
        stored = TrainOptions(**values, **{name: getattr(options, name) for name in _OF_NOW})
        source = Path(config["source"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{run.config_path} is not the config of a training of this version ({error!r}): start "
            "again with `force`, or go on with the version that began it"
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
        found: dict[str, Any] = {}
        for name, value in dataclasses.asdict(options).items():
            found |= value if isinstance(value, dict) else {name: value}
        return found

    new, old, default = flat(given), flat(stored), flat(DEFAULTS)
    return [
        f"`{name}`"
        for name, value in new.items()
        if name not in (*_OF_NOW, "minutes", "kimg") and value not in (default[name], old[name])
    ]
