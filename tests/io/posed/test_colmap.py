from __future__ import annotations

import contextlib
import shutil
import struct
from pathlib import Path

import numpy as np
import pycolmap
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tondo.data.photos import Photo
from tondo.errors import InputError, TondoError
from tondo.io.posed.colmap import is_model, read_model
from tondo.io.posed.colmap_points import initial_points
from tondo.io.posed.frames import pinhole_camera
from tondo.io.posed.undistort import Lens

FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
W, H = 64, 48
PARAMS = [60.0, 58.0, 31.0, 25.0, 0.08, -0.02, 0.001, 0.002]
IMAGES, POINTS = 5, 30


def make_model(seed: int = 0) -> pycolmap.Reconstruction:
    """Cameras on an arc before random points, with exact observations through a distorting lens."""
    model = pycolmap.Reconstruction()
    camera = pycolmap.Camera(model="OPENCV", width=W, height=H, params=PARAMS, camera_id=7)
    model.add_camera_with_trivial_rig(camera)
    random = np.random.default_rng(seed)
    points = random.uniform(-0.8, 0.8, (POINTS, 3))
    ids = [
        model.add_point3D(p, pycolmap.Track(), random.integers(0, 255, 3).astype(np.uint8))
        for p in points
    ]
    for i in range(IMAGES):
        angle = 0.25 * (i - IMAGES / 2)
        rotation = pycolmap.Rotation3d(np.array([0, np.sin(angle / 2), 0, np.cos(angle / 2)]))
        pose = pycolmap.Rigid3d(rotation, np.array([0.1 * i, 0.05, 4.0]))
        xy = camera.img_from_cam(points @ pose.rotation.matrix().T + pose.translation)
        image = pycolmap.Image(
            name=f"walk {i}.png" if i == 2 else f"{i}.png",
            camera_id=7,
            image_id=i + 11,
            points2D=[pycolmap.Point2D(p) for p in xy],
        )
        model.add_image_with_trivial_frame(image, pose)
        for k, point_id in enumerate(ids):
            if (k + i) % 3:
                model.add_observation(point_id, pycolmap.TrackElement(i + 11, k))
    return model


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same model in both forms."""
    model = make_model()
    found = {kind: tmp_path_factory.mktemp(kind) for kind in ("bin", "txt")}
    model.write_binary(found["bin"])
    model.write_text(found["txt"])
    return found


@pytest.mark.parametrize("kind", ["bin", "txt"])
def test_reads_what_pycolmap_reads(folders: dict[str, Path], kind: str) -> None:
    found = read_model(folders[kind])
    wanted = pycolmap.Reconstruction(folders[kind])
    assert found.lenses == {7: Lens("OPENCV", W, H, tuple(PARAMS))}
    assert [i.image_id for i in found.images] == sorted(wanted.images)
    for image in found.images:
        other = wanted.images[image.image_id]
        assert image.name == other.name or (kind == "txt" and " " in image.name)
        assert image.camera_id == 7
        assert np.allclose(image.viewmat[:3], other.cam_from_world().matrix(), atol=1e-12)
        assert np.allclose(image.observations, [p.xy for p in other.points2D])
    tracks = found.tracks
    order = list(wanted.points3D) if kind == "bin" else sorted(wanted.points3D)
    by_place = {tuple(np.round(p.xyz, 9)): p for p in wanted.points3D.values()}
    assert len(tracks.points) == len(order) == POINTS
    for index, place in enumerate(tracks.points):
        point = by_place[tuple(np.round(place, 9))]
        assert tracks.colors[index].tolist() == point.color.tolist()
        mine = tracks.point_index == index
        pairs = set(zip(tracks.image_id[mine], tracks.observation_index[mine], strict=True))
        assert pairs == {(e.image_id, e.point2D_idx) for e in point.track.elements}


def test_an_image_without_observations_in_text(tmp_path: Path) -> None:
    (tmp_path / "cameras.txt").write_text("# comment\n1 PINHOLE 64 48 60 58 31 25\n")
    (tmp_path / "images.txt").write_text(
        "# comment\n1 1 0 0 0 0 0 4 1 a.png\n\n2 2 0 0 0 1 0 4 1 b c.png\n10 20 -1\n"
    )
    model = read_model(tmp_path)
    assert [image.name for image in model.images] == ["a.png", "b c.png"]
    assert [len(image.observations) for image in model.images] == [0, 1]
    assert model.tracks.points.shape == (0, 3)
    assert initial_points(model, {}) == (None, ())


def photos_of(folder: Path, image_ids: list[int]) -> dict[int, Photo]:
    model = read_model(folder)
    photos = {}
    for image in model.images:
        if image.image_id in image_ids:
            camera = pinhole_camera(model.lenses[image.camera_id], image.viewmat)
            grey = torch.full((H, W, 3), 10 * image.image_id, dtype=torch.uint8)
            photos[image.image_id] = Photo(image.name, camera, grey)
    return photos


def test_initial_points_use_training_photos_alone(folders: dict[str, Path]) -> None:
    train = [11, 12, 14]
    cloud, _ = initial_points(read_model(folders["bin"]), photos_of(folders["bin"], train))
    assert cloud is not None
    # Points seen by two of the three: with (k + i) % 3 != 0, i = 0, 1, 3, that is all of them for
    # k % 3 = 1 and 2 (0 and 3 see the same ones) and none for k % 3 = 0.
    truth = {tuple(np.round(p.xyz, 3)): p for p in make_model().points3D.values()}
    assert len(cloud.points) == 20
    for point in cloud.points.double().numpy():
        distances = [np.linalg.norm(np.array(place) - point) for place in truth]
        assert min(distances) < 5e-3
    # Colours are the means of training pixels: 110, 120 and 140 in twos and threes.
    assert set(cloud.colors[:, 0].tolist()) <= {115, 123, 125, 130}


def test_held_out_observations_cannot_move_a_point(tmp_path: Path) -> None:
    model = make_model()
    train = [11, 12, 14]
    clouds = []
    for step in range(2):
        folder = tmp_path / str(step)
        folder.mkdir()
        if step == 1:  # what a held-out photo says is spoilt, and the joint positions with it
            for point in model.points3D.values():
                point.xyz = point.xyz + 0.3
                point.color = np.array([1, 2, 3], np.uint8)
            for point2d in model.images[13].points2D:
                point2d.xy = point2d.xy + 9
        model.write_binary(folder)
        cloud, _ = initial_points(read_model(folder), photos_of(folder, train))
        assert cloud is not None
        clouds.append({tuple(c) for c in cloud.points.numpy().round(5).tolist()})
    # (k + 2) % 3 and (k + 4) % 3: each point is seen by the held-out 13 or 15.
    assert clouds[0] == clouds[1]
    assert len(clouds[0]) == 20


def test_points_that_only_training_photos_see_stay(folders: dict[str, Path]) -> None:
    everyone = photos_of(folders["bin"], [11, 12, 13, 14, 15])
    cloud, _ = initial_points(read_model(folders["bin"]), everyone)
    assert cloud is not None
    wanted = sorted(tuple(np.float32(p.xyz)) for p in make_model().points3D.values())
    assert np.allclose(sorted(map(tuple, cloud.points.numpy())), wanted, atol=1e-6)


def test_a_track_that_names_nothing(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["txt"], tmp_path / "model")
    text = (folder / "points3D.txt").read_text()
    (folder / "points3D.txt").write_text(text + "99 0 0 0 1 2 3 0.5 11 999\n")
    everyone = [11, 12, 13, 14, 15]
    whole, notes = initial_points(read_model(folders["txt"]), photos_of(folder, everyone))
    assert notes == ()
    for track, words in (
        ("11 999 12 999", "2 sightings of the model's points name observations that their photos"),
        ("77 0 78 1", "1 of the model's 31 points are seen by 2 photos that are not in it"),
    ):
        (folder / "points3D.txt").write_text(text + f"99 0 0 0 1 2 3 0.5 {track}\n")
        cloud, notes = initial_points(read_model(folder), photos_of(folder, everyone))
        assert cloud is not None
        assert whole is not None
        assert torch.equal(cloud.points[:-1], whole.points)
        assert cloud.points[-1].tolist() == [0, 0, 0]
        assert len(notes) == 1
        assert words in notes[0]


def test_huge_counts_are_refused_at_once(folders: dict[str, Path], tmp_path: Path) -> None:
    for name in ("cameras.bin", "images.bin", "points3D.bin"):
        for count in (2**40, 2**63, 2**64 - 1):
            folder = tmp_path / f"{name}{count}"
            shutil.copytree(folders["bin"], folder)
            data = bytearray((folder / name).read_bytes())
            data[:8] = struct.pack("<Q", count)
            (folder / name).write_bytes(bytes(data))
            with pytest.raises(InputError) as caught:
                read_model(folder)
            assert str(caught.value) == (
                f"{folder / name} is cut off or damaged: it says {count} entries follow, which do "
                f"not fit into its {len(data)} bytes"
            )


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("cameras.txt", "OPENCV", "MAGIC", "camera 7 of .*: unknown camera model 'MAGIC'"),
        ("cameras.txt", "64 48", "64 -48", "a number or count is negative or too large"),
        ("cameras.txt", " 60 58", " nan 58", "camera parameters must be finite"),
        ("cameras.txt", " 60 58", " 58", "the camera model OPENCV has 8 parameters, got 7"),
        ("images.txt", "7 0.png", "8 0.png", "'0.png' has the camera 8, not given"),
        ("images.txt", "\n12 ", "\n11 ", "two photos have the same number"),
        ("images.txt", "0.png", "", "a photo needs IMAGE_ID QW QX"),
        ("points3D.txt", "\n1 ", "\n1 inf ", "a point needs ID X Y Z R G B ERROR"),
    ],
)
def test_text_that_no_model_has(
    folders: dict[str, Path], tmp_path: Path, name: str, old: str, new: str, message: str
) -> None:
    folder = shutil.copytree(folders["txt"], tmp_path / "model")
    text = (folder / name).read_text()
    assert old in text
    lines = text.split("\n")
    start = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    body = "\n" + "\n".join(lines[start:])
    (folder / name).write_text(body.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        read_model(folder)


@pytest.mark.parametrize(
    ("pose", "message"),
    [
        ("0 0 0 0 0 0 4", "has a quaternion of length 0: expected about 1"),
        ("nan 0 0 0 0 0 4", "has a quaternion of length nan"),
        ("1 0 0 0 0 inf 4", "has values that are NaN or infinite"),
        ("1 0 0 0 0 1e13 4", "too far for 64-bit numbers"),
        ("1 0 0 0 0 x 4", "could not convert string to float: 'x'"),
    ],
)
def test_poses_that_no_camera_has(tmp_path: Path, pose: str, message: str) -> None:
    (tmp_path / "cameras.txt").write_text("1 PINHOLE 64 48 60 58 31 25\n")
    (tmp_path / "images.txt").write_text(f"1 {pose} 1 a.png\n\n")
    with pytest.raises(InputError, match=message):
        read_model(tmp_path)


def test_empty_and_missing_models(tmp_path: Path) -> None:
    assert not is_model(tmp_path)
    with pytest.raises(InputError, match="holds no COLMAP model"):
        read_model(tmp_path)
    (tmp_path / "cameras.bin").write_bytes(struct.pack("<Q", 0))
    (tmp_path / "images.bin").write_bytes(struct.pack("<Q", 0))
    assert is_model(tmp_path)
    with pytest.raises(InputError, match="holds no registered photo"):
        read_model(tmp_path)
    (tmp_path / "images.bin").write_bytes(b"")
    with pytest.raises(InputError, match=r"images\.bin is cut off: it ends after 0 bytes"):
        read_model(tmp_path)


PATCHES = st.one_of(
    st.binary(max_size=9),
    st.sampled_from([b"\xff" * 8, b"\0" * 8, b"nan ", b"-1 ", b"9" * 30 + b" ", b"\n", b"1e400 "]),
)


@pytest.mark.parametrize("kind", ["bin", "txt"])
@FUZZ
@given(
    name=st.sampled_from(["cameras", "images", "points3D"]),
    at=st.floats(0, 1),
    cut=st.integers(0, 10),
    patch=PATCHES,
)
def test_whatever_the_bytes_only_tondo_errors_come_out(
    folders: dict[str, Path],
    tmp_path: Path,
    kind: str,
    name: str,
    at: float,
    cut: int,
    patch: bytes,
) -> None:
    if not (tmp_path / f"images.{kind}").exists():
        shutil.copytree(folders[kind], tmp_path, dirs_exist_ok=True)
    path = tmp_path / f"{name}.{kind}"
    whole = path.read_bytes()
    start = int(at * len(whole))
    path.write_bytes(whole[:start] + patch + whole[start + cut :])
    try:
        with contextlib.suppress(TondoError):
            initial_points(read_model(tmp_path), photos_of(tmp_path, [11, 12, 14]))
    finally:
        path.write_bytes(whole)
