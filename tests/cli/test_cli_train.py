"""`tondo train` as a user has it: killed, stopped, refused, broken down, adapted, watched."""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
import trimesh
from safetensors import safe_open

from one_thread import one_thread
from run_events import read_events
from small_pictures import ball, blocks, training_set_of_balls, write_pictures
from tiny_generators import tiny_run
from tiny_trainings import tuned
from tondo.cli.main import main
from tondo.gan.files.generator_file import load_generator
from tondo.gan.training import session, stages
from tondo.gan.training.session import train_generator
from tondo.gan.training.state import TrainInputs, TrainState
from tondo.io.collections.picture_shards import load_pictures, read_manifest
from tondo.io.images import image_size
from tondo.io.models.mesh_files import read_mesh
from tondo.io.models.ply import read_splat_file
from tondo.runs.events import GanStep, Note
from tondo.runs.loop import Interrupted
from tondo.runs.method import Report
from tondo.runs.watch import Watch

FILE = "generator.safetensors"
TINY = ["--size", "32", "--batch", "4", "--poses", "turntable"]
FEW = [*TINY, "--kimg", "0.004"]  # one step


@pytest.fixture(scope="module", autouse=True)
def quickly() -> Iterator[None]:
    """On one thread, with few samples in the grids."""
    with one_thread(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "GRID_SEEDS", 1)
        yield


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training set of twenty balls."""
    return training_set_of_balls(tmp_path_factory.mktemp("train"))


@pytest.fixture(scope="module")
def base(pictures: Path) -> Path:
    """A run of one step."""
    assert train(pictures, pictures.parent / "base", *FEW) == 0
    return pictures.parent / "base"


def train(pictures: Path, run: Path, *more: str) -> int:
    return main(["train", str(pictures), "-o", str(run), *more])


def begun(pictures: Path, run: Path) -> subprocess.Popen[str]:
    """A training in a process of its own, past its first checkpoints and far from its end."""
    code = "from tondo.cli.main import entry; entry()"
    args = [sys.executable, "-c", code, "train", str(pictures), "-o", str(run), *TINY]
    args += ["--kimg", "0.2", "--checkpoint-seconds", "0.1", "--threads", "1"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(args, stdout=pipe, stderr=pipe, text=True)
    deadline = time.monotonic() + 100
    while steps_saved(run)[-1:] in ([], [0]):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"no checkpoint: {process.communicate()}")
        time.sleep(0.05)
    return process


def steps_saved(run: Path) -> list[int]:
    """The steps of the checkpoints, oldest first."""
    found = (run / "checkpoints").glob("step-*.safetensors")
    return sorted(int(path.stem.removeprefix("step-")) for path in found)


def kimg(run: Path) -> float:
    return load_generator(run / FILE).card.kimg


def notes(run: Path) -> list[str]:
    return [e.message for e in read_events(run / "events.jsonl") if isinstance(e, Note)]


def test_the_config_says_the_steps_that_were_done(base: Path) -> None:
    config = json.loads((base / "config.json").read_text())
    assert (config["steps_done"], config["kimg_done"], config["kimg"]) == (1, 0.004, 0.004)
    assert config["seconds_done"] > 0


def test_kill_9_and_resume(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It goes on after the last checkpoint, not from the first step."""
    run = tmp_path / "run"
    process = begun(pictures, run)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    step = steps_saved(run)[-1]
    assert step > 0
    assert train(pictures, run, "--resume", "--kimg", str((4 * step + 8) / 1000)) == 0
    assert f"going on after {4 * step / 1000:.1f} thousand pictures" in capsys.readouterr().out
    assert notes(run) == ["resumed"]
    assert steps_saved(run)[-1] == step + 2
    assert json.loads((run / "metrics.json").read_text())["steps"] == step + 2
    assert kimg(run) == pytest.approx((4 * step + 8) / 1000)


def test_ctrl_c_saves_and_says_how_to_go_on(pictures: Path, tmp_path: Path) -> None:
    """What it prints goes on with the training as it is."""
    run = tmp_path / "run"
    process = begun(pictures, run)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "stopped by Ctrl-C" in err
    assert "thousand pictures; go on with:" in out
    line = out.strip().splitlines()[-1].strip()
    assert line == f"tondo train {pictures} -o {run} --resume"
    step = steps_saved(run)[-1]
    assert kimg(run) == pytest.approx(4 * step / 1000), "saved at the last step, not before it"
    assert json.loads((run / "config.json").read_text())["steps_done"] == step
    more = ["--kimg", str((4 * step + 4) / 1000)]
    assert main([*shlex.split(line)[1:], *more]) == 0
    assert steps_saved(run)[-1] == step + 1
    assert kimg(run) == pytest.approx((4 * step + 4) / 1000)


