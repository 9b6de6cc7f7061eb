"""The few error classes. Exit status: 2 for `TondoError` (the user's), 1 for the rest (ours)."""

from __future__ import annotations

import dataclasses
import math
import numbers
import typing


class TondoError(Exception):
    """Something the user gave or asked for cannot work.

    The message says which input, what was expected, what came, and what to do, in one or two
    sentences. The command line prints it alone (no traceback) and exits with status 2.
    """


class InputError(TondoError):
    """A file or folder from outside is missing, damaged, hostile or of the wrong kind."""


class OptionError(TondoError):
    """An option or argument has a value that cannot be used."""


class OutputError(TondoError):
    """The place for the results cannot be written, is full, or holds something already."""


class MissingPartError(TondoError):
    """An optional part is not installed. The message names the command that installs it."""


def check_number(
    name: str, value: float | None, least: float, most: float = math.inf, *, above: bool = False
) -> None:
    """Raise OptionError unless the option `name` is None or from `least` to `most`; with `above`,
    `least` itself is not allowed."""
    if value is None:
        return
    if not isinstance(value, numbers.Real):
        raise OptionError(f"`{name}` must be a number, got {value!r}")
    if (least < value if above else least <= value) and value <= most:
        return
    low, high, got = (f"{x:g}" if isinstance(x, float) else str(x) for x in (least, most, value))
    if math.isinf(most):
        wanted = f"above {low}" if above else f"at least {low}"
    else:
        wanted = f"above {low}, at most {high}" if above else f"from {low} to {high}"
    raise OptionError(f"`{name}` must be {wanted}, got {got}")


def check_holdout(holdout: int) -> None:
    """Raise OptionError unless every `holdout`-th photo can be kept, and others be left."""
    check_number("holdout", holdout, 0)
    if holdout == 1:
        raise OptionError("`holdout` must be 0 (none) or at least 2, got 1")


def check_choices(record: object) -> None:
    """Raise OptionError unless each field of an options record that is a Literal (or None) holds
    one of its values, each that is a record such a record, and each tuple more than a bare word."""
    for name, kind in typing.get_type_hints(type(record)).items():
        parts = typing.get_args(kind) if type(None) in typing.get_args(kind) else (kind,)
        found = getattr(record, name)
        is_record = isinstance(kind, type) and dataclasses.is_dataclass(kind)
        if is_record and not isinstance(found, kind):
            raise OptionError(f"`{name}` must be a {kind.__name__}, got {found!r}")
        if typing.get_origin(kind) is tuple and not isinstance(found, tuple | list):
            raise OptionError(f"`{name}` must be a tuple such as ({found!r},), got {found!r}")
        for part in parts:
            known = typing.get_args(part) if typing.get_origin(part) is typing.Literal else ()
            if known and found is not None and found not in known:
                words = ", ".join(map(str, known))
                raise OptionError(f"`{name}` must be one of {words}, got {found!r}")
