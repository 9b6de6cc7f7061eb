"""Scenes far from the origin (UTM coordinates), very small and very large: as exact as plain ones,
and given back where they were."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
import trimesh
from numpy.typing import NDArray
from torch import Tensor

import small_photos
from ball_field import ball_scene
from tondo.cli.main import main
from tondo.data.cameras import Camera
from tondo.data.field import FieldScene
from tondo.data.mesh import Mesh
from tondo.data.similarity import IDENTITY, Similarity
from tondo.data.splats import Scene
from tondo.errors import InputError
from tondo.geometry.focus import camera_reach
from tondo.geometry.placement import place
from tondo.io.images import read_image, write_png
from tondo.io.models.mesh_files import (
    UP_AXES,
    format_from_world,
    read_mesh,
    read_world_mesh,
    write_mesh,
)
from tondo.io.models.mesh_frames import offset_path
from tondo.io.models.ply import read_splat_file
from tondo.io.models.scene import load_scene, save_scene
from tondo.io.posed.cameras_json import write_cameras
from tondo.io.posed.frames import nearest_rotation
from tondo.io.posed.photos import load_cameras, load_photos
from tondo.runs.run_directory import create_run
from tondo.scenes.open import open_scene
from tondo.scenes.reconstruct import ReconstructOptions, reconstruct
from tondo.scenes.render import render
from tondo.splats.options import SplatOptions

UTM = (332_000.0, 5_412_000.0, 250.0)
PLACES = {
    "utm": Similarity(1.0, UTM),
    "a thousandth": Similarity(1e-3),
    "a ten-thousandth, far": Similarity(1e-4, (40.0, -90.0, 7.0)),
    "millimetres": Similarity(1e3),
    "millimetres, far": Similarity(1e3, (332e6, 5412e6, 25e4)),
}
every_place = pytest.mark.parametrize("there", PLACES.values(), ids=PLACES.keys())


def view_to_world(there: Similarity, viewmat: Tensor) -> Tensor:
    """[4, 4] float64 camera-from-world, of a matrix camera-from-scene."""
    found = viewmat.double().clone()
    turned = found[:3, :3] @ torch.tensor(there.translation, dtype=torch.float64)
    found[:3, 3] = there.scale * found[:3, 3] - turned
    return found


def camera_places(cameras: list[Camera], world_from_scene: Similarity) -> NDArray[np.float64]:
    """[N, 3] in the world."""
    return np.stack(
        [
            np.linalg.inv(view_to_world(world_from_scene, camera.viewmat).numpy())[:3, 3]
            for camera in cameras
        ]
    )


def write_photos(folder: Path, there: Similarity, count: int = 10) -> Path:
    """The small scene's photos and transforms.json, and its points, in a world where it is there"""
    folder.mkdir(parents=True)
    shots = small_photos.photos(count)
    for photo in shots:
        write_png(folder / photo.name, photo.image)
    named = [(photo.name, photo.camera) for photo in shots]
    write_cameras(folder / "transforms.json", named, world_from_scene=there)
    cloud = there.to_world(small_photos.points(50).points).tolist()
    head = "ply\nformat ascii 1.0\nelement vertex 50\n"
    head += "".join(f"property double {axis}\n" for axis in "xyz") + "end_header\n"
    rows = "".join(f"{x!r} {y!r} {z!r}\n" for x, y, z in cloud)
    (folder / "points.ply").write_text(head + rows)
    content = json.loads((folder / "transforms.json").read_text())
    (folder / "transforms.json").write_text(json.dumps({**content, "ply_file_path": "points.ply"}))
    return folder


def write_model(folder: Path, there: Similarity) -> Path:
    """The same as a COLMAP model, with points that three photos see."""
    shots = small_photos.photos(10)
    (folder / "images").mkdir(parents=True)
    for photo in shots:
        write_png(folder / "images" / photo.name, photo.image)
    model = folder / "sparse" / "0"
    model.mkdir(parents=True)
    K, width, height = shots[0].camera.K.double(), shots[0].camera.width, shots[0].camera.height
    intrinsics = f"{K[0, 0]} {K[1, 1]} {K[0, 2]} {K[1, 2]}"
    (model / "cameras.txt").write_text(f"1 PINHOLE {width} {height} {intrinsics}\n")
    cloud = small_photos.points(50).points.double()
    images = ""
    for number, photo in enumerate(shots, start=1):
        exact = photo.camera.viewmat.double()
        exact[:3, :3] = torch.from_numpy(nearest_rotation(exact[:3, :3].numpy()))
        view = view_to_world(there, exact)
        q = quaternion(view[:3, :3].numpy())
        images += " ".join(map(repr, [number, *q, *view[:3, 3].tolist(), 1]))
        local = cloud @ photo.camera.viewmat[:3, :3].double().T
        pixels = (local + photo.camera.viewmat[:3, 3]) @ K.T
        pixels = pixels[:, :2] / pixels[:, 2:]
        seen = " ".join(f"{x} {y} {i + 1}" for i, (x, y) in enumerate(pixels.tolist()))
        images += f" {photo.name}\n{seen}\n"
    (model / "images.txt").write_text(images)
    points = ""
    for i, place_there in enumerate(there.to_world(cloud).tolist()):
        track = " ".join(f"{number} {i}" for number in range(1, 11))
        points += f"{i + 1} {' '.join(map(repr, place_there))} 9 9 9 0.1 {track}\n"
    (model / "points3D.txt").write_text(points)
    return folder


