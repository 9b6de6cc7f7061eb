"""The loop of every run, driven by a method that only counts."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from run_events import read_events
from tondo.errors import InputError, TondoError
from tondo.runs import loop
from tondo.runs.checkpoints import Checkpoint, load_latest_checkpoint, save_checkpoint
from tondo.runs.events import Evaluation, Note, Step
from tondo.runs.horizon import Clock, Horizon
from tondo.runs.method import Method, Report
from tondo.runs.run_directory import RunDirectory, create_run, read_config, read_metrics
from tondo.runs.watch import SILENT, Watch

STEPS = 6


class Counting(Method):
    """Counts; `wrong` at a step is found as often as is said; `stop_at` a step comes a Ctrl-C."""

    picture_seconds = 0.0

    def __init__(self, wrong: dict[int, int] | None = None, stop_at: int = 0) -> None:
        self.own_clock, self.count = Clock(), 0
        super().__init__(self, Horizon(STEPS, None))
        self.wrong, self.stop_at, self.went_back = dict(wrong or {}), stop_at, 0
        self.thorough: list[int] = []
        self.written: list[int] = []

    @property
    def clock(self) -> Clock:
        return self.own_clock

    @property
    def step(self) -> int:
        return self.count

    def fraction(self) -> float:
        return self.horizon.fraction(self.count, self.clock.seconds())

    def advance(self, fraction: float) -> Report:
        assert fraction == self.count / STEPS
        self.count += 1
        if self.count == self.stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        event = Step(self.count, 1 / self.count, None, None, self.clock.seconds())
        return Report(event, self.fraction(), "a third" if self.count == 3 else None)

    def tensors(self) -> dict[str, Tensor]:
        return {"count": torch.tensor(self.count)}

    def facts(self) -> dict[str, Any]:
        return {"went_back": self.went_back}

    def summary(self) -> dict[str, Any]:
        return {"counted": self.count}

    def pictures(self, run: RunDirectory) -> dict[str, Tensor]:
        return {"grey": torch.full((5, 7, 3), self.count / STEPS)}

    def measure(self) -> Evaluation:
        assert self.clock.since is None, "the clock stands still while something is measured"
        return Evaluation(self.count, 20.0, None, None, 1, self.clock.seconds())

    def check(self, *, thorough: bool) -> str | None:
        if thorough:
            self.thorough.append(self.count)
        if self.wrong.get(self.count, 0):
            self.wrong[self.count] -= 1
            return f"{self.count} is wrong"
        return None

    def go_back(self, run: RunDirectory, checkpoint: Checkpoint, reason: str) -> str:
        if self.went_back:
            raise TondoError(f"{reason}, again")
        self.went_back += 1
        self.count = int(checkpoint.tensors["count"])
        self.own_clock = Clock(self.own_clock.seconds())
        return f"{reason}: back to {self.count}"

    def write(self, run: RunDirectory) -> None:
        self.written.append(self.count)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return create_run(tmp_path / "run", {"tondo": "1"})


def events_of(run: RunDirectory, kind: type) -> list[Any]:
    return [event for event in read_events(run.events_path) if isinstance(event, kind)]


def test_every_step_is_told_and_the_end_is_kept(run: RunDirectory) -> None:
    method, told, notes = Counting(), [], []
    watch = Watch(note=notes.append, step=told.append)
    loop.train(run, method, watch, checkpoint_seconds=3600.0)
    assert [report.event.step for report in told] == [1, 2, 3, 4, 5, 6]
    assert told[-1].fraction == 1.0
    assert notes == ["step 3: a third"]
    assert events_of(run, Note)[0].message == "a third"
    last = events_of(run, Step)[-1]
    assert (last.step, last.loss) == (6, 1 / 6)
    assert last.memory > 10
    checkpoint = load_latest_checkpoint(run)
    assert checkpoint is not None
    assert (checkpoint.step, checkpoint.state) == (6, {"went_back": 0})
    assert method.written == method.thorough == [6]
    config = read_config(run)
    assert (config["steps_done"], config["seconds_done"]) == (6, pytest.approx(0, abs=5))
    assert method.clock.since is None
    found = EventAccumulator(str(run.tensorboard_dir), {"images": 0}).Reload()
    steps = [image.step for image in found.Images("grey")]  # more than one, but for what they cost
    assert (steps[0], steps[-1]) == (1, 6)
    summary = loop.finish(run, method, {"test": None})
    assert (summary["steps"], summary["counted"]) == (6, 6)
    assert read_metrics(run) == {"test": None, **summary}


def test_a_checkpoint_after_each_step_and_none_where_nothing_is_left(run: RunDirectory) -> None:
    method = Counting()
    loop.train(run, method, SILENT, checkpoint_seconds=0.0)
    assert method.written == method.thorough == [1, 2, 3, 4, 5, 6]
    loop.train(run, method, SILENT, checkpoint_seconds=0.0)
    assert method.written[-1] == 6
    assert len(method.written) == 6


def test_held_out_photos_are_measured_when_it_is_time(run: RunDirectory) -> None:
    method = Counting()
    loop.train(run, method, SILENT, checkpoint_seconds=1.0, evaluate_at=(1e-9, 2e-9, 3600.0))
    assert [event.step for event in events_of(run, Evaluation)] == [1]


def test_ctrl_c_ends_after_the_step_with_a_checkpoint(run: RunDirectory) -> None:
    method = Counting(stop_at=4)
    with pytest.raises(loop.Interrupted, match="stopped after step 4") as stopped:
        loop.train(run, method, SILENT, checkpoint_seconds=3600.0)
    assert stopped.value.done == "step 4"
    assert method.written == [4]
    assert read_config(run)["steps_done"] == 4
    checkpoint = loop.newest_checkpoint(run, SILENT)
    assert checkpoint is not None
    again, notes = Counting(), []
    again.count = int(checkpoint.tensors["count"])
    loop.say_resumed(run, again, Watch(note=notes.append))
    assert notes == ["going on after step 4"]
    loop.train(run, again, SILENT, checkpoint_seconds=3600.0)
    assert [event.step for event in events_of(run, Step)][-1] == 6
    assert [event.message for event in events_of(run, Note)] == ["a third", "resumed"]


def test_what_goes_wrong_goes_back_to_the_last_checkpoint(
    run: RunDirectory, tmp_path: Path
) -> None:
    method, told, notes = Counting(wrong={2: 1}), [], []
    save_checkpoint(run, 0, {"count": torch.tensor(0)}, {})
    watch = Watch(note=notes.append, step=lambda report: told.append(report.event.step))
    loop.train(run, method, watch, checkpoint_seconds=3600.0)
    assert told == [1, 2, 1, 2, 3, 4, 5, 6]
    assert notes[0] == "2 is wrong: back to 0"
    checkpoint = load_latest_checkpoint(run)
    assert checkpoint is not None
    assert checkpoint.state == {"went_back": 1}
    other = create_run(tmp_path / "other", {"tondo": "1"})
    save_checkpoint(other, 0, {"count": torch.tensor(0)}, {})
    with pytest.raises(TondoError, match="2 is wrong, again"):
        loop.train(other, Counting(wrong={2: 2}), SILENT, checkpoint_seconds=3600.0)


def test_that_it_went_back_is_kept_at_once(run: RunDirectory) -> None:
    save_checkpoint(run, 0, {"count": torch.tensor(0)}, {})
    with pytest.raises(loop.Interrupted):
        loop.train(run, Counting(wrong={2: 1}, stop_at=2), SILENT, checkpoint_seconds=3600.0)
    checkpoint = load_latest_checkpoint(run)
    assert checkpoint is not None
    assert (checkpoint.step, checkpoint.state) == (1, {"went_back": 1})


def test_a_run_whose_beginning_fails_is_abandoned_unless_something_in_it_took_long(
    tmp_path: Path,
) -> None:
    for name, is_new, made, stays in (
        ("a", True, "", False),
        ("b", True, "prepared", True),
        ("c", False, "", True),
    ):
        run = create_run(tmp_path / name, {"tondo": "1"})
        if made:
            (run.path / made).mkdir()
        with pytest.raises(KeyError), loop.beginning(run, is_new=is_new, keep="prepared"):
            raise KeyError
        assert run.path.exists() == stays, name


def test_damaged_and_foreign_checkpoints_are_named(run: RunDirectory) -> None:
    notes: list[str] = []
    watch = Watch(note=notes.append)
    assert loop.newest_checkpoint(run, watch) is None
    assert notes == ["no checkpoint yet: starting from the first step"]
    save_checkpoint(run, 1, {"count": torch.tensor(1)}, {})
    (run.checkpoints_dir / "step-00000002.safetensors").write_bytes(b"cut")
    checkpoint = loop.newest_checkpoint(run, watch)
    assert checkpoint is not None
    assert checkpoint.step == 1
    assert "step-00000002.safetensors" in notes[-1]
    with (
        pytest.raises(InputError, match=r"step 1 in .* is not one of this nerf \('means'\)"),
        loop.restoring(run, checkpoint, "nerf"),
    ):
        checkpoint.tensors["means"]
