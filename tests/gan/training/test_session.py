"""A training from pictures to a run: what it leaves, resuming, setbacks, wrong options."""

from __future__ import annotations

import json
import math
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from run_events import read_events
from tiny_generators import SHAPE as TINY_SHAPE
from tiny_generators import tiny_generator
from tiny_trainings import tuned
from tondo.cli.main import main
from tondo.errors import OptionError
from tondo.gan.files.generator_file import load_generator
from tondo.gan.networks.skin import Skins
from tondo.gan.options import Adversarial, Schedule
from tondo.gan.training import divergence, inputs, session, stages
from tondo.gan.training.divergence import BrokenTraining
from tondo.gan.training.options import check_options
from tondo.gan.training.session import train_generator
from tondo.gan.training.worker import newest
from tondo.geometry.pose_prior import parse_poses
from tondo.io.collections.picture_shards import is_prepared, load_pictures
from tondo.io.images import image_size
from tondo.kernels.threads import num_threads, set_num_threads
from tondo.pictures.options import PictureOptions
from tondo.pictures.prepare import prepare_pictures
from tondo.runs import loop
from tondo.runs.events import GanStep, Note
from tondo.runs.watch import Watch

SMALL = tuned(size=32, poses="turntable", batch=4)


@pytest.fixture(scope="module")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty coloured balls on white."""
    folder = tmp_path_factory.mktemp("balls")
    rng = np.random.default_rng(0)
    for k in range(40):
        picture = Image.new("RGB", (48, 48), "white")
        wide, high = rng.integers(12, 20, 2)
        color = tuple(int(v) for v in rng.integers(0, 200, 3))
        pen = ImageDraw.Draw(picture)
        pen.ellipse((24 - wide, 24 - high, 24 + wide, 24 + high), fill=color)
        pen.ellipse((20, 16, 26, 22), fill=tuple(min(255, v + 50) for v in color))
        picture.save(folder / f"{k:02d}.png")
    return folder


@pytest.fixture(scope="module")
def prepared(balls: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "set"
    options = PictureOptions(size=32, similar=0, keep_blurred=True)
    return prepare_pictures(balls, out, options).folder


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_generator(run / "generator.safetensors").generator.state_dict()


def test_a_run_has_all_that_the_contract_says(
    balls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    argv = ["train", str(balls), "-o", str(run), "--size", "32", "--kimg", "0.024", "--batch", "8"]
    cores = num_threads()
    try:
        assert main([*argv, "--licence", "CC0", "--threads", "1"]) == 0
    finally:
        set_num_threads(cores)
    told = capsys.readouterr().out
    assert "no cameras are known: assuming turntable" in told
    assert "tondo generate" in told
    assert is_prepared(run / "pictures")
    trained = load_generator(run / "generator.safetensors")
    assert trained.generator.shape.size == 32
    assert trained.generator.shape.light == "camera"
    assert trained.card.licence == "CC0"
    assert trained.card.kimg == pytest.approx(0.024)
    assert image_size(run / "renders" / "grid.png") == (8 * 32, 16 * 32)
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["kimg"] == pytest.approx(0.024)
    assert metrics["threads"] == 1
    config = json.loads((run / "config.json").read_text())
    assert (config["command"], config["schedule"]["batch"]) == ("train", 8)
    assert list((run / "checkpoints").glob("step-*.safetensors"))
    assert list((run / "tensorboard").iterdir())
    assert main(argv) == 2
    assert "already holds a run" in capsys.readouterr().err


def test_stopping_and_going_on_ends_where_going_straight_does(
    prepared: Path, tmp_path: Path
) -> None:
    straight = replace(SMALL, kimg=0.016)
    train_generator(prepared, tmp_path / "a", straight)
    train_generator(prepared, tmp_path / "b", replace(SMALL, kimg=0.008))
    train_generator(prepared, tmp_path / "b", straight, resume=True)
    first, second = weights(tmp_path / "a"), weights(tmp_path / "b")
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
    moved = [n for n, t in first.items() if t.dim() > 1 and float(t.float().std()) > 0]
    assert len(moved) > 10


def test_a_run_goes_on_with_the_shape_that_it_was_begun_with(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version of the program begins others."""
    run = tmp_path / "run"
    with monkeypatch.context() as before:
        before.setattr(inputs, "SMALL_ROWS", 32)
        before.setattr(inputs, "COMPONENTS", 4)
        first = train_generator(prepared, run, replace(SMALL, kimg=0.008)).model.generator
    found = train_generator(prepared, run, replace(SMALL, kimg=0.016), resume=True).model
    assert (first.shape.rows, first.shape.mixture_components) == (32, 4)
    assert found.generator.shape == first.shape
    assert found.card.kimg == pytest.approx(0.016)
    assert not torch.equal(found.generator.skin_network.start, first.skin_network.start)
    assert newest(run, SMALL)[0].G.shape == first.shape  # as other processes read it
    other = train_generator(prepared, tmp_path / "other", replace(SMALL, kimg=0.008)).model
    assert other.generator.shape != first.shape


