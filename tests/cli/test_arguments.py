"""Options of the command line are made from records: help, defaults, values, and back."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from tondo.cli.arguments import (
    Flag,
    Verb,
    add_options,
    color,
    description,
    direction,
    entries,
    options_of,
    record_of,
    respeller,
    spellings,
)


@dataclass(frozen=True)
class Inner:
    """Beneath.

    Attributes:
        depth: how deep; None: as deep
            as can be.
        rate: how fast, 100 %.
    """

    depth: float | None = None
    rate: float = 1e-4


@dataclass(frozen=True)
class Options:
    """How.

    Attributes:
        size: image size in pixels.
        kind: instead of `size`.
        names: of things; may be repeated.
        times: in seconds.
        inner: a group.
        hidden: for Python.
    """

    size: int = 64
    kind: Literal["plain", "fancy"] = "plain"
    names: tuple[str, ...] = ()
    times: tuple[float, ...] = (1.0, 2.5)
    inner: Inner = field(default_factory=Inner)
    hidden: Inner = field(default_factory=Inner)


@dataclass(frozen=True)
class Command:
    """Do it
    well.

    Attributes:
        source: what is there.
        output: folder to make.
        options: how.
        force: replace what is there.
    """

    source: str | Path
    output: Path
    options: Options = field(default_factory=Options)
    force: bool = False


def verb(**flags: Flag) -> Verb:
    flags = {"source": Flag(metavar="IN"), "output": Flag(("-o", "--output"), "DIR"), **flags}
    return Verb(Command, lambda command, typed: None, flags, {"inner": "a group of its own"})


def parser_of(verb: Verb) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("do", formatter_class=lambda prog: _wide(prog))
    add_options(parser, verb)
    return parser


def _wide(prog: str) -> argparse.HelpFormatter:
    return argparse.HelpFormatter(prog, width=200, max_help_position=40)


def typed(*words: str, **flags: Flag) -> tuple[Command, frozenset[str]]:
    return record_of(Command, parser_of(verb(**flags)).parse_args(words))


def test_the_help_is_the_records_own_words() -> None:
    text = " ".join(parser_of(verb()).format_help().split())
    assert text.startswith("usage: do IN -o DIR [options]")
    for part in (
        "IN what is there",
        "--size N image size in pixels (default: 64)",
        "--kind {plain,fancy} instead of --size (default: plain)",
        "--names TEXT of things; may be repeated --times",
        "--times X in seconds (default: 1,2.5)",
        "--force replace what is there",
        "a group of its own: --depth X how deep (default: as deep as can be)",
        "--rate X how fast, 100 % (default: 0.0001)",
    ):
        assert part in text, part
    assert "hidden" not in text
    assert description(Command) == "Do it well."
    assert entries(Inner) == {
        "depth": "how deep; None: as deep as can be.",
        "rate": "how fast, 100 %.",
    }


def test_what_is_typed_becomes_the_record() -> None:
    assert typed("a", "-o", "b") == (Command(Path("a"), Path("b")), {"source", "output"})
    words = "a --output b --size 5 --names x --names y --times 3,4 --kind fancy --rate 2 --force"
    command, given = typed(*words.split())
    options = Options(5, "fancy", ("x", "y"), (3.0, 4.0), Inner(rate=2.0))
    assert command == Command(Path("a"), Path("b"), options, force=True)
    assert {"options.size", "options.inner.rate", "force"} < given
    assert "options.inner.depth" not in given


def test_exceptions_are_in_one_table() -> None:
    command, _ = typed("a", "-o", "b", "--much", "3", size=Flag(("--much",), parse=lambda t: 9))
    assert command.options.size == 9
    with pytest.raises(SystemExit):
        typed("a", "-o", "b", "--size", "3", size=Flag(fixed=True))
    with pytest.raises(SystemExit):
        typed("a", "-o", "b", kind=Flag(needed=True))
    assert "IN -o DIR --kind plain|fancy [" in parser_of(verb(kind=Flag(needed=True))).usage


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--size 4.5", "argument --size: expected a whole number, got '4.5'"),
        ("--rate much", "argument --rate: expected a number, got 'much'"),
        ("--times 1,b", "argument --times: expected a number, got 'b'"),
        ("--kind odd", "argument --kind: invalid choice: 'odd'"),
    ],
)
def test_what_is_no_value(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        typed("a", "-o", "b", *words.split())
    assert said in capsys.readouterr().err


def test_messages_name_flags() -> None:
    known = spellings(options_of(verb(kind=Flag(("--as",)))))
    respelled = respeller(known)
    assert respelled("`size` must be 3, `inner.rate` too") == "--size must be 3, --rate too"
    assert respelled("give `kind=fancy` or `force=True`") == "give --as fancy or --force"
    assert respelled("`output` is `source`; `tondo do`, `other`") == (
        "--output is IN; `tondo do`, `other`"
    )


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (color, "white", (1.0, 1.0, 1.0)),
        (color, "black", (0.0, 0.0, 0.0)),
        (color, "0.1, 0.25,1", (0.1, 0.25, 1.0)),
        (direction, "-y", (0.0, -1.0, 0.0)),
    ],
)
def test_good_values(kind: Callable[[str], Any], text: str, value: object) -> None:
    assert kind(text) == value


def test_bad_colors() -> None:
    for text in ["red", "1,1", "1,1,1,1", "0,0,2", "nan,0,0", "255,255,255", ""]:
        with pytest.raises(argparse.ArgumentTypeError) as caught:
            color(text)
        expected = "expected white, black or r,g,b with three numbers from 0 to 1"
        assert str(caught.value) == f"{expected}, got {text!r}"
