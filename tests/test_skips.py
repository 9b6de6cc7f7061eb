"""The table of skipped tests itself."""

from __future__ import annotations

import pytest

from skips import faults, reason_of

TABLE = {"needs a GPU": 3, "needs Node": 1}


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skips.SKIPS", TABLE)


def test_all_or_none_of_the_whole_suite() -> None:
    assert faults(["needs a GPU and CUDA"] * 3, whole=True) == []
    assert faults([], whole=True) == []
    (line,) = faults(["needs a GPU and CUDA"] * 2 + ["needs Node"], whole=True)
    assert line == "'needs a GPU': 2 tests skipped, tests/skips.py has 3"


def test_a_part_of_the_suite_skips_no_more_than_the_whole() -> None:
    assert faults(["needs a GPU and CUDA"] * 2, whole=False) == []
    assert len(faults(["needs Node"] * 2, whole=False)) == 1


def test_an_unknown_reason_is_a_fault() -> None:
    (line,) = faults([reason_of(("test_x.py", 3, "Skipped: too slow today"))], whole=False)
    assert line.endswith("does not know: too slow today")
