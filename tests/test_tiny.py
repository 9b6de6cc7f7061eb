"""Everything once, on something tiny, in under a minute: the commands as a user types them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tondo.cli.main import main
from tondo.demo.photographs import photograph_object
from tondo.evaluation.metrics import psnr
from tondo.io.models.mesh_files import read_mesh
from tondo.io.models.ply import read_splat_file
from tondo.io.models.scene import load_scene
from tondo.io.posed.photos import load_photos
from tondo.scenes.render import render

SIZE, STEPS = 80, 240


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tiny") / "photos"
    photograph_object(out, count=12, test_count=2, size=SIZE, samples=1, grid_resolution=96)
    return out


@pytest.fixture(scope="module")
def run(photos: Path) -> Path:
    out = photos.parent / "run"
    words = ["reconstruct", str(photos), "-o", str(out), "--steps", str(STEPS)]
    assert main([*words, "--max-splats", "6000"]) == 0
    return out


def test_reconstruct_learns_the_object(photos: Path, run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["images"] == 2
    assert metrics["steps"] == STEPS
    assert 100 < metrics["splats"] <= 6000
    # A white picture is at about 11 dB; the object's mean colour on white at about 15.
    assert metrics["test"]["psnr"] > 16
    assert 0 < metrics["test"]["ssim"] <= 1
    config = json.loads((run / "config.json").read_text())
    assert config["seed"] == 0
    assert (run / "events.jsonl").read_text().count("\n") > 0


def test_the_scene_is_what_was_measured(photos: Path, run: Path) -> None:
    scene = load_scene(run / "scene.safetensors")
    per_image = json.loads((run / "metrics.json").read_text())["per_image"]
    for photo in load_photos(photos, max_size=None, load_points=False).test:
        assert photo.alpha is not None
        alpha = photo.alpha[..., None] / 255
        truth = photo.image / 255 * alpha + scene.background * (1 - alpha)
        measured = float(psnr(truth, render(scene, photo.camera).color))
        assert measured == pytest.approx(per_image[photo.name]["psnr"], abs=0.05)


def test_the_same_scene_again_on_other_threads(photos: Path, run: Path) -> None:
    out = photos.parent / "again"
    words = ["reconstruct", str(photos), "-o", str(out), "--steps", str(STEPS)]
    assert main([*words, "--max-splats", "6000", "--threads", "1"]) == 0
    first, second = (load_scene(r / "scene.safetensors").splats for r in (run, out))
    for name in ("means", "quats", "log_scales", "opacity_logits", "sh"):
        assert torch.equal(getattr(first, name), getattr(second, name)), name


def test_a_run_is_not_overwritten(
    photos: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "scene.safetensors").read_bytes()
    assert main(["reconstruct", str(photos), "-o", str(run), "--steps", "1"]) == 2
    assert "--force" in capsys.readouterr().err
    assert (run / "scene.safetensors").read_bytes() == before


def test_evaluate_photos_and_geometry(photos: Path, run: Path) -> None:
    trained = json.loads((run / "metrics.json").read_text())["test"]["psnr"]
    assert main(["evaluate", str(run)]) == 0
    truth = str(photos / "truth.ply")
    words = ["evaluate", str(run), "--mesh", truth, "--resolution", "64", "--points", "5000"]
    assert main(words) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["psnr"] == pytest.approx(trained, abs=0.01)
    assert 0 < metrics["geometry"]["chamfer"] < 0.4  # the object is 2 units across
    assert 0 < metrics["geometry"]["f_score"] <= 1
    assert (run / "renders" / "evaluate" / "contact_sheet.png").exists()


@pytest.mark.parametrize("ending", ["glb", "obj", "ply", "stl"])
def test_export_a_mesh(run: Path, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"model.{ending}"
    assert main(["export", str(run), "-o", str(path), "--resolution", "48", "--faces", "900"]) == 0
    mesh = read_mesh(path)
    assert 100 < len(mesh.faces) <= 900
    extent = mesh.vertices.amax(0) - mesh.vertices.amin(0)
    assert (extent > 0.5).all()
    assert (extent < 4.0).all()


def test_export_splats_and_render_them(photos: Path, run: Path, tmp_path: Path) -> None:
    path = tmp_path / "splats.ply"
    assert main(["export", str(run), "-o", str(path), "--as", "splats"]) == 0
    ours, back = load_scene(run / "scene.safetensors").splats, read_splat_file(path).splats
    assert torch.allclose(ours.means, back.means)
    cameras = str(photos / "transforms_test.json")
    words = ["render", "--cameras", cameras, "--max-size", "64", "--background", "white"]
    for source, name in ((path, "ply"), (run, "run")):
        assert main([*words[:1], str(source), *words[1:], "-o", str(tmp_path / name)]) == 0
    for picture in sorted((tmp_path / "run").glob("*.png")):
        with Image.open(picture) as a, Image.open(tmp_path / "ply" / picture.name) as b:
            assert a.size == (64, 64)
            difference = np.asarray(a).astype(int) - np.asarray(b).astype(int)
        assert np.abs(difference).max() <= 1


def test_render_depth_normals_and_video(photos: Path, run: Path, tmp_path: Path) -> None:
    cameras = str(photos / "transforms_test.json")
    words = ["render", str(run), "--cameras", cameras, "-o", str(tmp_path), "--depth", "--normals"]
    video = tmp_path / "orbit.mp4"
    assert main([*words, "--video", str(video), "--frames", "6"]) == 0
    depths = sorted((tmp_path / "depth").glob("*.npy"))
    assert len(depths) == 2
    depth = np.load(depths[0])
    assert depth.shape == (SIZE, SIZE)
    # The camera stands about 3.6 units from an object that reaches 1.1 from its middle.
    assert 2.2 < np.median(depth[SIZE // 2 - 5 : SIZE // 2 + 5, SIZE // 2 - 5 : SIZE // 2 + 5]) < 4
    assert len(list((tmp_path / "normals").glob("*.png"))) == 2
    assert video.stat().st_size > 500


def test_resume_goes_on(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(["reconstruct", str(photos), "-o", str(out), "--steps", "30"]) == 0
    assert main(["reconstruct", str(photos), "-o", str(out), "--steps", "45", "--resume"]) == 0
    assert json.loads((out / "metrics.json").read_text())["steps"] == 45


def test_a_users_mistake_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "run"
    assert main(["reconstruct", str(tmp_path / "empty"), "-o", str(out)]) == 2
    message = capsys.readouterr().err.strip()
    assert message.startswith("tondo: error: ")
    assert "Traceback" not in message
    assert not (out / "scene.safetensors").exists()


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["native"]["loaded"]
    assert report["native"]["threads"] >= 1
    assert math.isfinite(float(report["versions"]["torch"].split(".")[0]))
