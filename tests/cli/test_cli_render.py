"""`tondo render` as a user types it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from small_scene import HEIGHT, WIDTH, ring, small_scene, write_transforms

from tondo.cli.main import main
from tondo.data.cameras import Camera
from tondo.data.splats import Exposures
from tondo.geometry.cameras import fitted
from tondo.io.models.ply import write_splats
from tondo.io.models.scene import save_scene
from tondo.runs.run_directory import create_run
from tondo.scenes.render import render


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run of the small scene, with the cameras of its photos."""
    made = create_run(tmp_path / "run", {"tondo": "0.1.0", "command": "reconstruct"})
    save_scene(made.scene_path, small_scene())
    write_transforms(made.cameras_path, ring(), [f"images/{i}.png" for i in range(9)])
    return made.path


@pytest.fixture
def cameras(tmp_path: Path) -> Path:
    path = tmp_path / "views" / "transforms.json"
    write_transforms(path, ring(3), ["images/a.jpg", "images/b.c.jpg", "images/d.jpg"])
    return path


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_one_picture_for_each_frame(run: Path, cameras: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["render", str(run), "--cameras", str(cameras), "-o", str(out)]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["a.png", "b.c.png", "d.png"]
    expected = render(small_scene(), ring(3)[1]).color
    found = pixels(out / "b.c.png").astype(np.float32) / 255
    assert found.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(found - expected.numpy()).max() < 0.5 / 255 + 1e-3
    assert expected.std() > 0.1, "the picture shows something"


def test_max_size_depth_normals_and_background(run: Path, cameras: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    argv = ["render", str(run), "--cameras", str(cameras), "-o", str(out), "--max-size", "36"]
    assert main([*argv, "--depth", "--normals", "--background", "1,0,0"]) == 0
    scene = replace(small_scene(), background=torch.tensor([1.0, 0, 0]))
    view = render(scene, fitted(ring(3)[0], 36), with_normals=True)
    assert pixels(out / "a.png").shape == (25, 36, 3)
    assert pixels(out / "a.png")[0, 0].tolist() == [255, 0, 0]
    depth = np.load(out / "depth" / "a.npy")
    np.testing.assert_allclose(depth, view.depth.numpy(), atol=1e-4)
    assert 2.8 < depth[12, 18] < 4.0
    stored = pixels(out / "depth" / "a.png").astype(np.float64)
    assert np.abs(stored / 1000 - depth).max() <= 0.00051
    normal = pixels(out / "normals" / "a.png")[12, 18] / 255 * 2 - 1
    assert normal @ ring(3)[0].viewmat[2, :3].numpy() < -0.5, "towards the camera"
    assert not (out / "depth" / "d_depth.png").exists()


def test_brightness_as_in_photos_from_nearby(run: Path, cameras: Path, tmp_path: Path) -> None:
    views = torch.stack([camera.viewmat for camera in ring(8)])
    exposures = Exposures(views, (0.8 * torch.eye(3, 4)).expand(8, 3, 4).clone())
    save_scene(run / "scene.safetensors", replace(small_scene(), exposures=exposures))
    argv = ["render", str(run), "--cameras", str(cameras), "-o"]
    assert main([*argv, str(tmp_path / "near")]) == 0
    assert main([*argv, str(tmp_path / "mean"), "--exposure", "mean"]) == 0
    mean = pixels(tmp_path / "mean" / "a.png").astype(float)
    unclipped = mean < 255
    off = np.abs(pixels(tmp_path / "near" / "a.png") - 0.8 * mean)[unclipped]
    assert off.max() < 1.1
    assert mean[unclipped].max() > 150


def test_frames_of_the_same_name_all_get_a_picture(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "transforms.json"
    write_transforms(path, ring(3), ["left/0.png", "right/0.png", "left/1.png"])
    assert main(["render", str(run), "--cameras", str(path), "-o", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 3
    assert "because frames share a file name" in capsys.readouterr().out


def video_frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("path", ["orbit", "spiral"])
def test_a_video_goes_around_the_scene(run: Path, tmp_path: Path, path: str) -> None:
    video = tmp_path / "films" / "turn.mp4"
    argv = ["render", str(run), "--video", str(video), "--path", path, "--frames", "12"]
    assert main([*argv, "--fps", "6"]) == 0
    frames = video_frames(video)
    assert len(frames) == 12
    assert frames[0].shape == (HEIGHT, WIDTH, 3)
    for frame in frames:
        corner, middle = frame[:4, :4].mean(), frame[HEIGHT // 2 - 8 : HEIGHT // 2 + 8].std()
        assert corner > 245, "white background around the object"
        assert middle > 25, "the object in the middle"
    assert np.abs(frames[0].astype(float) - frames[3]).mean() > 8, "the other side is another view"


def test_splats_of_another_program(tmp_path: Path, cameras: Path) -> None:
    ply = tmp_path / "splats.ply"
    write_splats(ply, small_scene().splats)
    argv = ["render", str(ply), "--cameras", str(cameras), "-o", str(tmp_path / "out")]
    video = ["--video", str(tmp_path / "a.mp4"), "--frames", "3", "--background", "white"]
    assert main([*argv, *video]) == 0
    expected = render(small_scene(), ring(3)[2]).color.numpy()
    found = pixels(tmp_path / "out" / "d.png") / 255
    assert np.abs(found - expected).max() < 0.01
    assert len(video_frames(tmp_path / "a.mp4")) == 3


def test_a_video_of_odd_size_is_made_even(run: Path, tmp_path: Path) -> None:
    argv = ["render", str(run), "--video", str(tmp_path / "a.mp4"), "--frames", "2"]
    assert main([*argv, "--max-size", "49"]) == 0
    assert video_frames(tmp_path / "a.mp4")[0].shape == (34, 48, 3)


def error_of(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tondo: error: ")
    assert err.count("\n") == 1
    return err.removeprefix("tondo: error: ").rstrip("\n")


def test_what_cannot_be_rendered(
    run: Path, cameras: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, views = ["-o", str(tmp_path / "out")], ["--cameras", str(cameras)]
    cases = {
        ("render", str(run)): "nothing to render: give a transforms.json as --cameras with a "
        "folder as --output, or an .mp4 file as --video",
        ("render", str(run), *out, "--video", "a.mp4"): "--output needs --cameras, a "
        "transforms.json, to render from",
        ("render", str(run), "--video", "a.mp4", "--depth"): "--depth and --normals go with "
        "--cameras and --output",
        ("render", str(run), "--video", "a.gif"): "--video writes .mp4 files, got a.gif",
        ("render", f"{tmp_path}/no", *views, *out): f"there is no run or scene at {tmp_path}/no: "
        "nothing of that name exists",
        ("render", str(cameras), *views, *out): f"{cameras} is not a scene: expected a run's "
        "folder, a .safetensors or a .ply of splats",
        ("render", str(tmp_path), *views, *out): f"{tmp_path} is not a run of Tondo: it has no "
        "config.json",
    }
    for argv, expected in cases.items():
        assert error_of(list(argv), capsys) == expected
    assert not (tmp_path / "out").exists()
    unfinished = create_run(tmp_path / "unfinished", {"tondo": "0.1.0"})
    assert error_of(["render", str(unfinished.path), *views, *out], capsys) == (
        f"the run {unfinished.path} has no scene.safetensors yet: finish it first with "
        "`tondo reconstruct ... --resume`"
    )
    assert "got 0" in error_of_parser(["render", str(run), "--max-size", "0"], capsys)


def error_of_parser(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(argv) == 2
    return capsys.readouterr().err


def test_a_scene_cut_in_half(
    run: Path, cameras: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = run / "scene.safetensors"
    scene.write_bytes(scene.read_bytes()[: scene.stat().st_size // 2])
    argv = ["render", str(run), "--cameras", str(cameras), "-o", str(tmp_path / "out")]
    assert str(scene) in error_of(argv, capsys)
    assert not (tmp_path / "out").exists()


def test_a_picture_too_large_to_make(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    camera = ring(1)[0]
    large = Camera(camera.viewmat, camera.K, 60_000, 3_000)
    write_transforms(tmp_path / "transforms.json", [large], ["a.png"])
    argv = ["render", str(run), "--cameras", str(tmp_path / "transforms.json")]
    message = error_of([*argv, "-o", str(tmp_path / "out")], capsys)
    assert "max-size" in message or "large" in message


def test_an_output_that_is_a_file(
    run: Path, cameras: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("mine")
    argv = ["render", str(run), "--cameras", str(cameras), "-o", str(tmp_path / "out")]
    assert "cannot write" in error_of(argv, capsys)
    assert (tmp_path / "out").read_text() == "mine"
    assert json.loads((run / "config.json").read_text())["tondo"] == "0.1.0"


def test_a_ply_alone_has_no_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ply = tmp_path / "splats.ply"
    write_splats(ply, small_scene(count=10).splats)
    message = error_of(["render", str(ply), "--video", str(tmp_path / "a.mp4")], capsys)
    assert message == (
        f"a path around {ply} needs to know where the photos were taken: "
        "give a transforms.json as --cameras"
    )


def test_blenders_cameras_without_pictures_take_the_runs_size(run: Path, tmp_path: Path) -> None:
    frames = []
    for camera in ring(2):
        world = torch.linalg.inv(camera.viewmat.double())
        world[:3, 1:3] *= -1
        frames.append({"file_path": f"./test/r_{len(frames)}", "transform_matrix": world.tolist()})
    path = tmp_path / "transforms_test.json"
    path.write_text(json.dumps({"camera_angle_x": 0.85, "frames": frames}))
    assert main(["render", str(run), "--cameras", str(path), "-o", str(tmp_path / "out")]) == 0
    assert pixels(tmp_path / "out" / "r_1.png").shape == (HEIGHT, WIDTH, 3)