def quaternion(R: NDArray[np.float64]) -> list[float]:
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(R).as_quat().tolist()
    return [w, x, y, z]


@every_place
@pytest.mark.parametrize("write", [write_photos, write_model], ids=["transforms", "colmap"])
def test_cameras_and_points_are_as_exact_as_in_a_plain_scene(
    tmp_path: Path, there: Similarity, write: Callable[[Path, Similarity], Path]
) -> None:
    found = load_photos(write(tmp_path / "there", there), max_size=None, holdout=0)
    cameras = [photo.camera for photo in found.train]
    assert 1 <= camera_reach(cameras) < 11
    truth = camera_places([photo.camera for photo in small_photos.photos(10)], there)
    off = np.abs(camera_places(cameras, found.world_from_scene) - truth).max()
    assert off < 2e-6 * there.scale
    assert found.points is not None
    cloud = found.world_from_scene.to_world(found.points.points)
    known = there.to_world(small_photos.points(50).points)
    nearest = torch.cdist(cloud - known.mean(0), known - known.mean(0)).amin(dim=1)
    assert len(cloud) >= 30
    assert float(nearest.max()) < 2e-5 * there.scale
    assert "given back where it was" in found.notes[-1]


def test_usual_scenes_stay_as_they_are(tmp_path: Path) -> None:
    for scale, shift in ((1.0, 0.0), (0.1, 0.0), (50.0, 1000.0), (1.0, 200.0)):
        there = Similarity(scale, (shift, 0.0, -shift))
        found = load_photos(write_photos(tmp_path / f"{scale} {shift}", there), max_size=None)
        named = load_cameras(tmp_path / f"{scale} {shift}")
        assert found.world_from_scene == IDENTITY
        assert found.notes == ()
        assert torch.equal(found.train[0].camera.viewmat, named[1].camera.viewmat)


def test_cameras_in_one_place_have_no_size() -> None:
    views = torch.eye(4, dtype=torch.float64).repeat(9, 1, 1)
    assert place(views) == IDENTITY
    views[:, :3, 3] = -torch.tensor(UTM, dtype=torch.float64)
    assert place(views) == Similarity(1.0, UTM)


@pytest.mark.parametrize("there", [PLACES["a ten-thousandth, far"]])
def test_a_run_gives_everything_back(tmp_path: Path, there: Similarity) -> None:
    """A training of a few steps: the same pictures as of the plain scene, cameras in the world."""
    options = ReconstructOptions(steps=4, splats=SplatOptions(max_splats=100))
    plain, moved = (
        reconstruct(write_photos(tmp_path / name, one), tmp_path / f"run {name}", options)
        for name, one in (("plain", IDENTITY), ("there", there))
    )
    assert plain.metrics is not None
    assert moved.metrics is not None
    assert moved.metrics.mean.psnr == pytest.approx(plain.metrics.mean.psnr, abs=0.3)
    written = load_cameras(moved.run.cameras_path, world_from_scene=there)
    for name, one in ((c.name, c.camera) for c in written):
        known = next(p for p in small_photos.photos(10) if p.name.startswith(name)).camera
        assert torch.allclose(one.viewmat, known.viewmat, atol=1e-4)
    stored = load_scene(moved.run.scene_path)
    assert stored.world_from_scene == moved.model.world_from_scene
    before = json.loads(moved.run.metrics_path.read_text())["test"]
    assert main(["evaluate", str(moved.run.path)]) == 0
    assert json.loads(moved.run.metrics_path.read_text())["test"] == pytest.approx(before)


def run_there(folder: Path, scene: Scene | FieldScene, there: Similarity) -> Path:
    """A finished run of a known scene that is there, worked on as it was."""
    made = create_run(folder, {"tondo": "0.1.0", "command": "reconstruct"})
    save_scene(made.scene_path, replace(scene, world_from_scene=there))
    named = [(f"{i}.png", camera) for i, camera in enumerate(small_photos.cameras(8))]
    write_cameras(made.cameras_path, named, world_from_scene=there)
    return made.path


@pytest.mark.parametrize("there", [PLACES["millimetres, far"]])
def test_pictures_and_depths(tmp_path: Path, there: Similarity) -> None:
    scene = small_photos.known_scene()
    run = run_there(tmp_path / "run", scene, there)
    argv = ["render", str(run), "--cameras", str(run / "cameras.json"), "-o", str(tmp_path / "o")]
    assert main([*argv, "--depth"]) == 0
    view = render(scene, small_photos.cameras(8)[3])
    depth = np.load(tmp_path / "o" / "depth" / "3.npy")
    solid = view.alpha.numpy() > 0.9
    expected = view.depth.numpy()[solid] * there.scale
    assert np.abs(depth[solid] / expected - 1).max() < 1e-3
    video = tmp_path / "v.mp4"
    assert main(["render", str(run), "--video", str(video), "--frames", "2"]) == 0
    assert video.stat().st_size > 1000


