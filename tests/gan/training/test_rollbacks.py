"""A training that breaks down: once it goes back and is more careful, twice is the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from one_thread import one_thread
from run_events import read_events
from small_pictures import training_set_of_balls
from tiny_trainings import tuned
from tondo.cli.main import main
from tondo.gan.files.generator_file import load_generator
from tondo.gan.training import divergence, stages
from tondo.gan.training.divergence import BrokenTraining
from tondo.gan.training.session import train_generator
from tondo.gan.training.state import TrainInputs, TrainState
from tondo.runs.checkpoints import load_latest_checkpoint
from tondo.runs.events import GanStep, Note
from tondo.runs.run_directory import open_run
from tondo.runs.watch import Watch

CONFIG = tuned(batch=4, decay=0.0)  # even rates, that halves may be seen
SMALL = tuned(CONFIG, size=32, poses="turntable", kimg=0.016, checkpoint_seconds=0.0)
RATES = [
    CONFIG.adversarial.lr_g,
    CONFIG.autoencoder.lr_encoder,
    CONFIG.adversarial.lr_d,
]
HALF = [0.5 * rate for rate in RATES]
COLLAPSED = "the samples have become alike (spread 0.000, expected at least 0.02)"
SURE = "the discriminator has become sure of itself: the generator learns no more"

Spoil = Callable[[int], None]


@pytest.fixture(scope="module", autouse=True)
def calmly() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training set of balls."""
    return training_set_of_balls(tmp_path_factory.mktemp("setbacks"))


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[float]]]:
    """Every step that is taken, with the rates of G, of the codes and of D."""
    real_step, steps = stages.one_step, []

    def step(state: TrainState, inputs: TrainInputs) -> GanStep:
        groups = [*state.opt_g.param_groups, *state.opt_d.param_groups]
        report = real_step(state, inputs)
        steps.append((report.step, [group["lr"] for group in groups]))
        return report

    monkeypatch.setattr(stages, "one_step", step)
    monkeypatch.setattr(stages, "GRID_SEEDS", 1)
    return steps


@pytest.fixture
def collapse(monkeypatch: pytest.MonkeyPatch) -> Spoil:
    """Call it with n: after step 2 the samples are found alike, n times."""

    def spoil(times: int) -> None:
        left = [0.0] * times
        monkeypatch.setattr(divergence, "BEFORE", 8)
        monkeypatch.setattr(divergence, "diversity", lambda _: left.pop() if left else 0.5)

    return spoil


@pytest.fixture
def sure(monkeypatch: pytest.MonkeyPatch, taken: list) -> Spoil:
    """Call it with n: D tells real from generated without a doubt at step 2, n times."""
    stepped = stages.one_step

    def spoil(times: int) -> None:
        monkeypatch.setattr(divergence, "BEFORE", 8)
        monkeypatch.setattr(divergence, "STEPS", 1)
        left = [0.01] * times

        def step(state: TrainState, inputs: TrainInputs) -> GanStep:
            report = stepped(state, inputs)
            ill = report.step == 2 and left
            return replace(report, loss_d=left.pop() if ill else 1.0)

        monkeypatch.setattr(stages, "one_step", step)

    return spoil


@pytest.mark.parametrize(
    ("failure", "words"), [("collapse", COLLAPSED), ("sure", SURE)], ids=["collapse", "sure"]
)
def test_it_goes_back_once_with_half_the_rates_and_ends_well(
    failure: str,
    words: str,
    pictures: Path,
    tmp_path: Path,
    taken: list,
    request: pytest.FixtureRequest,
) -> None:
    """To the step before; all that it said is in the run, and so is a generator."""
    request.getfixturevalue(failure)(1)
    told: list[str] = []
    result = train_generator(pictures, tmp_path / "run", SMALL, watch=Watch(note=told.append))
    assert [step for step, _ in taken] == [1, 2, 2, 3, 4]
    assert [rates for _, rates in taken] == [RATES] * 2 + [pytest.approx(HALF)] * 3
    (back,) = [text for text in told if "going back" in text]
    assert back.startswith(words)
    assert "half the rates" in back
    assert "0.0 thousand pictures" in back
    assert result.summary["steps"] == 4
    assert result.model.card.kimg == pytest.approx(0.016)
    events = read_events(tmp_path / "run" / "events.jsonl")
    assert [e.message for e in events if isinstance(e, Note)] == [words]
    checkpoint = load_latest_checkpoint(open_run(tmp_path / "run"))
    assert checkpoint is not None
    assert checkpoint.state["rollbacks"] == 1
    found = load_generator(tmp_path / "run" / "generator.safetensors").generator
    assert all(bool(torch.isfinite(p).all()) for p in found.parameters())


def test_rates_fall_over_the_end_also_where_it_goes_on(
    pictures: Path, tmp_path: Path, taken: list
) -> None:
    """By the share of the whole that is done, in one go and after a stop."""
    options = tuned(SMALL, decay=0.5)
    train_generator(pictures, tmp_path / "run", options)
    shares = [1.0, 1.0, 1.0, 0.5]
    assert taken == [(i + 1, pytest.approx([x * r for r in RATES])) for i, x in enumerate(shares)]
    taken.clear()
    train_generator(pictures, tmp_path / "run", replace(options, kimg=0.024), resume=True)
    shares = [4 / 6, 1 / 3]
    assert taken == [(i + 5, pytest.approx([x * r for r in RATES])) for i, x in enumerate(shares)]


def test_a_training_that_went_back_is_careful_when_it_goes_on(
    pictures: Path, tmp_path: Path, taken: list, collapse: Spoil
) -> None:
    """Resumed, its rates are still half of the config's."""
    collapse(1)
    train_generator(pictures, tmp_path / "run", replace(SMALL, kimg=0.008))
    taken.clear()
    train_generator(pictures, tmp_path / "run", replace(SMALL, kimg=0.012), resume=True)
    assert taken == [(3, pytest.approx(HALF))]


@pytest.mark.parametrize(
    ("failure", "words"), [("collapse", COLLAPSED), ("sure", SURE)], ids=["collapse", "sure"]
)
def test_the_second_time_is_the_end_and_says_what_to_try(
    failure: str,
    words: str,
    pictures: Path,
    tmp_path: Path,
    taken: list,
    request: pytest.FixtureRequest,
) -> None:
    """The generator of the last good checkpoint is kept."""
    request.getfixturevalue(failure)(2)
    with pytest.raises(BrokenTraining) as caught:
        train_generator(pictures, tmp_path / "run", SMALL)
    assert [step for step, _ in taken] == [1, 2, 2]
    said = str(caught.value)
    assert said.startswith(f"{words}, again.")
    assert str(tmp_path / "run" / "generator.safetensors") in said
    assert all(word in said for word in ("What to try:", "`r1_gamma`", "`lr_d`", "`seed`"))
    kept = load_generator(tmp_path / "run" / "generator.safetensors")
    assert kept.card.kimg == pytest.approx(0.004)


def test_the_command_line_ends_with_the_advice(
    pictures: Path,
    tmp_path: Path,
    taken: list,
    collapse: Spoil,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit status 2 and one message."""
    collapse(2)
    words = ["train", str(pictures), "-o", str(tmp_path / "run"), "--size", "32", "--batch", "4"]
    words += ["--kimg", "0.016", "--poses", "turntable", "--checkpoint-seconds", "0"]
    assert main(words) == 2
    said = capsys.readouterr()
    assert "going back, with half the rates" in said.out
    assert said.err.startswith(f"tondo: error: {COLLAPSED}, again.")
    assert "What to try:" in said.err
    assert "Traceback" not in said.err
