"""Option records in a run's `config.json`, and what of them counts where the run goes on."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from tondo._version import __version__
from tondo.errors import InputError, OptionError
from tondo.runs.run_directory import RunDirectory, read_config

R = TypeVar("R")
METHODS = ("splats", "nerf")  # of which a run uses one, and keeps the options of that one
LENGTH = ("steps", "minutes", "kimg")  # what says how long a run is; one that goes on may be longer


def config_of(
    command: str, source: Path, options: Any, leave_out: Collection[str]
) -> dict[str, Any]:
    """`config.json`: everything needed to repeat the run.

    Args:
        options: a dataclass of options, which may hold others.
        leave_out: fields of it that belong to the machine and not to the run.
    """
    stored = {k: v for k, v in dataclasses.asdict(options).items() if k not in leave_out}
    about = {"tondo": __version__, "command": command}
    return {**about, "source": str(Path(source).absolute()), **stored}


def stored_options(
    run: RunDirectory, command: str, asked: R, now: Collection[str]
) -> tuple[R, Path]:
    """The options that a run was started with, and where its photographs were.

    Args:
        asked: what is asked for now. Its fields named in `now`, which no config holds, are taken;
            and its length (`LENGTH`) where it says one.

    Raises:
        InputError: the run is of another command, or its config is damaged or of another version.
    """
    config = read_config(run)
    if config.get("command") != command:
        raise InputError(
            f"{run.path} is a run of `tondo {config.get('command', '?')}`, not of `tondo {command}`"
        )
    try:
        fields = {one.name for one in dataclasses.fields(asked)} - set(now)  # type: ignore[arg-type]
        stored = {name: config[name] for name in fields - _unused(asked, config.get("method"))}
        begun = restored(type(asked), stored)
        begun = dataclasses.replace(begun, **{name: getattr(asked, name) for name in now})
        source = Path(config["source"])
    except (KeyError, TypeError, ValueError, OptionError) as error:
        raise InputError(
            f"{run.config_path} is not the config of a run of this version ({error!r}): start "
            "again with `force`, or go on with the version that it was started with"
        ) from error
    length = {name: getattr(asked, name) for name in LENGTH if hasattr(asked, name)}
    if any(value is not None for value in length.values()):
        begun = dataclasses.replace(begun, **length)  # type: ignore[type-var]
    return begun, source


def _unused(options: Any, method: str | None) -> set[str]:
    """The fields that hold the options of other methods than the one that a run uses."""
    groups = {one.name for one in dataclasses.fields(options) if one.name in METHODS}
    return groups - {method}


def restored(kind: Any, value: Any) -> Any:
    """What `dataclasses.asdict` and JSON made of a value of the type `kind`, again.

    Raises:
        TypeError: it is of another type, or of a record that has other fields.
    """
    origin, inside = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        if isinstance(value, Mapping):
            kinds = get_type_hints(kind)
            if unknown := value.keys() - kinds.keys():
                raise TypeError(f"no setting {min(unknown)!r}")
            return kind(**{name: restored(kinds[name], one) for name, one in value.items()})
    elif origin is Literal:
        if value in inside:
            return value
    elif origin in (Union, types.UnionType):
        for one in inside:
            try:
                return restored(one, value)
            except TypeError:
                continue
    elif origin is tuple:
        if isinstance(value, (list, tuple)):
            each = [inside[0]] * len(value) if inside[-1] is ... else list(inside)
            if len(each) == len(value):
                return tuple(restored(k, one) for k, one in zip(each, value, strict=True))
    elif kind is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    elif type(value) is kind:
        return value
    elif kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"expected {kind}, got {value!r}")


def ignored_options(
    asked: Any, begun: Any, now: Collection[str], given: Collection[str] | None = None
) -> list[str]:
    """A sentence for each option that a run which goes on does not take, since it was started with
    another value.

    Args:
        asked: what is asked for now. begun: what it was started with; the same dataclass.
        now: names of fields that count now, besides `LENGTH`.
        given: which options were said at all, by their names, those of a nested record after the
            name of its field and a dot. None: those that are not the defaults.
    """
    new, old, default = _flat(asked), _flat(begun), _flat(type(asked)())
    unused = _unused(begun, getattr(begun, "method", None))
    sentences = []
    for name, value in new.items():
        field, leaf = name.partition(".")[0], name.rpartition(".")[2]
        is_told = value != default[name] if given is None else name in given
        if field in (*now, *LENGTH) or not is_told or (value == old[name] and field not in unused):
            continue
        if field in unused:
            begun_with = f"with `method={begun.method}`"
        elif isinstance(default[name], bool):
            begun_with = "with it" if old[name] else "without it"
        else:
            begun_with = f"with {_text(old[name])}"
        value = value if isinstance(default[name], bool) else _text(value)
        sentences.append(f"`{leaf}={value}` is ignored: the run was started {begun_with}")
    return sentences


def _flat(options: Any) -> dict[str, Any]:
    """Options by their dotted names."""
    found: dict[str, Any] = {}
    for one in dataclasses.fields(options):
        value = getattr(options, one.name)
        if dataclasses.is_dataclass(value):
            found |= {f"{one.name}.{name}": inner for name, inner in _flat(value).items()}
        else:
            found[one.name] = value
    return found


def _text(value: Any) -> str:
    """An option's value as it is typed."""
    if isinstance(value, (tuple, list)):
        return ",".join(map(_text, value))
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "the default" if value is None else str(value)
