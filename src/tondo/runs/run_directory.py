"""A run's folder: where training leaves everything, whole or not at all.

RUN/config.json         everything needed to repeat the run, with version and seed; the steps done
RUN/photos.json         what its photographs were, so that it goes on with the same ones
RUN/events.jsonl        one typed event per line (training/events.py)
RUN/metrics.json        measurements
RUN/cameras.json        the training cameras, nerfstudio style
RUN/scene.safetensors   the result of a reconstruction; its presence means that it is finished
RUN/generator.safetensors   the result of a training, as good as it is so far
RUN/checkpoints/        the newest two (training/checkpoints.py)
RUN/renders/            pictures
RUN/tensorboard/        curves
RUN/replaced/           with --force: the run that was here, until this one is finished
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tondo.errors import InputError, OptionError, OutputError
from tondo.io.atomic import TEMPORARY_PREFIX, make_folder, write_json
from tondo.io.json_files import read_json
from tondo.runs.migration import migrated

MAX_JSON_BYTES = 64 * 2**20  # bounds memory; chosen, not measured


class _Inside:
    """A file or folder of that name in the run's folder."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, run: RunDirectory, kind: type[RunDirectory]) -> Path:
        return run.path / self._name


@dataclass(frozen=True)
class RunDirectory:
    """A folder with a `config.json` of Tondo in it."""

    path: Path

    config_path = _Inside("config.json")
    events_path = _Inside("events.jsonl")
    photos_path = _Inside("photos.json")
    metrics_path = _Inside("metrics.json")
    cameras_path = _Inside("cameras.json")
    scene_path = _Inside("scene.safetensors")
    generator_path = _Inside("generator.safetensors")
    checkpoints_dir = _Inside("checkpoints")
    renders_dir = _Inside("renders")
    tensorboard_dir = _Inside("tensorboard")
    replaced_dir = _Inside("replaced")


def is_run(path: Path) -> bool:
    """Whether `path` is a folder that a run of Tondo made."""
    try:
        return "tondo" in read_json(Path(path) / "config.json", MAX_JSON_BYTES)
    except InputError:
        return False


def check_run_target(path: Path, *, force: bool, resume: bool) -> None:
    """Say at once, before any work, whether `create_run` with these arguments would refuse.

    Raises:
        InputError: `resume`, and there is no run at `path`.
        OptionError, OutputError: see `create_run`.
    """
    path = Path(path)
    if resume and force:
        raise OptionError("`resume` goes on with a run, `force` replaces it: give one of them")
    if resume:
        open_run(path)
    elif is_run(path):
        if not force:
            raise OutputError(
                f"{path} already holds a run: `resume` goes on with it, `force` replaces it, "
                "or choose another name"
            )
    elif path.is_dir() and any(path.iterdir()):
        raise OutputError(
            f"{path} is a folder with other things in it, not a run of Tondo, and is left alone: "
            "choose another name"
        )
    elif path.exists() and not path.is_dir():
        raise OutputError(f"{path} is a file: choose another name for the run")


def create_run(
    path: Path, config: Mapping[str, Any], *, force: bool = False, resume: bool = False
) -> RunDirectory:
    """Make a run's folder with its `config.json`, or open the one that is to go on.

    The folder appears by one rename, with `config.json` in it. With `resume` the old folder and
    its `config.json` stay as they are. With `force` a finished run in the way moves to
    `RUN/replaced` until `finish_run` deletes it or `abandon_run` brings it back; only folders that
    are runs are ever moved or deleted.

    Args:
        path: the run's folder.
        config: becomes `config.json`; must hold "tondo", the version.

    Raises:
        InputError: `resume`, and there is no run at `path`.
        OutputError: something is in the way, or the folder cannot be written; nothing is left.
    """
    path = Path(path)
    check_run_target(path, force=force, resume=resume)
    run = RunDirectory(path)
    if resume:
        for folder in (run.checkpoints_dir, run.renders_dir, run.tensorboard_dir):
            make_folder(folder)
        return run
    if "tondo" not in config:
        raise ValueError("config must hold 'tondo', the version that makes the run")
    parent_made = not path.parent.exists()
    make_folder(path.parent)
    fresh = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}"
    try:
        for name in ("checkpoints", "renders", "tensorboard"):
            make_folder(fresh / name)
        write_json(fresh / "config.json", dict(config))
        _put_in_place(fresh, run)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        if parent_made:
            with contextlib.suppress(OSError):
                path.parent.rmdir()
        raise
    return run


