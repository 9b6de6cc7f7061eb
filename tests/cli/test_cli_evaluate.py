"""`tondo evaluate` as a user types it."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small_scene import HEIGHT, WIDTH, ring, small_scene, write_photos, write_transforms

from tondo.cli.main import main
from tondo.data.mesh import Mesh
from tondo.data.splats import Exposures
from tondo.io.images import image_size
from tondo.io.models.mesh_files import write_mesh
from tondo.io.models.ply import write_splats
from tondo.io.models.scene import save_scene
from tondo.runs.run_directory import RunDirectory, create_run, open_run, write_metrics


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Nine photos of the small scene; with every 8th held out, 000 and 008."""
    write_photos(tmp_path / "photos", small_scene(), ring())
    return tmp_path / "photos"


def new_run(tmp_path: Path, photos: Path, **config: Any) -> RunDirectory:
    settings = {"tondo": "0.1.0", "source": str(photos), "max_size": None, "holdout": 8, **config}
    run = create_run(tmp_path / "run", settings)
    save_scene(run.scene_path, small_scene())
    write_transforms(run.cameras_path, ring(), [f"images/{i}.png" for i in range(9)])
    write_metrics(run, {"train_seconds": 12.5, "steps": 700, "splats": 300, "peak_memory_mb": 400})
    return run


def metrics_of(path: Path) -> dict[str, Any]:
    found = json.loads((path / "metrics.json").read_text())
    assert isinstance(found, dict)
    return found


