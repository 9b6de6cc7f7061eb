"""Events survive the round trip and a killed writer."""

from __future__ import annotations

import json
import math
from pathlib import Path

from run_events import read_events
from tondo.runs.events import Evaluation, Note, Saved, Step, append_event
from tondo.runs.run_directory import RunDirectory, create_run


def new_run(tmp_path: Path) -> RunDirectory:
    return create_run(tmp_path / "run", {"tondo": "0.1.0"})


def test_every_kind_comes_back(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    events = [
        Note(0, "begonnen: süß", 0.0),
        Step(10, 0.25, 21.5, 9_000, 1.5, 412.0),
        Step(20, 0.20, None, 9_100, 3.0, 413.0),
        Saved(20, "checkpoints/step-00000020.safetensors", 3.1),
        Evaluation(20, 23.4, 0.8, None, 7, 3.3),
    ]
    for event in events:
        append_event(run, event)
    assert read_events(run.events_path) == events
    second = json.loads(run.events_path.read_text().splitlines()[1])
    assert second == {
        "event": "step",
        "step": 10,
        "loss": 0.25,
        "psnr": 21.5,
        "splats": 9_000,
        "seconds": 1.5,
        "memory": 412.0,
    }


def test_nan_becomes_null(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    append_event(run, Step(1, math.nan, math.inf, 5, 0.1, 1.0))
    assert json.loads(run.events_path.read_text())["loss"] is None


def test_a_half_written_line_harms_no_other(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    append_event(run, Note(1, "before", 0.1))
    with open(run.events_path, "ab") as file:
        file.write(b'{"event": "step", "st\xc3')
    append_event(run, Note(2, "after", 0.2))
    assert read_events(run.events_path) == [Note(1, "before", 0.1), Note(2, "after", 0.2)]


def test_events_of_later_versions_are_passed_over(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.events_path.write_text('{"event": "future", "step": 1}\n[]\n7\n{"event": "note"}\n')
    assert read_events(run.events_path) == []
