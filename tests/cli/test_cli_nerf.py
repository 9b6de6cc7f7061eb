"""A radiance field as a user has it: made, resumed, rendered, measured, exported."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

import tondo.scenes.texture
from run_events import read_events
from small_photos import write_photos
from tondo.cli.main import main
from tondo.data.field import DctEncoding, FieldScene, FrequencyField, FrequencyShape
from tondo.io.images import read_image, write_png
from tondo.io.models.scene import load_scene
from tondo.io.posed.photos import load_cameras
from tondo.runs.events import Note, Step
from tondo.scenes.open import held_out_cameras, open_scene, photo_cameras


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("scene") / "photos", 10)


def reconstruct(photos: Path, run: Path, *more: str) -> int:
    return main(["reconstruct", str(photos), "-o", str(run), "--method", "nerf", *more])


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nerf") / "run"
    assert reconstruct(photos, path, "--steps", "80") == 0
    return path


def test_a_run_has_all_that_the_contract_says(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["steps"] == 80
    assert metrics["test"]["images"] == 2
    assert metrics["test"]["psnr"] > 14
    assert metrics["occupied_cells"] > 0
    config = json.loads((run / "config.json").read_text())
    assert config["method"] == "nerf"
    assert "splats" not in config
    assert config["nerf"]["hash"]["levels"] == 8
    assert isinstance(load_scene(run / "scene.safetensors"), FieldScene)
    steps = [e for e in read_events(run / "events.jsonl") if isinstance(e, Step)]
    assert (steps[-1].step, steps[-1].splats) == (80, None)
    assert (run / "cameras.json").is_file()
    assert (run / "renders" / "test" / "contact_sheet.png").is_file()


def test_it_is_rendered_measured_and_exported(
    run: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tondo.scenes.texture, "AROUND_FIELD", 3)
    monkeypatch.setattr(tondo.scenes.texture, "FIELD_SIZE", 40)
    cameras = str(photos / "transforms.json")
    out = tmp_path / "pictures"
    more = ["--depth", "--normals"]
    assert main(["render", str(run), "--cameras", cameras, "-o", str(out), *more]) == 0
    photo, picture = (read_image(folder / "003.png").rgb for folder in (photos, out))
    assert float((photo.float() - picture.float()).abs().mean()) < 40
    assert np.load(out / "depth" / "003.npy").max() > 1
    assert (out / "normals" / "003.png").is_file()
    assert main(["evaluate", str(run)]) == 0
    assert main(["export", str(run), "-o", str(tmp_path / "a.glb"), "--resolution", "48"]) == 0
    mesh = trimesh.load(tmp_path / "a.glb", force="mesh")
    assert len(mesh.faces) > 100
    capsys.readouterr()
    wanted = ["export", str(run), "-o", str(tmp_path / "a.ply"), "--as", "splats"]
    assert main(wanted) == 2
    assert "has no splats" in capsys.readouterr().err


def test_planes_of_cosines(photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert reconstruct(photos, run, "--steps", "30", "--encoding", "dct") == 0
    assert json.loads((run / "metrics.json").read_text())["test"]["psnr"] > 13
    scene = load_scene(run / "scene.safetensors")
    assert isinstance(scene, FieldScene)
    assert isinstance(scene.field.encoding, DctEncoding)
    assert main(["evaluate", str(run)]) == 0


def test_the_first_nerf(photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["--steps", "1", "--encoding", "frequency", "--max-size", "16"]
    assert reconstruct(photos, run, *words) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["images"] == 2
    assert "occupied_cells" not in metrics
    scene = load_scene(run / "scene.safetensors")
    assert isinstance(scene, FieldScene)
    assert isinstance(scene.field, FrequencyField)
    assert scene.field.shape == FrequencyShape()


def test_kill_9_and_resume(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    more = ("--steps", "30", "--checkpoint-seconds", "0.1")
    assert reconstruct(photos, whole, *more) == 0
    code = "from tondo.cli.main import entry; entry()"
    args = ["reconstruct", str(photos), "-o", str(killed), "--method", "nerf", *more]
    process = subprocess.Popen([sys.executable, "-c", code, *args], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list((killed / "checkpoints").glob("step-*.safetensors"))) < 2:
        assert process.poll() is None, "ended before it was interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "scene.safetensors").exists()
    newest = sorted((killed / "checkpoints").glob("step-*.safetensors"))[-1]
    cut = newest.read_bytes()
    newest.write_bytes(cut[: len(cut) // 2])
    assert main(["reconstruct", str(photos), "-o", str(killed), "--resume"]) == 0
    assert "checkpoint not usable, taking the one before" in capsys.readouterr().out
    notes = [e.message for e in read_events(killed / "events.jsonl") if isinstance(e, Note)]
    assert "resumed" in notes
    left, right = (load_scene(run / "scene.safetensors") for run in (whole, killed))
    assert isinstance(left, FieldScene)
    assert isinstance(right, FieldScene)
    assert torch.equal(left.field.encoding.tables, right.field.encoding.tables)
    assert torch.equal(left.field.heads.weights, right.field.heads.weights)
    assert torch.equal(left.field.space.occupied, right.field.space.occupied)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--max-splats", "100"), "--max-splats goes with --method splats"),
        (("--refine-poses",), "--refine-poses goes with --method splats"),
        (("--steps", "0"), "--steps must be at least 1"),
        (("--checkpoint-seconds", "-1"), "--checkpoint-seconds must be at least 0, got -1"),
        (("--method", "splats", "--encoding", "dct"), "--encoding goes with --method nerf"),
    ],
)
def test_what_goes_with_splats_alone_is_refused(
    photos: Path, tmp_path: Path, more: tuple[str, ...], said: str, capsys: pytest.CaptureFixture
) -> None:
    assert reconstruct(photos, tmp_path / "run", *more) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_transparent_photos_of_nothing(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training ends, the pictures are the background, and the export says that there is nothing."""
    folder = tmp_path / "clear"
    folder.mkdir()
    for path in photos.glob("*.png"):
        rgb = read_image(path).rgb
        write_png(folder / path.name, torch.cat([rgb, torch.zeros_like(rgb[..., :1])], dim=2))
    (folder / "transforms.json").write_bytes((photos / "transforms.json").read_bytes())
    assert reconstruct(folder, tmp_path / "run", "--steps", "40") == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["test"]["psnr"] > 25
    words = ["-o", str(tmp_path / "a.glb"), "--resolution", "48"]
    assert main(["export", str(tmp_path / "run"), *words]) == 2
    assert "no surface was found" in capsys.readouterr().err