def test_a_run_that_is_to_be_longer_stays_so(prepared: Path, tmp_path: Path) -> None:
    run, told = tmp_path / "run", []
    watch = Watch(note=told.append)
    train_generator(prepared, run, replace(SMALL, kimg=0.008))
    train_generator(prepared, run, replace(SMALL, kimg=0.016), resume=True, watch=watch)
    assert not any("ignored" in text or "pictures that" in text for text in told)
    config = json.loads((run / "config.json").read_text())
    assert (config["kimg"], config["minutes"]) == (0.016, None)
    # as if killed on the way there
    max((run / "checkpoints").glob("step-*.safetensors")).unlink()
    other = tuned(SMALL, seed=3, base="fish", loss="relativistic")
    found = train_generator(Path("elsewhere"), run, other, resume=True, watch=watch)
    assert found.model.card.kimg == pytest.approx(0.016)
    assert found.summary["steps"] == 4
    ignored = [text for text in told if "is ignored: the run was started with" in text]
    assert [text.split("=")[0] for text in ignored] == ["`base", "`seed", "`loss"]
    assert any(f"the run was started with: {prepared}" in text for text in told)
    after = json.loads((run / "config.json").read_text())
    assert after.pop("seconds_done") != config.pop("seconds_done")  # each took its own time
    assert after == config
    assert after["steps_done"] == 4


