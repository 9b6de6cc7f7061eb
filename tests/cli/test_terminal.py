"""Progress where there is no terminal: lines in a log."""

from __future__ import annotations

import pytest

from tondo.cli import terminal
from tondo.cli.terminal import Screen


def test_a_log_gets_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pytest's stderr is no terminal. A training that goes on at 20 % begins its clock there."""
    now = [100.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    screen = Screen()
    for second in range(91):
        now[0] = 100.0 + second
        screen.show("training", 0.2 + second / 900, 1.0, "40/s")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "training, 23 %, 11:30 left, 40/s",
        "training, 27 %, 11:00 left, 40/s",
        "training, 30 %, 10:30 left, 40/s",
    ]
    now[0] += 40
    screen.show("frames", 0, 7)
    assert capsys.readouterr().err == "frames, 0 %\n"