def _put_in_place(fresh: Path, run: RunDirectory) -> None:
    """Rename `fresh` to the run's path; an older run there moves into its `replaced`."""
    try:
        if not is_run(run.path):
            os.rename(fresh, run.path)
            return
        aside = fresh.with_name(fresh.name + "-old")
        os.rename(run.path, aside)
        try:
            os.rename(fresh, run.path)
        except OSError:
            os.rename(aside, run.path)
            raise
        old = RunDirectory(aside)
        keep = old.replaced_dir if is_run(old.replaced_dir) and not is_finished(old) else aside
        os.rename(keep, run.replaced_dir)
    except OSError as error:
        raise OutputError(f"cannot write the run {run.path}: {error.strerror}") from error
    if keep != aside:
        shutil.rmtree(aside, ignore_errors=True)


def finish_run(run: RunDirectory) -> None:
    """Delete the run that this one replaced, now that this one has its result."""
    if is_finished(run) and is_run(run.replaced_dir):
        shutil.rmtree(run.replaced_dir, ignore_errors=True)


def abandon_run(run: RunDirectory) -> None:
    """Delete an unfinished run and bring back the one that it was to replace, if any.

    A finished run, or a folder that is not a run, is left alone.
    """
    if is_finished(run) or not is_run(run.path):
        return
    aside = run.path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}")
    os.rename(run.path, aside)
    if is_run(aside / "replaced"):
        os.rename(aside / "replaced", run.path)
    shutil.rmtree(aside, ignore_errors=True)


def is_finished(run: RunDirectory) -> bool:
    """Whether the run has a result."""
    return run.scene_path.is_file() or run.generator_path.is_file()


def open_run(path: Path) -> RunDirectory:
    """The run at `path`.

    Raises:
        InputError: there is none, or its `config.json` cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no run at {path}: nothing of that name exists")
    if not path.is_dir():
        raise InputError(f"{path} is not the folder of a run but a file")
    run = RunDirectory(path)
    if not run.config_path.is_file():
        raise InputError(f"{path} is not a run of Tondo: it has no config.json")
    read_config(run)
    return run


def read_config(run: RunDirectory) -> dict[str, Any]:
    """`config.json` as a dict, as this version writes it. Raises InputError if it is missing,
    damaged or not Tondo's."""
    config = read_json(run.config_path, MAX_JSON_BYTES)
    if "tondo" not in config:
        raise InputError(f'{run.config_path} is not the config of a run: it has no "tondo" entry')
    return migrated("config", config, {})[0]


def change_config(run: RunDirectory, values: Mapping[str, Any]) -> None:
    """Put `values` into `config.json` beside what it says. Raises InputError, OutputError."""
    stored = read_config(run)
    if any(key not in stored or stored[key] != value for key, value in values.items()):
        write_json(run.config_path, {**stored, **values})


def write_metrics(run: RunDirectory, metrics: Mapping[str, Any]) -> None:
    """Write `metrics.json`. Raises OutputError."""
    write_json(run.metrics_path, dict(metrics))


def read_photos(run: RunDirectory) -> dict[str, Any]:
    """`photos.json` as a dict, empty where there is none. Raises InputError if damaged."""
    return read_json(run.photos_path, MAX_JSON_BYTES) if run.photos_path.exists() else {}


def read_metrics(run: RunDirectory) -> dict[str, Any]:
    """`metrics.json` as a dict, empty where there is none yet. Raises InputError if damaged."""
    return read_json(run.metrics_path, MAX_JSON_BYTES) if run.metrics_path.exists() else {}
