"""transforms.json as the many programs that write one do."""

from __future__ import annotations

import json
import math
import unicodedata
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from tondo.cli.main import main
from tondo.data.photos import PhotoSet
from tondo.data.splats import Splats
from tondo.errors import InputError
from tondo.io.images import write_png
from tondo.io.models.ply import write_splats
from tondo.io.posed.intrinsics import read_intrinsics
from tondo.io.posed.photos import load_cameras, load_photos

W, H, COUNT = 32, 20, 6
FX, FY, CX, CY = 30.0, 29.0, 17.0, 9.0
K = [[FX, 0.0, CX], [0.0, FY, CY], [0.0, 0.0, 1.0]]


def matrices() -> np.ndarray:
    """[COUNT, 4, 4] camera-to-world, OpenGL axes, cameras that stand upright in a world of z up."""
    found = np.tile(np.eye(4), (COUNT, 1, 1))
    for index in range(COUNT):
        turn = Rotation.from_euler("zx", [50.0 * index, 75.0 - index], degrees=True)
        found[index, :3, :3] = turn.as_matrix()
        found[index, :3, 3] = turn.apply([0.0, 0.0, 3.0])
    return found


def write(
    folder: Path,
    names: list[str] | None = None,
    *,
    poses: Any = None,
    size: tuple[int, int] = (W, H),
    encoding: str = "utf-8",
    own: dict[str, Any] | None = None,
    **more: Any,
) -> Path:
    """Photos of grey 10, 11, ... and a file that lists them; `own` goes into each frame."""
    names = names or [f"images/{index}.png" for index in range(COUNT)]
    poses = matrices().tolist() if poses is None else poses
    for index in range(COUNT):
        picture = torch.full((size[1], size[0], 3), (10 + index) / 255)
        write_png(folder / "images" / f"{index}.png", picture)
    frames = [
        {"file_path": name, "transform_matrix": pose, **(own or {})}
        for name, pose in zip(names, poses, strict=True)
    ]
    text = json.dumps({**more, "frames": frames}, ensure_ascii=False)
    (folder / "transforms.json").write_bytes(text.encode(encoding))
    return folder


PINHOLE = {"fl_x": FX, "fl_y": FY, "cx": CX, "cy": CY}
PLAIN = {**PINHOLE, "w": W, "h": H}


def all_of(photos: PhotoSet) -> list[Any]:
    return sorted((*photos.train, *photos.test), key=lambda photo: int(photo.image[0, 0, 0]))


def assert_cameras(photos: PhotoSet, scale: float = 1.0, degrees: float = 1e-3) -> None:
    """Each photo has its own pose, within so many degrees, and the intrinsics above times scale."""
    poses = matrices()
    for photo in all_of(photos):
        index = int(photo.image[0, 0, 0]) - 10
        wanted = (poses[index] @ np.diag([1.0, -1, -1, 1]))[:3, :3].T
        turn = photo.camera.viewmat[:3, :3].double().numpy() @ wanted.T
        assert np.degrees(np.linalg.norm(Rotation.from_matrix(turn).as_rotvec())) < degrees
        expected = torch.tensor(K) * torch.tensor([[scale], [scale], [1.0]])
        assert torch.allclose(photo.camera.K, expected, atol=1e-4)


@pytest.mark.parametrize(("decimals", "degrees"), [(3, 0.08), (2, 0.8)])
def test_rounded_matrices(tmp_path: Path, decimals: int, degrees: float) -> None:
    photos = load_photos(
        write(tmp_path, poses=matrices().round(decimals).tolist(), **PLAIN), max_size=None
    )
    assert_cameras(photos, degrees=degrees)
    rotations = torch.stack([photo.camera.viewmat[:3, :3].double() for photo in all_of(photos)])
    assert torch.allclose(rotations @ rotations.mT, torch.eye(3, dtype=torch.float64), atol=1e-6)
    (note,) = photos.notes
    assert "frames are rounded: the nearest rotations are taken" in note


@pytest.mark.parametrize("scale", [0.5, 0.9, 1.05, 3.0])
def test_a_scale_in_the_rotation_is_told(tmp_path: Path, scale: float) -> None:
    poses = matrices()
    poses[:, :3, :3] *= scale
    with pytest.raises(InputError, match=r"scales or shears .* divide the scale out"):
        load_photos(write(tmp_path, poses=poses.tolist(), **PLAIN), max_size=None)


