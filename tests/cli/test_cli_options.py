"""Option values say what was expected and what came."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import pytest

from tondo.cli.options import color, positive_float, positive_int


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (positive_int, "480", 480),
        (positive_float, "0.5", 0.5),
        (color, "white", (1.0, 1.0, 1.0)),
        (color, "black", (0.0, 0.0, 0.0)),
        (color, "0.1, 0.25,1", (0.1, 0.25, 1.0)),
    ],
)
def test_good_values(kind: Callable[[str], Any], text: str, value: object) -> None:
    assert kind(text) == value


@pytest.mark.parametrize(
    ("kind", "texts", "expected"),
    [
        (positive_int, ["0", "-1", "4.5", "", "many"], "a whole number of at least 1"),
        (positive_float, ["0", "-1", "nan", "inf", "", "1e999"], "a number above 0"),
        (
            color,
            ["red", "1,1", "1,1,1,1", "0,0,2", "nan,0,0", "255,255,255", ""],
            "white, black or r,g,b with three numbers from 0 to 1",
        ),
    ],
)
def test_bad_values(kind: Callable[[str], Any], texts: list[str], expected: str) -> None:
    for text in texts:
        with pytest.raises(argparse.ArgumentTypeError) as caught:
            kind(text)
        assert str(caught.value) == f"expected {expected}, got {text!r}"
