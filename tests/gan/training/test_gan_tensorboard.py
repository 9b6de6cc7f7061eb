"""The curves and pictures of a generator's training, as TensorBoard reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import (
    IMAGES,
    SCALARS,
    EventAccumulator,
)

from one_thread import one_thread
from run_events import read_events
from small_pictures import ball, prepared, write_pictures
from tiny_trainings import tuned
from tondo.gan.objects.contact_sheet import SIDES
from tondo.gan.training import stages
from tondo.gan.training.session import train_generator
from tondo.runs import loop
from tondo.runs.events import GanStep

SMALL = tuned(size=32, poses="turntable", kimg=0.012, batch=4)
SEEDS = 2
CURVES = {
    "loss/d": "loss_d",
    "loss/g": "loss_g",
    "score/real": "real",
    "score/fake": "fake",
    "gradient/d": "grad_d",
    "gradient/g": "grad_g",
    "augment_p": "augment_p",
    "memory_mb": "memory",
}


@pytest.fixture(scope="module", autouse=True)
def telling_everything() -> Iterator[None]:
    """Every step, and few samples."""
    with one_thread(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "EVENT_SECONDS", 0.0)
        patch.setattr(loop, "PICTURE_REST", 0.0)
        patch.setattr(stages.AdversarialTraining, "picture_seconds", 0.0)
        patch.setattr(stages, "GRID_SEEDS", SEEDS)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of three steps."""
    folder = tmp_path_factory.mktemp("curves")
    balls = write_pictures(folder / "balls", [ball(k) for k in range(20)])
    train_generator(prepared(balls, folder / "set", 32), folder / "run", SMALL)
    return folder / "run"


def read(run: Path) -> EventAccumulator:
    return EventAccumulator(str(run / "tensorboard"), {SCALARS: 0, IMAGES: 0}).Reload()


def steps_of(run: Path) -> list[GanStep]:
    return [e for e in read_events(run / "events.jsonl") if isinstance(e, GanStep)]


def test_every_curve_has_a_value_for_every_step(run: Path) -> None:
    """The same as in events.jsonl."""
    found, steps = read(run), steps_of(run)
    assert [e.step for e in steps] == [1, 2, 3]
    assert set(found.Tags()["scalars"]) == {*CURVES, "kimg"}
    for tag, name in CURVES.items():
        values = found.Scalars(tag)
        assert [v.step for v in values] == [1, 2, 3], tag
        wanted = [getattr(e, name) for e in steps]
        assert [v.value for v in values] == pytest.approx(wanted, rel=1e-5), tag
    assert [v.value for v in found.Scalars("kimg")] == pytest.approx([0.004, 0.008, 0.012])
    assert all(v.value > 0 for tag in ("gradient/d", "gradient/g") for v in found.Scalars(tag))


def test_samples_are_shown_with_their_depth(run: Path) -> None:
    """At every step and at the end: each seed from eight sides, and below it how far away it is."""
    found = read(run)
    assert found.Tags()["images"] == ["samples"]
    pictures = found.Images("samples")
    assert [p.step for p in pictures] == [1, 2, 3, 3]
    for picture in pictures:
        assert (picture.width, picture.height) == (SIDES * 32, 2 * SEEDS * 32)
        assert picture.encoded_image_string.startswith(b"\x89PNG")
    assert len({p.encoded_image_string for p in pictures[:3]}) == 3, "it learns"


def test_curves_of_a_training_that_goes_on_have_no_gap(run: Path) -> None:
    """Nothing that was drawn before is hidden, and nothing is drawn twice."""
    train_generator(run.parent / "set", run, replace(SMALL, kimg=0.020), resume=True)
    assert [e.step for e in steps_of(run)] == [1, 2, 3, 4, 5]
    found = read(run)
    for tag in CURVES:
        assert [v.step for v in found.Scalars(tag)] == [1, 2, 3, 4, 5], tag
