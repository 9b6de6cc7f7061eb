"""Every public function has an example in its docstring, which runs as written."""

from __future__ import annotations

import doctest
import inspect
from pathlib import Path

import pytest

import tondo

FUNCTIONS = sorted(n for n in tondo.__all__ if inspect.isfunction(getattr(tondo, n)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_runs(name: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    (test,) = doctest.DocTestFinder(recurse=False).find(getattr(tondo, name), name, globs={})
    assert test.examples, "no example"
    told: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=told.append)
    assert not told, "".join(told)
