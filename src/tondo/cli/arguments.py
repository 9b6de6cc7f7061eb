"""argparse from option records: a field's name is its flag, its entry under `Attributes:` its help.

Imports neither torch nor numpy, and neither may a module whose record is read here: `--help` is
answered at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import math
import re
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from tondo.cli.terminal import Screen

R = TypeVar("R")
_METAVARS: dict[Any, str] = {int: "N", float: "X", str: "TEXT", Path: "PATH"}
_ENTRY = re.compile(r"^    (\w+): (.*)$")
_OPTION = re.compile(r"`(?P<name>[a-z_][a-z0-9_.]*)(=(?P<value>[^`]+))?`")


@dataclass(frozen=True)
class Flag:
    """How a field is typed where its name and type do not say.

    Attributes:
        names: flags instead of the one of the field's name.
        metavar: what stands for the value in the help.
        parse: makes the value of a word; raises argparse.ArgumentTypeError.
        needed: it must be given, though the field has a default.
        fixed: it cannot be set on the command line.
    """

    names: tuple[str, ...] = ()
    metavar: str | None = None
    parse: Callable[[str], Any] | None = None
    needed: bool = False
    fixed: bool = False


@dataclass(frozen=True)
class Verb:
    """A command.

    Attributes:
        record: what is typed, a frozen dataclass: fields without a default are needed, those of a
            nested record called `options` stand among the others. Its docstring begins with the
            command's description.
        run: does it, with the record.
        flags: exceptions, by the field's name.
        groups: nested records whose fields are flags too, by their name the title that they stand
            under in the help.
    """

    record: type[Any]
    run: Callable[[Any, Typed], None]
    flags: Mapping[str, Flag] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Typed:
    """What a command gets beside its record.

    Attributes:
        given: fields that were typed, as dotted names below the record ("options.max_size").
        respelled: makes a message's `max_size` a --max-size.
    """

    given: frozenset[str]
    respelled: Callable[[str], str]

    @property
    def options(self) -> frozenset[str]:
        """`given` of the record `options`, by their names in it."""
        return frozenset(name.removeprefix("options.") for name in self.given)

    def screen(self) -> Screen:
        """What shows the work."""
        from tondo.cli.terminal import Screen  # slower than all the rest of help

        return Screen(self.respelled)


@dataclass(frozen=True)
class Option:
    """One field of a verb's record: its dotted `path`, resolved type `kind`, default, its entry in
    the docstring `about`, the title of its `group`, and how it is typed."""

    path: str
    kind: Any
    default: Any
    about: str
    group: str
    flag: Flag

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def is_positional(self) -> bool:
        return self.default is dataclasses.MISSING and "." not in self.path and not self.flag.names

    @property
    def names(self) -> tuple[str, ...]:
        return self.flag.names or ("--" + self.name.replace("_", "-"),)

    @property
    def typed(self) -> str:
        """Flag and value."""
        values = get_args(self.kind) if get_origin(self.kind) is Literal else (self.metavar,)
        return f"{self.names[0]} {'|'.join(map(str, values))}"

    @property
    def spelling(self) -> str:
        """How a sentence names it."""
        return self.metavar if self.is_positional else self.names[-1]

    @property
    def metavar(self) -> str:
        kind = get_args(self.kind)[0] if get_origin(self.kind) is tuple else self.kind
        return self.flag.metavar or _METAVARS.get(kind, "VALUE")


def options_of(verb: Verb) -> list[Option]:
    """Every field of the verb's record that can be typed, in the order of the help."""
    return list(_walked(verb, verb.record, "", ""))


def _walked(verb: Verb, record: type, path: str, group: str) -> Iterator[Option]:
    kinds, about = get_type_hints(record), entries(record)
    for one in dataclasses.fields(record):
        flag = verb.flags.get(one.name) or FLAGS.get(one.name, Flag())
        kind = _without_none(kinds[one.name])
        if flag.fixed:
            continue
        if not dataclasses.is_dataclass(kind):
            default = dataclasses.MISSING if flag.needed else one.default
            text = about.get(one.name, "")
            yield Option(path + one.name, kind, default, text, group, flag)
        elif one.name == "options" or one.name in verb.groups:
            inner = verb.groups.get(one.name, group)
            yield from _walked(verb, kind, f"{path}{one.name}.", inner)  # type: ignore[arg-type]


def _without_none(kind: Any) -> Any:
    """X of X | None; Path of str | Path."""
    if get_origin(kind) not in (Union, types.UnionType):
        return kind
    left = [one for one in get_args(kind) if one is not type(None)]
    if Path in left:
        return Path
    return left[0] if len(left) == 1 else kind


def entries(record: type) -> dict[str, str]:
    """What the docstring's `Attributes:` say of each field, on one line."""
    _, _, text = (inspect.getdoc(record) or "").partition("\nAttributes:\n")
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if entry := _ENTRY.match(line):
            name, found[entry[1]] = entry[1], entry[2]
        elif line.startswith("        ") and name:
            found[name] += " " + line.strip()
        elif line.strip():
            break
    return found


def description(record: type) -> str:
    """What the docstring says before the fields."""
    text = (inspect.getdoc(record) or "").partition("\nAttributes:\n")[0]
    return " ".join(text.split())


def add_options(parser: argparse.ArgumentParser, verb: Verb) -> None:
    """Every field that can be typed as an argument of `parser`."""
    options = options_of(verb)
    respell = respeller(spellings(options))
    needed = [one for one in options if one.default is dataclasses.MISSING]
    words = [one.metavar if one.is_positional else one.typed for one in needed]
    parser.usage = " ".join([parser.prog, *words, "[options]"])
    groups: dict[str, argparse._ActionsContainer] = {"": parser}
    for one in options:
        if one.group not in groups:
            groups[one.group] = parser.add_argument_group(one.group)
        _add(groups[one.group], one, respell)