def test_held_out_cameras_are_named_in_the_run(run: Path) -> None:
    """What chooses the density of a mesh's surface."""
    held_out = [one.name for one in load_cameras(run / "cameras.json") if one.held_out]
    metrics = json.loads((run / "metrics.json").read_text())
    assert len(held_out) == metrics["test"]["images"] == 2
    opened = open_scene(run)
    cameras = held_out_cameras(opened)
    assert len(cameras) == 2
    assert len(photo_cameras(opened) or []) == 10


def test_masks_that_leave_nothing_are_refused(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    black = shutil.copytree(photos, tmp_path / "black")
    write_png(black / "mask.png", torch.zeros(56, 72, dtype=torch.uint8))
    data = json.loads((black / "transforms.json").read_text())
    for frame in data["frames"]:
        frame["mask_path"] = "mask.png"
    (black / "transforms.json").write_text(json.dumps(data))
    assert reconstruct(black, tmp_path / "run", "--steps", "2") == 2
    assert "leave no pixel of any photo" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_photos_whose_pixels_are_no_numbers_are_left_out_or_refused(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """NaN needs a format with floating point: TIFF."""
    broken = shutil.copytree(photos, tmp_path / "broken")
    data = json.loads((broken / "transforms.json").read_text())
    values = np.full((56, 72), np.nan, dtype=np.float32)
    for count in (1, 10):
        for frame in data["frames"][:count]:
            frame["file_path"] = Path(frame["file_path"]).with_suffix(".tif").name
            Image.fromarray(values).save(broken / frame["file_path"])
        (broken / "transforms.json").write_text(json.dumps(data))
        status = reconstruct(broken, tmp_path / f"run{count}", "--steps", "2")
        told = capsys.readouterr()
        if count == 1:
            assert status == 0
            assert "1 left out" in told.out
            assert "000.tif" in told.out
        else:
            assert status == 2
            assert "Traceback" not in told.err
            assert "000.tif" in told.err


def test_a_config_with_an_unknown_encoding_is_refused(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reconstruct(photos, tmp_path / "run", "--steps", "1") == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["nerf"]["encoding"] = "hsah"
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    assert reconstruct(photos, tmp_path / "run", "--resume", "--steps", "3") == 2
    assert "hsah" in capsys.readouterr().err


def test_a_learned_background_goes_into_the_scene(photos: Path, tmp_path: Path) -> None:
    found = []
    for name, more in (("mean", ()), ("learned", ("--background", "learned"))):
        assert reconstruct(photos, tmp_path / name, "--steps", "4", *more) == 0
        found.append(load_scene(tmp_path / name / "scene.safetensors").background)
    assert 0 < float((found[0] - found[1]).abs().max()) < 0.03