def test_held_out_photos_are_measured(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = new_run(tmp_path, photos)
    assert main(["evaluate", str(run.path)]) == 0
    out = capsys.readouterr().out
    assert "mean of 2" in out
    assert "images/008.png" in out
    found = metrics_of(run.path)
    assert found["test"]["images"] == 2
    assert found["test"]["psnr"] > 50, "a scene and photos of itself"
    assert found["test"]["ssim"] > 0.999
    assert found["test"]["perceptual"] < 0.01
    assert set(found["per_image"]) == {"images/000.png", "images/008.png"}
    assert (found["train_seconds"], found["steps"], found["splats"]) == (12.5, 700, 300)
    assert found["measured_on"] == f"held-out photos of {photos}"
    pictures = run.renders_dir / "evaluate"
    assert sorted(p.name for p in pictures.iterdir()) == ["000.png", "008.png", "contact_sheet.png"]
    assert image_size(pictures / "000.png")[0] > 3 * WIDTH


def test_the_runs_size_is_used_and_can_be_changed(tmp_path: Path, photos: Path) -> None:
    run = new_run(tmp_path, photos, max_size=36)
    assert main(["evaluate", str(run.path)]) == 0
    smaller = metrics_of(run.path)["test"]["psnr"]
    assert main(["evaluate", str(run.path), "--max-size", str(WIDTH)]) == 0
    assert metrics_of(run.path)["test"]["psnr"] > smaller + 3


def test_cameras_of_ones_own(tmp_path: Path, photos: Path) -> None:
    run = new_run(tmp_path, photos)
    cameras = ring()[2:5]
    path = photos / "others.json"
    write_transforms(path, cameras, [f"images/{i:03d}.png" for i in (2, 3, 4)])
    assert main(["evaluate", str(run.path), "--cameras", str(path)]) == 0
    found = metrics_of(run.path)
    assert found["test"]["images"] == 3
    assert found["measured_on"] == f"all photos of {path}"


def test_photos_that_moved(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = new_run(tmp_path, photos)
    moved = tmp_path / "elsewhere"
    shutil.move(photos, moved)
    assert main(["evaluate", str(run.path)]) == 2
    assert capsys.readouterr().err == (
        f"tondo: error: the photos of this run were at {photos}, where nothing is now: "
        "give their place as --source, or a transforms.json as --cameras\n"
    )
    assert metrics_of(run.path).keys() == {"train_seconds", "steps", "splats", "peak_memory_mb"}
    assert main(["evaluate", str(run.path), "--source", str(moved)]) == 0
    assert metrics_of(run.path)["test"]["images"] == 2


def test_the_textured_mesh_on_photos(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = new_run(tmp_path, photos)
    argv = ["evaluate", str(run.path), "--as-mesh", "--resolution", "40"]
    assert main([*argv, "--faces", "400", "--texture", "128"]) == 0
    out = capsys.readouterr().out
    assert "mean of 2" in out
    assert "texture 128x128" in out
    found = metrics_of(run.path)
    assert found["train_seconds"] == 12.5
    assert "test" not in found, "the scene alone was not asked for"
    found = found["as_mesh"]
    assert 300 < found["faces"] <= 400
    assert found["texture"] == [128, 128]
    assert found["images"] == 2
    assert found["measured_on"] == f"held-out photos of {photos}"
    assert found["silhouette_iou"] is None, "the photos have no alpha"
    psnr = {k: found[k]["psnr"] for k in ("textured_mesh", "vertex_colors", "splats")}
    assert psnr["splats"] > 50
    assert 50 > psnr["textured_mesh"] > psnr["vertex_colors"] > 12
    assert found["textured_mesh"]["inside"]["psnr"] > found["vertex_colors"]["inside"]["psnr"]
    assert found["uvs"]["overlaps"] == found["uvs"]["mirrored"] == 0
    assert 0 < found["seams"]["ratio"] < 3
    assert set(found["per_image"]) == {"images/000.png", "images/008.png"}
    pictures = run.renders_dir / "as_mesh"
    assert sorted(p.name for p in pictures.iterdir()) == ["000.png", "008.png", "contact_sheet.png"]


def test_a_mesh_of_ones_own_on_photos(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As bright as a photo from there would be, as the scene is."""
    run = new_run(tmp_path, photos)
    cameras = torch.stack([camera.viewmat for camera in ring()])
    darker = Exposures(cameras, (0.5 * torch.eye(3, 4)).expand(9, 3, 4).contiguous())
    save_scene(run.scene_path, replace(small_scene(), exposures=darker))
    path = tmp_path / "ball.ply"
    write_mesh(path, sphere(1.0, (0.5, 0, 0)), torch.tensor([0.0, 0, 1]), "world")
    argv = ["evaluate", str(run.path), "--as-mesh", "--ours", str(path)]
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert "vertex colors" in out
    assert "textured" not in out
    found = metrics_of(run.path)["as_mesh"]
    assert (found["texture"], found["seams"], found["uvs"]) == (None, None, None)
    picture = np.asarray(Image.open(run.renders_dir / "as_mesh" / "000.png"))
    width = (picture.shape[1] - 54) // 4  # photo, vertex colours, splats, errors, scale
    corner = picture[60:64, 12 + width : 30 + width]
    assert np.abs(corner.astype(int) - 128).max() < 3, "a white background of half the brightness"
    assert abs(found["splats"]["psnr"] - found["vertex_colors"]["psnr"]) < 3
    for extra in (["--faces", "9"], ["--texture", "64"]):
        assert main([*argv, *extra]) == 2
        assert "leave out --ours" in capsys.readouterr().err
        assert main(["evaluate", str(run.path), *extra]) == 2
        assert "go with --as-mesh" in capsys.readouterr().err


def test_prepared_photos_inside_the_run(tmp_path: Path, photos: Path) -> None:
    run = new_run(tmp_path, photos, source="/photos/without/poses", posed="prepared")
    shutil.move(photos, run.path / "prepared")
    assert main(["evaluate", str(run.path)]) == 0
    assert metrics_of(run.path)["test"]["images"] == 2


def test_nothing_held_out(tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = new_run(tmp_path, photos, holdout=0)
    assert main(["evaluate", str(run.path)]) == 2
    assert "was held out from training" in capsys.readouterr().err


def test_splats_of_another_program(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ply = tmp_path / "splats.ply"
    write_splats(ply, small_scene().splats)
    argv = ["evaluate", str(ply), "--cameras", str(photos / "transforms.json")]
    assert main(argv) == 2
    assert (
        f"{ply} is not a run's folder: say with --output where to write" in capsys.readouterr().err
    )
    assert main([*argv, "-o", str(tmp_path / "out"), "--background", "white"]) == 0
    found = metrics_of(tmp_path / "out")
    assert found["test"]["images"] == 9
    assert found["test"]["psnr"] > 50
    assert found["splats"] == 300


def sphere(radius: float, center: tuple[float, float, float]) -> Mesh:
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    vertices = torch.tensor(np.asarray(ball.vertices), dtype=torch.float32) + torch.tensor(center)
    return Mesh(vertices, torch.from_numpy(np.asarray(ball.faces, dtype=np.int64)))


def test_a_mesh_against_a_scan(tmp_path: Path, photos: Path) -> None:
    run = new_run(tmp_path, photos)
    up = torch.tensor([0.0, 0, 1])
    truth, ours = tmp_path / "truth.ply", tmp_path / "ours.stl"
    write_mesh(truth, sphere(1.0, (0.5, 0, 0)), up)
    write_mesh(ours, sphere(1.02, (0.5, 0, 0)), up)
    argv = ["evaluate", str(run.path), "--mesh", str(truth), "--ours", str(ours)]
    assert main([*argv, "--points", "20000"]) == 0
    found = metrics_of(run.path)
    assert found["train_seconds"] == 12.5
    assert "test" not in found, "photos were not asked for"
    geometry = found["geometry"]
    # The distance is at least that of the surfaces; points at random are a little further apart.
    assert 0.0199 < geometry["accuracy"] < 0.035
    assert 0.0199 < geometry["completeness"] < 0.035
    assert geometry["threshold"] == pytest.approx(0.01 * 2 * 3**0.5, rel=0.01)
    assert geometry["f_score"] > 0.75
    assert main([*argv, "--points", "20000", "--threshold", "0.019"]) == 0
    assert metrics_of(run.path)["geometry"]["f_score"] < 0.01


def test_what_no_photo_shows_is_measured_apart(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ball inside of ours that no camera can see costs the whole surface, not the visible one."""
    run = new_run(tmp_path, photos)
    up = torch.tensor([0.0, 0, 1])
    outer, inner = sphere(1.0, (0.5, 0, 0)), sphere(0.6, (0.5, 0, 0))
    both = Mesh(
        torch.cat([outer.vertices, inner.vertices]),
        torch.cat([outer.faces, inner.faces + len(outer.vertices)]),
    )
    truth, ours = tmp_path / "truth.ply", tmp_path / "ours.stl"
    write_mesh(truth, outer, up)
    write_mesh(ours, both, up)
    argv = ["evaluate", str(run.path), "--mesh", str(truth), "--ours", str(ours)]
    assert main([*argv, "--points", "20000", "--threshold", "0.1"]) == 0
    geometry = metrics_of(run.path)["geometry"]
    assert geometry["precision"] == pytest.approx(1 / 1.36, abs=0.02)
    assert geometry["visible"]["precision"] > 0.999
    assert geometry["visible"]["recall"] > 0.999
    # The ring looks down on the ball: less than the whole of it, more than half.
    assert 0.5 < geometry["visible"]["points"][1] / 20000 < 0.95
    assert "what the photos show" in capsys.readouterr().out


def test_our_own_mesh_against_a_point_cloud(tmp_path: Path, photos: Path) -> None:
    run = new_run(tmp_path, photos)
    scene = small_scene(count=3000)
    small = torch.full_like(scene.splats.log_scales, math.log(0.04))
    scene = replace(scene, splats=replace(scene.splats, log_scales=small))
    save_scene(run.scene_path, scene)
    cloud = sphere(1.0, (0.5, 0, 0)).vertices
    lines = "".join(f"{x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in cloud.tolist())
    truth = tmp_path / "cloud.ply"
    truth.write_text(
        f"ply\nformat ascii 1.0\nelement vertex {len(cloud)}\nproperty float x\n"
        f"property float y\nproperty float z\nend_header\n{lines}"
    )
    argv = ["evaluate", str(run.path), "--mesh", str(truth), "--resolution", "48"]
    assert main([*argv, "--threshold", "0.25", "--points", "5000"]) == 0
    geometry = metrics_of(run.path)["geometry"]
    assert geometry["chamfer"] < 0.3
    assert geometry["precision"] > 0.6
    assert geometry["points"] == [5000, len(cloud)]


def test_what_cannot_be_evaluated(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = new_run(tmp_path, photos)
    before = run.metrics_path.read_bytes()
    text, points = tmp_path / "notes.txt", tmp_path / "lying.ply"
    text.write_text("hello")
    points.write_text(
        "ply\nformat binary_little_endian 1.0\nelement vertex 9000000\nproperty float x\n"
        "property float y\nproperty float z\nend_header\n"
    )
    cases = {
        ("--ours", "a.ply"): "--ours goes with --mesh, the true surface, or with --as-mesh",
        ("--mesh", str(text)): "meshes can be read from",
        ("--mesh", str(points)): "9000000 vertex",
        ("--mesh", f"{tmp_path}/none.ply"): "none.ply",
        ("--cameras", f"{tmp_path}/none.json"): "none.json",
        ("--threshold", "-1", "--mesh", "a.ply"): "--threshold must be above 0, got -1",
    }
    for extra, expected in cases.items():
        assert main(["evaluate", str(run.path), *extra]) == 2
        err = capsys.readouterr().err
        assert expected in err
        assert "Traceback" not in err
    assert run.metrics_path.read_bytes() == before
    run.config_path.write_text('{"tondo": "0.1.0", "source": "x", "max_size": "big"}')
    assert main(["evaluate", str(run.path)]) == 2
    assert "max_size must be a whole number, got 'big'" in capsys.readouterr().err
    assert open_run(run.path).path == run.path
    assert HEIGHT < WIDTH


def test_one_photo_is_enough_and_missing_ones_are_named(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = new_run(tmp_path, photos)
    path = photos / "others.json"
    write_transforms(path, ring()[2:4], ["images/002.png", "images/gone.png"])
    assert main(["evaluate", str(run.path), "--cameras", str(path)]) == 0
    assert "left out: images/gone.png: " in capsys.readouterr().out
    assert metrics_of(run.path)["test"]["images"] == 1
