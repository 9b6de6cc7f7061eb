"""Curves and pictures reach TensorBoard's files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tondo.runs.events import Evaluation, Note, Step
from tondo.runs.run_directory import create_run
from tondo.runs.tensorboard import log_event, log_picture, open_tensorboard


def test_curves_and_pictures_are_written(tmp_path: Path) -> None:
    run = create_run(tmp_path / "run", {"tondo": "0.1.0"})
    with open_tensorboard(run) as writer:
        log_event(writer, Step(10, 0.25, None, 900, 1.5, 412.0))
        log_event(writer, Step(20, 0.125, 22.0, 950, 3.0, 412.0))
        log_event(writer, Evaluation(20, 23.5, 0.75, None, 7, 3.0))
        log_event(writer, Note(20, "nothing to draw", 3.0))
        log_picture(writer, "test/0001", torch.rand(12, 17, 3), 20)
    found = EventAccumulator(str(run.tensorboard_dir)).Reload()
    assert [(e.step, e.value) for e in found.Scalars("train/loss")] == [(10, 0.25), (20, 0.125)]
    assert [e.step for e in found.Scalars("train/psnr")] == [20]
    assert found.Scalars("test/psnr")[0].value == pytest.approx(23.5)
    picture = found.Images("test/0001")[0]
    assert (picture.width, picture.height) == (17, 12)
