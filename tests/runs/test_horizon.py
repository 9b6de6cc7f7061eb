"""How long a training has lasted."""

from __future__ import annotations

import pytest

from tondo.runs import horizon
from tondo.runs.horizon import Clock


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [10.0]
    monkeypatch.setattr(horizon.time, "perf_counter", lambda: now[0])
    return now


def test_a_stopped_clock_goes_on_where_it_was(now: list[float]) -> None:
    clock = Clock(spent=3.0)
    clock.run()
    now[0] = 12.0
    with clock.stopped():
        now[0] = 50.0
        assert clock.seconds() == 5.0
    now[0] = 51.0
    assert clock.seconds() == 6.0


def test_a_paused_clock_stays_paused(now: list[float]) -> None:
    clock = Clock(spent=3.0)
    with clock.stopped():
        now[0] = 20.0
    now[0] = 30.0
    assert clock.seconds() == 3.0


def test_a_clock_goes_on_after_an_error(now: list[float]) -> None:
    clock = Clock()
    clock.run()
    with pytest.raises(KeyError), clock.stopped():
        raise KeyError
    now[0] = 11.0
    assert clock.seconds() == 1.0