def test_matrices_in_other_shapes(tmp_path: Path) -> None:
    flat = [pose.reshape(-1).tolist() for pose in matrices()]
    assert_cameras(load_photos(write(tmp_path, poses=flat, **PLAIN), max_size=None))
    three = [pose[:3].tolist() for pose in matrices()]
    assert_cameras(load_photos(write(tmp_path, poses=three, **PLAIN), max_size=None))
    turned = [pose.T.tolist() for pose in matrices()]
    with pytest.raises(InputError, match="is written column by column: transpose it"):
        load_photos(write(tmp_path, poses=turned, **PLAIN), max_size=None)


@pytest.mark.parametrize("factor", [0.5, 0.25, 2.0])
def test_photos_of_another_size_by_one_factor(tmp_path: Path, factor: float) -> None:
    size = (int(W * factor), int(H * factor))
    photos = load_photos(write(tmp_path, size=size, **PLAIN), max_size=None)
    assert_cameras(photos, factor)
    assert photos.source.endswith(f", intrinsics scaled to the size of {COUNT} photos")
    per_frame = load_photos(write(tmp_path, size=size, own=PLAIN), max_size=None)
    assert_cameras(per_frame, factor)


def test_smaller_photos_that_exif_turns(tmp_path: Path) -> None:
    write(tmp_path, [f"images/{index}.jpg" for index in range(COUNT)], **PLAIN)
    for index in range(COUNT):  # stored lying on their side, half as large
        picture = Image.new("RGB", (H // 2, W // 2), (10 + index,) * 3)
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.save(tmp_path / "images" / f"{index}.jpg", exif=exif, quality=100, subsampling=0)
    photos = load_photos(tmp_path, max_size=None)
    assert photos.skipped == ()
    for photo in (*photos.train, *photos.test):
        assert tuple(photo.image.shape) == (H // 2, W // 2, 3)
        assert torch.allclose(photo.camera.K[0, 0], torch.tensor(FX / 2))


@pytest.mark.parametrize(
    "given",
    [
        {"K": K},
        {"intrinsics": K},
        {"camera_intrinsics": [[*row, 0.0] for row in K] + [[0.0, 0, 0, 1]]},
        {"intrinsic_matrix": np.array(K).reshape(-1).tolist()},
        {"K": np.array(K).T.reshape(-1).tolist()},  # Record3D: column by column
        {"intrinsics": [FX, FY, CX, CY]},
        {"intrinsics": {"fx": FX, "fy": FY, "cx": CX, "cy": CY, "width": W}},
    ],
)
def test_intrinsics_as_a_matrix(tmp_path: Path, given: dict[str, Any]) -> None:
    size = {"w": W, "h": H}
    assert_cameras(load_photos(write(tmp_path, own={**given, **size}), max_size=None))
    assert_cameras(load_photos(write(tmp_path, **given, **size), max_size=None))
    # a frame's own goes before what the file has for all
    other = {"fl_x": 99.0, "fl_y": 99.0, "cx": 1.0, "cy": 1.0}
    assert_cameras(load_photos(write(tmp_path, own=given, **size, **other), max_size=None))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1, 2], [3, 4]], "must be a 3x3 matrix, its 9 numbers, or fx fy cx cy"),
        ("K", "must be a 3x3 matrix"),
        ([[FX, 9.0, CX], [0, FY, CY], [0, 0, 1]], "is no matrix of intrinsics"),
        ([[FX, 0, CX], [0, FY, CY], [0, 0, 2]], "is no matrix of intrinsics"),
        ([[FX, 0, math.nan], [0, FY, CY], [0, 0, 1]], "must be finite"),
        ([0.9, 1.2, 0.5, 0.5], "are shares of the picture .* expected pixels"),
    ],
)
def test_what_is_no_matrix_of_intrinsics(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_photos(write(tmp_path, w=W, h=H, own={"K": value}), max_size=None)


@pytest.mark.parametrize(
    "own",
    [
        {"camera_angle_x": 2 * math.atan(W / 2 / FX), "camera_angle_y": 2 * math.atan(H / 2 / FY)},
        {"x_fov": math.degrees(2 * math.atan(W / 2 / FX)), "fl_y": FY},
    ],
)
def test_a_frames_field_of_view_goes_before_the_files_focal_length(
    tmp_path: Path, own: dict[str, float]
) -> None:
    given = {"w": W, "h": H, "cx": CX, "cy": CY, "fl_x": 99.0, "fl_y": 99.0}
    assert_cameras(load_photos(write(tmp_path, own=own, **given), max_size=None))


@pytest.mark.parametrize("is_own", [True, False])
@pytest.mark.parametrize(
    "given",
    [
        # nerfstudio's order: k1 k2 k3 k4 p1 p2
        {"distortion_params": [0.1, -0.02, 0.003, 0.0, 0.001, -0.002]},
        {"intrinsics": {"fx": FX, "k1": 0.1, "k2": -0.02, "k3": 0.003, "p1": 0.001, "p2": -0.002}},
    ],
)
def test_distortion_in_a_list_or_an_object(
    tmp_path: Path, given: dict[str, Any], is_own: bool
) -> None:
    frame, content = (given, PLAIN) if is_own else ({}, {**PLAIN, **given})
    found = read_intrinsics(frame, content, "frame")
    assert found.distortion == (0.1, -0.02, 0.001, -0.002, 0.003, 0.0, 0.0, 0.0)
    assert (found.fx, found.fy) == (FX, FY)
    listed = {**given, "k1": 0.5}
    assert read_intrinsics(listed, PLAIN, "frame").distortion == (0.5, *[0.0] * 7)


@pytest.mark.parametrize(
    "given",
    [
        {"distortion_params": [0.1, 0.0, 0.0, 0.0]},
        {"distortion": [0.1, 0.0, 0.0, 0.0, 0.0]},
        {"dist_coeffs": [[0.1, 0.0, 0.0, 0.0, 0.0]]},
    ],
)
def test_distortion_in_an_unknown_order_is_refused(tmp_path: Path, given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="whose order is not known"):
        load_photos(write(tmp_path, **PLAIN, **given), max_size=None)
    zeros = {key: [0.0, 0.0] for key in given}
    assert_cameras(load_photos(write(tmp_path, **PLAIN, **zeros), max_size=None))


def test_fields_of_view_in_degrees(tmp_path: Path) -> None:
    photos = load_photos(write(tmp_path, w=W, h=H, x_fov=90.0, y_fov=60.0), max_size=None)
    camera = photos.train[0].camera
    assert math.isclose(float(camera.K[0, 0]), W / 2, rel_tol=1e-6)
    assert math.isclose(float(camera.K[1, 1]), H / 2 * math.sqrt(3), rel_tol=1e-6)


def test_intrinsics_of_an_unknown_larger_size(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="of another size: cx 17 and cy 9 are not near the middle"):
        load_photos(write(tmp_path, size=(2 * W, 2 * H), **PINHOLE), max_size=None)


@pytest.mark.parametrize(
    "given",
    [
        {"camera_model": "EQUIRECTANGULAR"},
        {"camera_model": "equirectangular"},
        {"camera_model": "SPHERICAL"},
        {"camera_type": "equirectangular"},
        {"equirectangular": True},
        {"latlong": True},
        {"ftheta_p0": 0.1},
        {"from_na": True},
        {"normal_mts_args": []} | {"from_na": 1},
    ],
)
def test_other_cameras_are_refused_in_a_sentence(tmp_path: Path, given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"cannot be undistorted|other axes"):
        load_photos(write(tmp_path, **PLAIN, **given), max_size=None)


@pytest.mark.parametrize(
    ("listed", "there"),
    [
        ("Images\\{}.PNG", "images/{}.png"),
        ("./IMAGES/{}", "images/{}.png"),
        ("images/Stück {}.png", "images/" + unicodedata.normalize("NFD", "stück") + " {}.png"),
    ],
)
def test_names_that_are_spelt_otherwise(tmp_path: Path, listed: str, there: str) -> None:
    names = [listed.format(index) for index in range(COUNT)]
    write(tmp_path, names, **PLAIN, train_filenames=names[1:], test_filenames=names[:1])
    for index in range(COUNT):
        (tmp_path / "images" / f"{index}.png").rename(tmp_path / there.format(index))
    photos = load_photos(tmp_path, max_size=None)
    assert photos.skipped == ()
    assert [photo.name for photo in photos.test] == [there.format(0)]
    assert [photo.name for photo in photos.train] == [there.format(i) for i in range(1, COUNT)]
    assert_cameras(photos)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gbk"])
def test_files_in_another_encoding(tmp_path: Path, encoding: str) -> None:
    names = [f"images/厨房{index}.png" for index in range(COUNT)]
    write(
        tmp_path,
        names,
        encoding=encoding,
        **PLAIN,
        train_filenames=names[1:],
        test_filenames=names[:1],
    )
    for index in range(COUNT):
        (tmp_path / "images" / f"{index}.png").rename(tmp_path / names[index])
    photos = load_photos(tmp_path, max_size=None)
    assert [photo.name for photo in (*photos.test, *photos.train)] == names
    assert_cameras(photos)


def test_a_picture_is_not_looked_for_under_a_second_ending(tmp_path: Path) -> None:
    write(tmp_path, **PLAIN)
    (tmp_path / "images" / "3.png").rename(tmp_path / "images" / "3.png.png")  # a mask, say
    photos = load_photos(tmp_path, max_size=None)
    assert [one.name for one in photos.skipped] == ["images/3.png"]


def viewer_path(folder: Path, **more: Any) -> Path:
    """nerfstudio's camera_path.json of the same cameras."""
    entries = [
        {"camera_to_world": pose.reshape(-1).tolist(), "fov": 50.0, "aspect": 1.6}
        for pose in matrices()
    ]
    content = {"camera_type": "perspective", "render_height": 80, "render_width": 128, "fps": 24}
    content |= {"camera_path": entries, "seconds": 4, "is_cycle": False, "crop": None, **more}
    folder.mkdir(exist_ok=True)
    (folder / "camera_path.json").write_text(json.dumps(content))
    return folder / "camera_path.json"


def test_a_camera_path_of_nerfstudio(tmp_path: Path) -> None:
    cameras = load_cameras(viewer_path(tmp_path))
    assert [one.name for one in cameras] == [f"{index:05d}" for index in range(COUNT)]
    focal = 40 / math.tan(math.radians(25))
    for one, pose in zip(cameras, matrices(), strict=True):
        assert (one.camera.width, one.camera.height) == (128, 80)
        assert torch.allclose(
            one.camera.K, torch.tensor([[focal, 0, 64], [0, focal, 40], [0, 0, 1]])
        )
        wanted = np.linalg.inv(pose @ np.diag([1.0, -1, -1, 1]))
        assert np.allclose(one.camera.viewmat, wanted, atol=1e-5)


def test_a_camera_path_out_of_the_viewers_world(tmp_path: Path) -> None:
    turn, shift, scale = (
        Rotation.from_euler("xyz", [0.3, 0.5, -0.2]).as_matrix(),
        [0.4, -1, 2],
        0.25,
    )
    moved = matrices()
    moved[:, :3, :3] = turn @ moved[:, :3, :3]
    moved[:, :3, 3] = scale * (moved[:, :3, 3] @ turn.T + shift)
    entries = [{"camera_to_world": pose.reshape(-1).tolist(), "fov": 50} for pose in moved]
    path = viewer_path(tmp_path, camera_path=entries)
    world = {"transform": np.c_[turn, shift].tolist(), "scale": scale}
    (tmp_path / "dataparser_transforms.json").write_text(json.dumps(world))
    for one, pose in zip(load_cameras(path), matrices(), strict=True):
        wanted = np.linalg.inv(pose @ np.diag([1.0, -1, -1, 1]))
        assert np.allclose(one.camera.viewmat, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"camera_type": "equirectangular"}, "Tondo renders perspective pictures"),
        ({"camera_type": "fisheye"}, "Tondo renders perspective pictures"),
        ({"render_width": None}, "says no render_width"),
        ({"render_height": 10**9}, "must be 1 to 32000 whole pixels"),
        ({"fps": -1}, "fps .* must be above 0"),
        ({"camera_path": [{"fov": 50}]}, "camera_to_world of camera 0 .* must be a 4x4 matrix"),
        ({"camera_path": [{"camera_to_world": np.eye(4).reshape(-1).tolist()}]}, "has no fov"),
        (
            {"camera_path": [{"camera_to_world": np.eye(4).tolist(), "fov": 180}]},
            "must be between 0 and 180 degrees",
        ),
    ],
)
def test_camera_paths_that_cannot_be(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_cameras(viewer_path(tmp_path, **more))


def test_a_video_follows_a_camera_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = torch.Generator().manual_seed(0)
    splats = Splats(
        torch.randn(50, 3, generator=generator),
        torch.randn(50, 4, generator=generator),
        torch.full((50, 3), -2.0),
        torch.full((50,), 4.0),
        torch.randn(50, 1, 3, generator=generator),
    )
    write_splats(tmp_path / "a.ply", splats)
    path, video = viewer_path(tmp_path / "paths"), tmp_path / "a.mp4"
    argv = ["render", str(tmp_path / "a.ply"), "--cameras", str(path), "--video", str(video)]
    assert main([*argv, "-o", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert f"cameras of {COUNT} frames, 0.2 s long" in printed
    assert "camera_path.json is taken in the scene's own world" in printed
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert float(container.streams.video[0].average_rate or 0) == 24
    assert len(frames) == COUNT
    for index, frame in enumerate(frames):
        picture = np.array(Image.open(tmp_path / "out" / f"{index:05d}.png").convert("RGB"))
        assert np.abs(picture.astype(float) - frame).mean() < 8
