"""`tondo reconstruct` as a user has it: a table, resume after the worst, one-sentence errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from run_events import read_events
from small_photos import write_photos
from tondo.cli.main import main
from tondo.io.images import read_image, write_png
from tondo.io.models.scene import load_scene
from tondo.runs.events import Note, Step


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("scene") / "photos", 10)


def command(photos: Path, run: Path, *more: str) -> list[str]:
    code = "from tondo.cli.main import entry; entry()"
    return [sys.executable, "-c", code, "reconstruct", str(photos), "-o", str(run), *more]


def reconstruct(photos: Path, run: Path, *more: str) -> int:
    return main(["reconstruct", str(photos), "-o", str(run), "--max-splats", "300", *more])


def wait_for_checkpoint(run: Path, process: subprocess.Popen) -> Path:
    for _ in range(600):
        found = sorted((run / "checkpoints").glob("step-*.safetensors"))
        if len(found) >= 2:
            return found[-1]
        assert process.poll() is None, "ended before it was interrupted"
        time.sleep(0.1)
    raise AssertionError("no checkpoint within a minute")


def test_a_run_has_all_that_the_contract_says(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert reconstruct(photos, run, "--steps", "60") == 0
    said = capsys.readouterr().out
    assert "8 photos to train on, 2 held out" in said
    assert "PSNR" in said
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["steps"] == 60
    assert metrics["test"]["images"] == 2
    assert metrics["test"]["psnr"] > 12
    assert metrics["train_seconds"] > 0
    assert metrics["peak_memory_mb"] > 50
    assert set(metrics["per_image"]) == {"000.png", "008.png"}
    config = json.loads((run / "config.json").read_text())
    assert config["seed"] == 0
    assert config["steps"] == 60
    assert config["tondo"]
    scene = load_scene(run / "scene.safetensors")
    assert len(scene.splats.means) == metrics["splats"]
    steps = [e for e in read_events(run / "events.jsonl") if isinstance(e, Step)]
    assert steps[-1].step == 60
    assert any((run / "tensorboard").iterdir())
    assert (run / "cameras.json").is_file()


def test_refined_poses_are_the_runs_cameras(photos: Path, tmp_path: Path) -> None:
    found = {}
    for name, more in (("given", ()), ("refined", ("--refine-poses",))):
        assert reconstruct(photos, tmp_path / name, "--steps", "40", *more) == 0
        listed = json.loads((tmp_path / name / "cameras.json").read_text())["frames"]
        found[name] = {one["file_path"]: torch.tensor(one["transform_matrix"]) for one in listed}
    moved = {
        name: float((pose - found["given"][name]).abs().max())
        for name, pose in found["refined"].items()
    }
    assert moved["000.png"] == moved["008.png"] == 0, "held-out photos stay where they were"
    assert all(
        1e-5 < far < 0.2 for name, far in moved.items() if name not in ("000.png", "008.png")
    )


def test_the_same_seed_and_steps_give_the_same_bytes(photos: Path, tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    assert reconstruct(photos, a, "--steps", "40", "--threads", "1") == 0
    assert reconstruct(photos, b, "--steps", "40", "--threads", "2") == 0
    assert reconstruct(photos, c, "--steps", "40", "--seed", "1") == 0
    scenes = [(run / "scene.safetensors").read_bytes() for run in (a, b, c)]
    assert scenes[0] == scenes[1]
    assert scenes[0] != scenes[2]


def test_kill_9_and_resume(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    # long enough that the kill comes before the end: 400 steps took 0.4 s
    more = ("--steps", "2000", "--max-splats", "300", "--checkpoint-seconds", "0.2")
    assert main(["reconstruct", str(photos), "-o", str(whole), *more]) == 0
    process = subprocess.Popen(command(photos, killed, *more), stdout=subprocess.DEVNULL)
    newest = wait_for_checkpoint(killed, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "scene.safetensors").exists()
    newest = sorted((killed / "checkpoints").glob("step-*.safetensors"))[-1]
    cut = newest.read_bytes()
    newest.write_bytes(cut[: len(cut) // 2])  # the worst moment of all
    capsys.readouterr()
    assert main(["reconstruct", str(photos), "-o", str(killed), "--resume"]) == 0
    said = capsys.readouterr().out
    assert "checkpoint not usable, taking the one before" in said
    assert newest.name in said
    notes = [e.message for e in read_events(killed / "events.jsonl") if isinstance(e, Note)]
    assert "resumed" in notes
    left = load_scene(whole / "scene.safetensors").splats
    right = load_scene(killed / "scene.safetensors").splats
    assert torch.equal(left.means, right.means)
    assert torch.equal(left.sh, right.sh)


def test_ctrl_c_saves_and_says_how_to_go_on(photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    args = command(photos, run, "--steps", "1000000", "--checkpoint-seconds", "0.2")
    process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_checkpoint(run, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in out
    assert "Traceback" not in err
    config = json.loads((run / "config.json").read_text())
    assert f"stopped after step {config['steps_done']};" in out
    assert config["steps"] == 1_000_000
    assert config["seconds_done"] > 0.4
    assert main(["reconstruct", str(photos), "-o", str(run), "--resume", "--steps", "1"]) == 0
    assert json.loads((run / "config.json").read_text())["steps_done"] == config["steps_done"]


def test_a_learned_background_goes_into_the_scene(photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert reconstruct(photos, run, "--steps", "200", "--background", "learned") == 0
    found = load_scene(run / "scene.safetensors").background
    mean = tmp_path / "mean"
    assert reconstruct(photos, mean, "--steps", "1") == 0
    first = load_scene(mean / "scene.safetensors").background
    assert not torch.equal(found, first)
    assert float((found - 0.5).abs().max()) < 0.05  # the photos' background is grey
    assert json.loads((run / "config.json").read_text())["background"] == "learned"


def test_the_background_of_cut_out_photos_cannot_be_learned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, run = write_photos(tmp_path / "photos", 4), tmp_path / "run"
    picture = read_image(photos / "001.png").rgb
    alpha = torch.zeros(*picture.shape[:2], 1, dtype=torch.uint8)
    write_png(photos / "001.png", torch.cat([picture, alpha], dim=2))
    assert reconstruct(photos, run, "--steps", "5", "--background", "learned") == 2
    assert "cannot be learned: give another --background: white" in capsys.readouterr().err
    assert not run.exists()


def test_minutes_end_on_time(photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert reconstruct(photos, run, "--minutes", "0.1") == 0
    seconds = json.loads((run / "metrics.json").read_text())["train_seconds"]
    assert 6.0 <= seconds <= 6.0 * 1.05


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--steps", "-1"], "--steps must be at least 1, got -1"),
        (["--steps", "0"], "--steps must be at least 1, got 0"),
        (["--minutes", "-2"], "--minutes must be above 0"),
        (["--minutes", "nan"], "--minutes must be above 0"),
        (["--steps", "5", "--minutes", "1"], "--steps or --minutes, not both"),
        (["--max-splats", "0"], "--max-splats must be at least 1"),
        (["--seed", "-4"], "--seed must be"),
        (["--holdout", "1", "--steps", "5"], "--holdout must be 0 (none) or at least 2"),
        (["--background", "pink"], "expected white, black"),
        (["--resume", "--force"], "give one of them"),
        (["--resume"], "there is no run at"),
        (["--stepz", "4"], "--steps"),
    ],
)
def test_wrong_options_are_one_sentence_and_leave_nothing(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str
) -> None:
    run = tmp_path / "run"
    assert main(["reconstruct", str(photos), "-o", str(run), *more]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert not run.exists()
    assert not list(tmp_path.iterdir())


def test_an_existing_run_is_not_touched(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert reconstruct(photos, run, "--steps", "5") == 0
    before = (run / "scene.safetensors").read_bytes()
    assert reconstruct(photos, run, "--steps", "6") == 2
    assert "--force" in capsys.readouterr().err
    assert (run / "scene.safetensors").read_bytes() == before
    assert reconstruct(photos, run, "--steps", "6", "--force") == 0
    assert json.loads((run / "metrics.json").read_text())["steps"] == 6


def test_unusable_photos_leave_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    run = tmp_path / "run"
    for source in (empty, tmp_path / "nowhere"):
        assert main(["reconstruct", str(source), "-o", str(run), "--steps", "5"]) == 2
        assert str(source) in capsys.readouterr().err
        assert not run.exists()


def test_a_damaged_config_is_named(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert reconstruct(photos, run, "--steps", "5") == 0
    config = json.loads((run / "config.json").read_text())
    del config["splats"]
    (run / "config.json").write_text(json.dumps(config))
    assert main(["reconstruct", str(photos), "-o", str(run), "--resume"]) == 2
    assert "is not the config of a run of this version" in capsys.readouterr().err


def test_an_unwritable_place_is_named(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reconstruct", str(photos), "-o", "/proc/run", "--steps", "5"]) == 2
    assert "/proc" in capsys.readouterr().err