@every_place
@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply", ".stl"])
@pytest.mark.parametrize("frame", ["format", "world"])
def test_meshes_come_back(
    tmp_path: Path, there: Similarity, suffix: str, frame: Literal["format", "world"]
) -> None:
    """Every number of a mesh, to the 24 bits that it had around 0, in trimesh's eyes too."""
    up = torch.tensor([0.6, -0.48, 0.64])
    cloud = small_photos.points(60).points
    faces = torch.arange(60).view(20, 3)
    mesh = Mesh(cloud, faces, world_from_scene=there)
    target = tmp_path / f"m{suffix}"
    left = write_mesh(target, mesh, up, frame)
    assert left.any() == (suffix == ".stl" and there.is_shifted)
    assert offset_path(target).exists() == left.any()
    back = read_world_mesh(target, None, up)
    world = back.world_from_scene.to_world(back.vertices)[back.faces.flatten()]
    far = max(map(abs, there.translation))
    exact = 5e-7 * there.scale + 1e-15 * far
    assert float((world - there.to_world(cloud)).abs().max()) < exact
    seen = trimesh.load_scene(target, process=False).to_geometry()
    corners = torch.tensor(seen.vertices[seen.faces].reshape(-1, 3) + left)
    turn = format_from_world(up, UP_AXES[suffix]) if frame == "format" else np.eye(3)
    assert float((corners @ torch.from_numpy(turn) - there.to_world(cloud)).abs().max()) < exact


def test_an_offset_that_no_longer_holds_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "m.stl"
    mesh = Mesh(small_photos.points(3).points, torch.arange(3)[None])
    write_mesh(target, replace(mesh, world_from_scene=PLACES["utm"]), mesh.vertices[0])
    assert json.loads(offset_path(target).read_text())["offset"] != [0, 0, 0]
    write_mesh(target, mesh, mesh.vertices[0])
    assert not offset_path(target).exists()
    offset_path(target).write_text("[1, 2]")
    with pytest.raises(InputError, match=r"m\.stl\.offset\.json is damaged"):
        read_mesh(target)


def test_export_says_what_the_file_cannot_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a field, too."""
    there = PLACES["utm"]
    run = run_there(tmp_path / "run", ball_scene(), there)
    target = tmp_path / "m.stl"
    assert main(["export", str(run), "-o", str(target), "--resolution", "24"]) == 0
    assert "add 332000, 5412000, 250 to the coordinates of m.stl" in capsys.readouterr().out
    argv = ["evaluate", str(run), "--mesh", str(target), "--ours", str(target), "--points", "500"]
    assert main([*argv, "--threshold", "0.2"]) == 0
    assert json.loads((run / "metrics.json").read_text())["geometry"]["f_score"] == 1


@every_place
def test_splats_come_back(tmp_path: Path, there: Similarity) -> None:
    scene = small_photos.known_scene()
    run = run_there(tmp_path / "run", scene, there)
    ply = tmp_path / "s.ply"
    assert main(["export", str(run), "-o", str(ply), "--as", "splats"]) == 0
    raw = read_splat_file(ply).splats
    assert float(raw.means.abs().max()) < 2 * there.scale, "the offset is not in 32-bit numbers"
    back = open_scene(ply).scene
    assert isinstance(back, Scene)
    world = back.world_from_scene.to_world(back.splats.means)
    assert torch.allclose(there.to_scene(world), scene.splats.means.double(), atol=1e-5)
    argv = ["render", str(ply), "--cameras", str(run / "cameras.json"), "-o", str(tmp_path / "o")]
    assert main([*argv, "--background", "0.5,0.5,0.5"]) == 0
    picture = read_image(tmp_path / "o" / "3.png").rgb.float() / 255
    expected = render(scene, small_photos.cameras(8)[3]).color
    assert float((picture - expected).abs().max()) < 0.02


def test_a_surface_against_a_scan_far_away(tmp_path: Path) -> None:
    """Thresholds, distances and truth are in the world."""
    there = PLACES["millimetres, far"]
    run = run_there(tmp_path / "run", small_photos.known_scene(), there)
    up = torch.tensor([0.0, 0.0, 1.0])
    ball = trimesh.creation.icosphere(subdivisions=3)
    faces = torch.tensor(np.asarray(ball.faces))
    for name, radius in (("truth.glb", 1.0), ("ours.ply", 1.02)):
        vertices = torch.tensor(np.asarray(ball.vertices) * radius).float()
        write_mesh(tmp_path / name, Mesh(vertices, faces, world_from_scene=there), up)
    argv = ["evaluate", str(run), "--mesh", str(tmp_path / "truth.glb"), "--points", "4000"]
    assert main([*argv, "--ours", str(tmp_path / "ours.ply"), "--threshold", "100"]) == 0
    found = json.loads((run / "metrics.json").read_text())["geometry"]
    assert found["threshold"] == 100
    assert 19 < found["accuracy"] < 60  # 20 mm, and points at random
    assert found["f_score"] > 0.95