def test_a_run_goes_on_with_its_own_batch(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether a batch can be shared is asked of the run's, not of the one that is the default."""
    run = tmp_path / "run"
    assert train(pictures, run, *FEW[:-1], "0.02", "--batch", "20", "--accumulate", "5") == 0
    capsys.readouterr()
    assert train(pictures, run, "--resume", "--kimg", "0.04", "--accumulate", "5") == 0
    assert "is ignored" not in capsys.readouterr().out
    assert kimg(run) == pytest.approx(0.04)


def test_the_printed_way_to_go_on_is_one_for_any_name(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """A name with a space in it, too: the line is there to be copied."""

    def stopping(*_: object, **__: object) -> None:
        raise Interrupted("1.5 thousand pictures")

    monkeypatch.setattr(session, "train_generator", stopping)
    assert train(pictures, tmp_path / "my run", *FEW) == 130
    line = capsys.readouterr().out.strip().splitlines()[-1].strip()
    wanted = ["tondo", "train", str(pictures), "-o", str(tmp_path / "my run"), "--resume"]
    assert shlex.split(line) == wanted


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def reshaped(path: Path) -> None:
    """The file of a generator with another kernel than its description says."""
    with safe_open(path, framework="pt") as opened:
        metadata = opened.metadata()
        held = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    (name,) = (name for name in held if name.endswith("conv1.weight"))
    held[name] = torch.zeros(12, 12, 5, 5)
    path.write_bytes(safetensors.torch.save(held, metadata=metadata))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with pictures that cannot be trained on and files of no use."""
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "one", [ball(0)])
    write_pictures(tmp_path / "same", [ball(0)] * 16)
    write_pictures(tmp_path / "good", [ball(k) for k in range(16)])
    write_pictures(tmp_path / "tiny", [blocks(k, 8 + k % 8) for k in range(20)])
    tiny_run(tmp_path / "whole")
    for name, spoil in (("half", cut), ("other", reshaped)):
        spoil(tiny_run(tmp_path / name) / FILE)
    return tmp_path


REFUSED = {
    "one picture": (["one"], ["one has 1 picture that can be used", "at least 16"]),
    "all the same": (["same"], ["all 16 pictures of same show the same", "different things"]),
    "all the same, adapting": (
        ["same", "--from", "whole", "--lora", "1"],
        ["all 16 pictures of same show the same", "different things"],
    ),
    "all too small": (["tiny"], ["no pictures that can be used", "too small", "at least 16"]),
    "a typo": (["good", "--poses", "turntabel"], ["turntabel", "turntable", "frontal"]),
    "turned round": (["good", "--poses", "azimuth=9:1,elevation=0:5"], ["azimuth", "9"]),
    "no classes": (["good", "--class", "pears"], ["--class pears", "no classes"]),
    "cut file": (["good", "--from", f"half/{FILE}"], [f"half/{FILE}", "cut off or damaged"]),
    "cut run": (["good", "--from", "half"], [f"half/{FILE}", "cut off or damaged"]),
    "other shapes": (["good", "--from", f"other/{FILE}"], ["conv1.weight is [12, 12, 5, 5]"]),
    "no such name": (["good", "--from", "fishh"], ["no run, file or generator called 'fishh'"]),
    "no run": (["good", "--from", "good"], ["good is not a run of Tondo"]),
    "no such network": (["good", "--features", "resnet51"], ["resnet51", "resnet50"]),
}


@pytest.mark.parametrize(("words", "expected"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_work_is_one_sentence_and_leaves_nothing(
    words: list[str], expected: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, nothing new in the folder, and an older run is not lost by --force."""
    before = sorted(path.name for path in place.iterdir())
    argv = ["train", *words, "--size", "32", "--batch", "4", "--kimg", "0.004", "-o"]
    assert main([*argv, "run"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("tondo: error: ")
    assert len(said.strip().splitlines()) == 1
    assert "Traceback" not in said
    assert all(word in said for word in expected)
    assert sorted(path.name for path in place.iterdir()) == before
    older = (tiny_run(place / "older") / FILE).read_bytes()
    assert main([*argv, "older", "--force"]) == 2
    assert (place / "older" / FILE).read_bytes() == older
    assert sorted(path.name for path in place.iterdir()) == sorted([*before, "older"])


def test_too_small_pictures_are_left_out_and_named(tmp_path: Path) -> None:
    """Where enough of the others remain: from half of --size on they are enlarged."""
    sides = [8, 9, 12, 15, *range(16, 34)]
    write_pictures(tmp_path / "mixed", [blocks(k, side) for k, side in enumerate(sides)])
    assert train(tmp_path / "mixed", tmp_path / "run", *FEW) == 0
    folder = tmp_path / "run" / "pictures"
    images = load_pictures(folder).images
    assert images.shape == (18, 3, 32, 32)
    left_out = {one.name: one.reason for one in read_manifest(folder).left_out}
    assert left_out.keys() == {"00.png", "01.png", "02.png", "03.png"}
    assert left_out["02.png"].startswith("too small: 12x12")
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert all(name in report for name in left_out)
    assert load_generator(tmp_path / "run" / FILE).card.pictures == 18


def test_the_smallest_size_that_is_offered_can_be_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """That which the message of wrong sizes names first."""
    balls = write_pictures(tmp_path / "balls", [ball(k) for k in range(16)])
    assert train(balls, tmp_path / "run", "--size", "33") == 2
    offered = re.search(r"--size must be (\d+), ", capsys.readouterr().err)
    assert offered
    words = ["--size", offered[1], "--batch", "4", "--kimg", "0.004"]
    assert train(balls, tmp_path / "run", *words) == 0
    assert load_generator(tmp_path / "run" / FILE).generator.shape.size == int(offered[1])


def test_numbers_that_are_none_end_with_what_was_good(
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit status 2 with advice; the generator is that of the last good checkpoint."""
    real_step, run = stages.one_step, tmp_path / "run"

    def breaking(state: TrainState, inputs: TrainInputs) -> GanStep:
        report = real_step(state, inputs)
        return replace(report, loss_d=math.nan) if report.step >= 3 else report

    monkeypatch.setattr(stages, "one_step", breaking)
    assert train(pictures, run, *TINY, "--kimg", "0.02", "--checkpoint-seconds", "0") == 2
    said = capsys.readouterr()
    assert "going back, with half the rates" in said.out
    assert "NaN at step 3, again" in said.err
    assert str(run / FILE) in said.err
    assert "What to try" in said.err
    assert "Traceback" not in said.err
    found = load_generator(run / FILE)
    assert found.card.kimg == pytest.approx(0.008)
    assert steps_saved(run)[-1] == 2
    good = safetensors.torch.load_file(run / "checkpoints" / "step-00000002.safetensors")
    for name, value in found.generator.state_dict().items():
        torch.testing.assert_close(value, good[f"G_ema.{name}"], rtol=1e-3, atol=1e-4)


def test_an_adapter_is_small_and_leaves_its_base_alone(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten pictures are enough; what it makes is no longer what the base makes."""
    before = {path: path.read_bytes() for path in base.rglob("*") if path.is_file()}
    few = write_pictures(tmp_path / "few", [ball(100 + k) for k in range(10)])
    run = tmp_path / "run"
    words = ["--size", "32", "--batch", "4", "--kimg", "0.016", "--lora", "8"]
    assert train(few, run, *words, "--from", str(base)) == 0
    assert {path: path.read_bytes() for path in base.rglob("*") if path.is_file()} == before
    small, large = (run / "adapter.safetensors").stat().st_size, (base / FILE).stat().st_size
    assert 0 < small < 0.15 * large
    capsys.readouterr()
    meshes, means = {}, {}
    for name, source in (("base", base), ("run", run), ("alone", run / "adapter.safetensors")):
        out = tmp_path / "models" / name
        more = ["--seeds", "4", "--format", "glb,splats", "--truncation", "0.6"]
        assert main(["generate", str(source), "-o", str(out), *more]) == 0
        meshes[name] = read_mesh(out / "seed0004.glb")
        means[name] = read_splat_file(out / "seed0004_splats.ply").splats.means
    mesh = meshes["run"]
    assert trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy()).is_watertight
    assert float((mesh.vertices - meshes["base"].vertices).abs().max()) > 5e-3
    # Of the mesh a vertex that is pulled flat at a fold may go either way with a rounding.
    moved = float((means["run"] - means["base"]).abs().max())
    alone = float((means["run"] - means["alone"]).abs().max())
    assert alone < 0.1 * moved, "the adapter and its base make what the run makes"
    assert image_size(tmp_path / "models" / "run" / "grid.png")[0] > 0


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"rebuild_kpictures": 30.0}, "of this version .*no setting 'rebuild_kpictures'"),
        (7, "not the config of a run of this version .*got 7"),
    ],
)
def test_a_run_with_other_settings_does_not_go_on(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], stored: object, said: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(base, run)
    config = json.loads((run / "config.json").read_text())
    was = config["schedule"]
    config["schedule"] = {**was, **stored} if isinstance(stored, dict) else stored
    (run / "config.json").write_text(json.dumps(config))
    assert train(tmp_path, run, "--resume") == 2
    error = capsys.readouterr().err
    assert re.search(said, error)
    assert "--force" in error
    assert "Traceback" not in error


def test_progress_grows_to_the_end(pictures: Path, tmp_path: Path) -> None:
    """The fraction that a step is told with is that after it; the rate is that of this session,
    a resumed one, too."""
    options = tuned(size=32, poses="turntable", kimg=0.016, batch=4)
    reports: list[Report] = []
    watch = Watch(step=reports.append)
    train_generator(pictures, tmp_path / "run", options, watch=watch)
    train_generator(
        pictures, tmp_path / "run", replace(options, kimg=0.02), resume=True, watch=watch
    )
    assert [report.event.pictures for report in reports] == [4, 8, 12, 16, 20]
    assert all(0 < report.rate < 1e4 for report in reports)
    assert [report.fraction for report in reports] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