def _add(place: argparse._ActionsContainer, one: Option, respell: Callable[[str], str]) -> None:
    shown = respell(help_text(one)).replace("%", "%%")
    if one.is_positional:
        place.add_argument(one.path, metavar=one.metavar, type=_parse(one), help=shown)
        return
    how: dict[str, Any] = {
        "dest": one.path,
        "default": argparse.SUPPRESS,
        "help": shown,
        "required": one.default is dataclasses.MISSING,
    }
    origin, inside = get_origin(one.kind), get_args(one.kind)
    if one.kind is bool:
        place.add_argument(*one.names, action="store_true", **how)
    elif one.flag.parse is None and origin is Literal:
        place.add_argument(*one.names, choices=inside, type=type(inside[0]), **how)
    elif one.flag.parse is None and origin is tuple and inside[0] is str:
        place.add_argument(*one.names, action="append", metavar=one.metavar, **how)
    else:
        place.add_argument(*one.names, type=_parse(one), metavar=one.metavar, **how)


def help_text(option: Option) -> str:
    """The entry of the docstring, with the default in its one form: "number of CPU threads; None:
    all cores." becomes "number of CPU threads (default: all cores)"."""
    text = option.about.removesuffix(".")
    text, _, unset = text.partition("; None: ")
    worthless = option.default is dataclasses.MISSING or isinstance(option.default, bool)
    default = "" if worthless else unset if option.default is None else shown_value(option.default)
    return f"{text} (default: {default})" if default else text


def shown_value(value: Any) -> str:
    """An option's value as it is typed."""
    if isinstance(value, tuple):
        whole = len(value) > 2 and all(isinstance(part, int) for part in value)
        if whole and value == tuple(range(value[0], value[-1] + 1)):
            return f"{value[0]}-{value[-1]}"
        return ",".join(map(shown_value, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parse(option: Option) -> Callable[[str], Any]:
    """Makes the value of a word."""
    if option.flag.parse is not None:
        return option.flag.parse
    kind, inside = option.kind, get_args(option.kind)
    if get_origin(kind) is tuple:
        return lambda text: tuple(_number(inside[0], part) for part in text.split(","))
    if kind in (int, float):
        return lambda text: _number(kind, text)
    return Path if kind is Path else str


def _number(kind: type, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise argparse.ArgumentTypeError(f"expected {what}, got {text!r}") from None


def record_of(record: type[R], found: argparse.Namespace) -> tuple[R, frozenset[str]]:
    """The record that was typed, and the dotted names of the fields that were."""
    values = {name: _tupled(value) for name, value in vars(found).items() if value is not None}
    return _filled(record, values, ""), frozenset(values)


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _filled(record: type[R], values: Mapping[str, Any], path: str) -> R:
    own: dict[str, Any] = {}
    for name, kind in get_type_hints(record).items():
        if path + name in values:
            own[name] = values[path + name]
        elif any(other.startswith(f"{path}{name}.") for other in values):
            own[name] = _filled(_without_none(kind), values, f"{path}{name}.")
    return record(**own)


def spellings(options: list[Option]) -> dict[str, str]:
    """How each option is typed, by its name in Python and by its dotted name below `options`."""
    found = {}
    for one in options:
        found[one.name] = found[one.path.removeprefix("options.")] = one.spelling
    return found


def respeller(spelled: Mapping[str, str]) -> Callable[[str], str]:
    """Makes `max_size` of a message --max-size, `size=64` --size 64, and `force=True` --force."""

    def respelled(match: re.Match[str]) -> str:
        flag, value = spelled.get(match["name"]), match["value"]
        if flag is None:
            return match[0]
        return flag if value in (None, "True") else f"{flag} {value}"

    return lambda text: _OPTION.sub(respelled, text)


def color(text: str) -> tuple[float, float, float]:
    """sRGB 0..1 from "white", "black" or "r,g,b"."""
    named = {"white": (1.0, 1.0, 1.0), "black": (0.0, 0.0, 0.0)}
    if text in named:
        return named[text]
    found = _three(text)
    if found is not None and all(0 <= value <= 1 for value in found):
        return found
    raise argparse.ArgumentTypeError(
        f"expected white, black or r,g,b with three numbers from 0 to 1, got {text!r}"
    )


def _three(text: str) -> tuple[float, float, float] | None:
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        return None
    return x, y, z


def direction(text: str) -> tuple[float, float, float]:
    """A unit vector from "z", "-y" or "x,y,z"."""
    word = text.strip().lower().removeprefix("+")
    if word.removeprefix("-") in ("x", "y", "z"):
        sign = -1.0 if word.startswith("-") else 1.0
        x, y, z = (sign if word[-1] == axis else 0.0 for axis in "xyz")
        return x, y, z
    x, y, z = _three(text) or (0.0, 0.0, 0.0)
    length = math.sqrt(x * x + y * y + z * z)
    if 1e-6 < length < 1e6:
        return x / length, y / length, z / length
    raise argparse.ArgumentTypeError(f"expected a direction such as z, -y or 0,0,1, got {text!r}")


# Of fields that several commands have, where a command says nothing else.
FLAGS = {
    "run": Flag(metavar="RUN"),
    "photos": Flag(metavar="PHOTOS"),
    "generator": Flag(metavar="RUN|NAME"),
    "cameras": Flag(metavar="FILE"),
    "features": Flag(metavar="NET"),
    "masks": Flag(metavar="auto|none|DIR"),
    "up": Flag(metavar="DIR", parse=direction),
}