def test_the_last_step_is_looked_at_too(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter(["a made-up illness", None])
    monkeypatch.setattr(divergence.DivergenceMonitor, "check", lambda *_: next(found))
    told: list[str] = []
    options = replace(SMALL, kimg=0.008, checkpoint_seconds=3600.0)
    result = train_generator(prepared, tmp_path / "run", options, watch=Watch(note=told.append))
    assert sum("a made-up illness: going back" in text for text in told) == 1
    assert result.summary["steps"] == 2
    assert next(found, "no more") == "no more"


def test_a_first_look_that_is_stopped_goes_on(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in it leaves a run; going on ends where going straight does."""
    monkeypatch.setattr(session, "PRETRAIN_SHARE", 0.8)
    monkeypatch.setattr(stages, "EVERY", 3)
    options = replace(SMALL, kimg=0.04)
    features: list[tuple[int, int]] = []

    def stage(name: str, done: int, of: int) -> None:
        if name == "pretraining":
            features.append((done, of))
            if len(features) == 3:
                os.kill(os.getpid(), signal.SIGINT)

    straight = train_generator(prepared, tmp_path / "a", options).model.generator
    with pytest.raises(loop.Interrupted):
        train_generator(prepared, tmp_path / "b", options, watch=Watch(stage=stage))
    assert features[-1][0] == 24
    assert load_generator(tmp_path / "b" / "generator.safetensors").card.kimg == 0
    stopped = weights(tmp_path / "b")
    told: list[str] = []
    watch = Watch(note=told.append, stage=stage)
    found = train_generator(prepared, tmp_path / "b", options, resume=True, watch=watch)
    assert "going on with the pretraining" in told
    assert features[3][0] == 32  # the step in which it was stopped was done
    wanted = straight.state_dict()
    for name, tensor in found.model.generator.state_dict().items():
        assert torch.equal(tensor, wanted[name]), name
    assert any(not torch.equal(tensor, wanted[name]) for name, tensor in stopped.items())


def test_pictures_of_another_size_are_refused(balls: Path, prepared: Path, tmp_path: Path) -> None:
    odd = PictureOptions(size=48, similar=0, keep_blurred=True)  # no size that can be trained
    folder = prepare_pictures(balls, tmp_path / "odd", odd).folder
    with pytest.raises(OptionError, match="`size` is 32: prepare them again with `size=32`"):
        train_generator(folder, tmp_path / "run", replace(SMALL, kimg=0.01))
    with pytest.raises(OptionError, match="train with `size=32`"):
        train_generator(prepared, tmp_path / "run", replace(SMALL, size=64, kimg=0.01))
    assert not (tmp_path / "run").exists()


def test_classes_are_chosen_and_few_pictures_are_enough_to_adapt(
    balls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for k, picture in enumerate(sorted(balls.glob("*.png"))[:27]):
        folder = tmp_path / "kinds" / ("some" if k < 17 else "few")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / picture.name).write_bytes(picture.read_bytes())
    argv = ["train", str(tmp_path / "kinds"), "--size", "32", "--kimg", "0.004", "--batch", "4"]
    assert main([*argv, "-o", str(tmp_path / "base"), "--class", "som"]) == 2
    assert "some" in capsys.readouterr().err
    assert main([*argv, "-o", str(tmp_path / "base"), "--class", "some"]) == 0
    assert len(load_pictures(tmp_path / "base" / "pictures").images) == 17
    whole = prepare_pictures(
        tmp_path / "kinds",
        tmp_path / "set",
        PictureOptions(size=32, similar=0, keep_blurred=True),
    ).folder
    part = tmp_path / "part"
    of_set = ["train", str(whole), "-o", str(part), *argv[2:], "--class", "some"]
    assert main([*of_set[:-1], "few"]) == 2
    assert "set has 10 pictures of few: training needs at least 16" in capsys.readouterr().err
    assert main(of_set) == 0
    assert main(["evaluate", str(part), "--samples", "5"]) == 0
    assert "5 pictures and 5 samples" in capsys.readouterr().out
    assert main(["evaluate", str(part), "--samples", "20"]) == 0
    assert "17 pictures and 20 samples" in capsys.readouterr().out
    assert main([*argv, "-o", str(tmp_path / "few"), "--class", "few"]) == 2
    assert "training needs at least 16" in capsys.readouterr().err
    adapt = [*argv, "-o", str(tmp_path / "few"), "--class", "few", "--lora", "1"]
    assert main([*adapt, "--from", str(tmp_path / "base")]) == 0
    assert len(load_pictures(tmp_path / "few" / "pictures").images) == 10
    assert (tmp_path / "few" / "adapter.safetensors").is_file()
    capsys.readouterr()
    for picture in sorted((tmp_path / "kinds" / "few").iterdir())[:3]:
        picture.unlink()
    again = [*adapt, "--from", str(tmp_path / "base"), "--force"]
    assert main(again) == 2
    assert "7 pictures that can be used: to adapt a generator takes at least 8" in (
        capsys.readouterr().err
    )


def test_a_base_of_another_size_is_refused_and_its_cameras_are_kept(
    prepared: Path, tmp_path: Path
) -> None:
    ranges = "azimuth=-30:30,elevation=0:10"
    base = replace(SMALL, kimg=0.004, poses=ranges)
    train_generator(prepared, tmp_path / "base", base)
    adapt = replace(SMALL, poses=None, base=str(tmp_path / "base"), kimg=0.004)
    with pytest.raises(OptionError, match=r"makes pictures of 32 .* give `size=32`"):
        train_generator(prepared, tmp_path / "run", replace(adapt, size=64))
    assert not (tmp_path / "run").exists()
    told: list[str] = []
    result = train_generator(prepared, tmp_path / "run", adapt, watch=Watch(note=told.append))
    assert result.model.priors == parse_poses(ranges)
    assert any("assuming those of" in text for text in told)


def test_numbers_that_are_none_go_back_once_and_then_stop(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_step = stages.one_step

    def breaking(state: object, inputs: object) -> GanStep:
        report = real_step(state, inputs)  # type: ignore[arg-type]
        return replace(report, loss_g=math.nan) if report.step >= 3 else report

    monkeypatch.setattr(stages, "one_step", breaking)
    told: list[str] = []
    watch = Watch(note=told.append)
    options = replace(SMALL, kimg=0.1, checkpoint_seconds=3600.0)
    with pytest.raises(BrokenTraining, match=r"NaN at step 3, again.*What to try") as caught:
        train_generator(prepared, tmp_path / "run", options, watch=watch)
    assert "generator.safetensors" in str(caught.value)
    assert sum("going back, with half the rates" in text for text in told) == 1
    assert all(bool(torch.isfinite(t).all()) for t in weights(tmp_path / "run").values())
    events = read_events(tmp_path / "run" / "events.jsonl")
    assert sum(isinstance(e, Note) and "NaN" in e.message for e in events) == 2
    # that it went back once is kept: killed after it and resumed, the next time is the end
    with pytest.raises(BrokenTraining, match="again"):
        train_generator(prepared, tmp_path / "run", options, resume=True)
    events = read_events(tmp_path / "run" / "events.jsonl")
    assert sum(isinstance(e, Note) and "NaN" in e.message for e in events) == 3


def test_samples_that_are_all_alike_are_noticed(prepared: Path, tmp_path: Path) -> None:
    result = train_generator(prepared, tmp_path / "run", replace(SMALL, kimg=0.004))
    state = type("T", (), {})()
    state.G_ema = state.G = result.model.generator
    state.pictures, state.step = 10_000, 2_500
    spread = divergence.diversity(state)
    assert 0 < spread < 1
    monitor = divergence.DivergenceMonitor(Adversarial(min_diversity=spread / 2))
    assert monitor.check(state) is None
    with torch.no_grad():
        for parameter in state.G.mapping.parameters():
            parameter.zero_()
    assert divergence.diversity(state) < 1e-6
    assert "have become alike" in str(monitor.check(state))


def test_varied_backgrounds_do_not_make_samples_varied() -> None:
    generator = tiny_generator(shape=replace(TINY_SHAPE, background="scene"))
    generator.background.start.weight.mul_(100.0)
    objects = generator(torch.randn(1, TINY_SHAPE.w, generator=torch.Generator().manual_seed(1)))
    same = Skins(*(x.expand(16, *x.shape[1:]) if torch.is_tensor(x) else x for x in objects))
    state = type("T", (), {})()
    state.G_ema = generator
    varied = divergence.diversity(state)
    generator.forward = lambda _: same
    assert divergence.diversity(state) < 1e-6 < varied


def test_a_discriminator_that_is_sure_is_noticed(prepared: Path, tmp_path: Path) -> None:
    result = train_generator(prepared, tmp_path / "run", replace(SMALL, kimg=0.004))
    state = type("T", (), {})()
    state.G_ema = state.G = result.model.generator
    state.pictures, state.step = 10_000, 2_500
    # 2, 2 log 2 and log 2 are the losses of a D that knows nothing
    for loss, unsure in (("hinge", 2.0), ("minimax", 1.386), ("relativistic", 0.693)):
        for share, ill in ((0.14, False), (0.03, True)):
            monitor = divergence.DivergenceMonitor(Adversarial(min_diversity=0.0, loss=loss))
            for step in range(divergence.STEPS):
                report = GanStep(step, 4 * step, share * unsure, 9.0, 9.0, -9.0, 0.1, 0.1, 0.0, 0.0)
                monitor.note(report)
            assert ("sure of itself" in str(monitor.check(state))) is ill, (loss, share)


def test_events_of_a_training(prepared: Path, tmp_path: Path, monkeypatch: object) -> None:
    monkeypatch.setattr(loop, "EVENT_SECONDS", 0.0)  # type: ignore[attr-defined]
    train_generator(prepared, tmp_path / "run", replace(SMALL, kimg=0.016))
    steps = [e for e in read_events(tmp_path / "run" / "events.jsonl") if isinstance(e, GanStep)]
    assert [e.step for e in steps] == [1, 2, 3, 4]
    assert [e.pictures for e in steps] == [4, 8, 12, 16]
    assert all(e.grad_g > 0 and e.grad_d > 0 for e in steps)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"minutes": 1.0, "kimg": 1.0}, "not both"),
        ({"minutes": -1.0}, "`minutes` must be above 0"),
        ({"kimg": 0.0}, "`kimg` must be above 0"),
        ({"size": 48}, "`size` must be 32, 64, 128 or 256"),
        ({"seed": -1}, "`seed`"),
        ({"checkpoint_seconds": math.nan}, "`checkpoint_seconds` must be at least 0"),
        ({"lora": 4}, "say which with `base`"),
        ({"base": "fish", "mirror": True}, "`mirror` belongs to a new generator"),
        ({"base": "fish", "axial": True}, "`axial` belongs to a new generator"),
        ({"axial": True, "representation": "field"}, "`axial` needs splats"),
        ({"base": "fish", "light": "none"}, "`light` .* as in fish"),
        ({"base": "fish", "representation": "field"}, "`representation` .* leave it out"),
        ({"poses": "frontl"}, "no prior of that name"),
        ({"schedule": Schedule(batch=6)}, "`batch` must be a multiple of 4"),
    ],
)
def test_wrong_options(change: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        check_options(replace(SMALL, **change))  # type: ignore[arg-type]


def test_typos_and_missing_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(tmp_path / "none"), "-o", str(tmp_path / "run")]) == 2
    assert "none" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert main(["train", "x", "-o", "y", "--los", "hinge"]) == 2
    assert "did you mean '--loss'" in capsys.readouterr().err
