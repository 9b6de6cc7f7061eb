from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tondo.errors import InputError, TondoError
from tondo.io.images import write_png
from tondo.io.posed.intrinsics import lens_of
from tondo.io.posed.photos import load_cameras, load_photos
from tondo.io.posed.transforms_json import read_transforms

FUZZ = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
W, H = 20, 12
# Camera 3 units along +x, looking at the origin, z up: OpenGL's z axis points away from the scene.
FROM_X = [[0.0, 0.0, 1.0, 3.0], [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
LENS = {"fl_x": 21.0, "fl_y": 20.0, "cx": 9.0, "cy": 6.5, "w": W, "h": H}


def content(count: int = 3, **more: Any) -> dict[str, Any]:
    frames = [{"file_path": f"images/{i}.png", "transform_matrix": FROM_X} for i in range(count)]
    return {**LENS, "frames": frames, **more}


def write(folder: Path, data: dict[str, Any], *, photos: bool = True) -> Path:
    for frame in data["frames"] if photos else ():
        picture = torch.full((H, W, 3), 90, dtype=torch.uint8)
        write_png(folder / frame["file_path"], picture)
    path = folder / "transforms.json"
    path.write_text(json.dumps(data))
    return path


def test_poses_become_opencv_world_to_camera(tmp_path: Path) -> None:
    (frame,) = read_transforms(write(tmp_path, content(1))).frames
    seen = frame.viewmat @ np.array([[0, 0, 0, 1], [0, 0.5, 0, 1], [0, 0, 0.5, 1]], float).T
    # The origin is 3 in front; +y of the world is to the right, +z (up) has negative y.
    assert np.allclose(seen[:3].T, [[0, 0, 3], [0.5, 0, 3], [0, -0.5, 3]])


def test_intrinsics_of_a_frame_go_before_those_of_the_file(tmp_path: Path) -> None:
    data = content(2)
    data["frames"][1] |= {"fl_x": 30.0, "cy": 4.0}
    first, second = (
        lens_of(f.intrinsics, None, "f") for f in read_transforms(write(tmp_path, data)).frames
    )
    assert first.params == (21, 20, 9, 6.5)
    assert second.params == (30, 20, 9, 4)
    assert (first.model, first.width, first.height) == ("PINHOLE", W, H)


@pytest.mark.parametrize(
    ("more", "model", "params"),
    [
        ({"k1": 0.1}, "OPENCV", (0.1, 0, 0, 0)),
        ({"k1": 0.1, "k2": 0.2, "p1": 0.3, "p2": 0.4}, "OPENCV", (0.1, 0.2, 0.3, 0.4)),
        ({"k1": 0.1, "k3": 0.5}, "FULL_OPENCV", (0.1, 0, 0, 0, 0.5, 0, 0, 0)),
        (
            {"camera_model": "OPENCV_FISHEYE", "k1": 0.1, "k2": 0.2, "k3": 0.3, "k4": 0.4},
            "OPENCV_FISHEYE",
            (0.1, 0.2, 0.3, 0.4),
        ),
        ({"is_fisheye": True}, "OPENCV_FISHEYE", (0, 0, 0, 0)),
        (
            {"camera_model": "FULL_OPENCV", "k1": 0.1, "k4": 0.2, "k6": 0.3},
            "FULL_OPENCV",
            (0.1, 0, 0, 0, 0, 0.2, 0, 0.3),
        ),
    ],
)
def test_lens_models(tmp_path: Path, more: dict[str, Any], model: str, params: tuple) -> None:
    (frame,) = read_transforms(write(tmp_path, content(1, **more))).frames
    lens = lens_of(frame.intrinsics, None, "f")
    assert lens.model == model
    assert lens.params == (21, 20, 9, 6.5, *params)


def test_field_of_view_and_the_size_of_the_picture(tmp_path: Path) -> None:
    data = content(1)
    angles = {"camera_angle_x": 2 * math.atan(0.5), "frames": data["frames"]}
    found = read_transforms(write(tmp_path, angles))
    assert found.is_render
    assert found.kind == "Blender"
    lens = lens_of(found.frames[0].intrinsics, (W, H), "f")
    assert lens.params == pytest.approx((W, W, W / 2, H / 2))
    both = read_transforms(write(tmp_path, {**angles, "camera_angle_y": 2 * math.atan(1.0)}))
    lens = lens_of(both.frames[0].intrinsics, (W, H), "f")
    assert lens.params == pytest.approx((W, H / 2, W / 2, H / 2))


def test_kinds(tmp_path: Path) -> None:
    assert read_transforms(write(tmp_path, content(1, aabb_scale=4))).kind == "instant-ngp"
    nerfstudio = read_transforms(write(tmp_path, content(1, camera_model="OPENCV")))
    assert nerfstudio.kind == "nerfstudio"
    assert not nerfstudio.is_render


def test_endings_and_windows_paths(tmp_path: Path) -> None:
    write(tmp_path, content(2))
    data = content(2)
    data["frames"][0]["file_path"] = "./images/0"
    data["frames"][1]["file_path"] = "images\\1.png"
    found = read_transforms(write(tmp_path, data, photos=False)).frames
    assert [frame.name for frame in found] == ["images/0.png", "images/1.png"]
    assert all(frame.path is not None for frame in found)


def test_a_missing_picture_is_no_error_here(tmp_path: Path) -> None:
    (frame,) = read_transforms(write(tmp_path, content(1), photos=False)).frames
    assert frame.path is None
    assert frame.name == "images/0.png"


def bad_matrix(change: Any) -> list[list[float]]:
    matrix = np.array(FROM_X)
    change(matrix)
    return matrix.tolist()


def scale(matrix: np.ndarray) -> None:
    matrix[:3, :3] *= 2


def mirror(matrix: np.ndarray) -> None:
    matrix[:3, 0] *= -1


def flatten(matrix: np.ndarray) -> None:
    matrix[:3, 0] = matrix[:3, 1]


def undefine(matrix: np.ndarray) -> None:
    matrix[1, 3] = np.nan


def overflow(matrix: np.ndarray) -> None:
    matrix[1, 3] = 1e30


def tilt(matrix: np.ndarray) -> None:
    matrix[3, 0] = 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (undefine, "has values that are NaN or infinite"),
        (flatten, "is singular: its 3x3 part must be a rotation"),
        (scale, "scales or shears (its axes are 2, 2, 2 long): its 3x3 part must be a rotation; "
         "divide the scale out"),
        (mirror, "mirrors (determinant -1): its 3x3 part must be a rotation"),
        (overflow, "has a value beyond 1e+12: too far for 64-bit numbers"),
    ],
)  # fmt: skip
def test_matrices_that_no_camera_has(tmp_path: Path, change: Any, message: str) -> None:
    data = content(3)
    data["frames"][1]["transform_matrix"] = bad_matrix(change)
    path = write(tmp_path, data)
    with pytest.raises(InputError) as caught:
        load_photos(tmp_path, max_size=None)
    assert str(caught.value) == (f"transform_matrix of frame 1 of {path} (images/1.png) {message}")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "must be a 4x4 matrix"),
        ([[1, 2], [3, 4]], "must be a 4x4 matrix"),
        ([["a", 0, 0, 0]] * 4, "must be a number, got 'a'"),
        (bad_matrix(tilt), "the last row of transform_matrix"),
    ],
)
def test_what_is_no_matrix(tmp_path: Path, value: Any, message: str) -> None:
    data = content(1)
    data["frames"][0]["transform_matrix"] = value
    with pytest.raises(InputError, match=message):
        read_transforms(write(tmp_path, data))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("../secret.png", "leaves the folder: '../secret.png'; paths must stay below"),
        ("images/../../secret.png", "leaves the folder"),
        ("/etc/passwd", "leaves the folder: '/etc/passwd'"),
        ("..\\secret.png", "leaves the folder"),
        ("C:\\secret.png", "leaves the folder"),
        (".", "names no file: '.'"),
        ("a\0b", "is no usable path"),
        ("a\ud800b", "is no usable path"),
        ("a" * 5000, "is no usable path"),
    ],
)
def test_paths_that_leave_the_folder(tmp_path: Path, text: str, message: str) -> None:
    inside = tmp_path / "set"
    data = content(3)
    path = write(inside, data)
    write_png(tmp_path / "secret.png", torch.zeros(H, W, 3))
    for key in ("file_path", "mask_path", "ply_file_path"):
        hostile = json.loads(json.dumps(data))
        (hostile if key == "ply_file_path" else hostile["frames"][2])[key] = text
        path.write_text(json.dumps(hostile))
        with pytest.raises(InputError) as caught:
            read_transforms(path)
        assert message in str(caught.value)
        assert key in str(caught.value)


def test_a_linked_folder_of_photos_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "set", content(3))
    (tmp_path / "set" / "images").rename(tmp_path / "elsewhere")
    (tmp_path / "set" / "images").symlink_to(tmp_path / "elsewhere")
    assert len(read_transforms(path).frames) == 3


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"fl_x": float("nan")}, r"fl_x of frame 0 .* must be finite, got nan"),
        ({"k1": float("inf")}, "k1 of frame 0 .* must be finite, got inf"),
        ({"cx": "9"}, "cx of frame 0 .* must be a number, got '9'"),
        ({"w": 20.5}, "w of frame 0 .* must be a whole number of pixels, got 20.5"),
        ({"h": -12}, "h of frame 0 .* must be a whole number of pixels, got -12"),
        ({"w": 10**400}, "w of frame 0 .* must be finite, got inf"),
        ({"fl_x": -21.0}, "a focal length of -21 pixels cannot be right"),
        ({"w": 10**9}, "a photo cannot be 1000000000x12 pixels"),
        ({"camera_model": "EQUIRECTANGULAR"}, "camera_model 'EQUIRECTANGULAR', which cannot"),
        ({"k4": 0.1}, "has k4, k5 or k6, which the camera_model OPENCV does not have"),
        ({"fl_x": None}, "has no focal length: add fl_x or camera_angle_x"),
        ({"fl_x": None, "camera_angle_x": 4}, "must be an angle between 0 and pi radians, got 4"),
        ({"k1": -900.0}, "images/0.png: the lens .* its distortion coefficients cannot be right"),
    ],
)  # fmt: skip
def test_intrinsics_that_no_lens_has(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    write(tmp_path, content(3, **more))
    with pytest.raises(InputError, match=message):
        load_photos(tmp_path, max_size=None)


def test_intrinsics_of_another_size(tmp_path: Path) -> None:
    for w, h in ((2 * W, 2 * H + 3), (H, W), (W, H + 1)):
        write(tmp_path, content(3, w=w, h=h, cx=w / 2, cy=h / 2))
        with pytest.raises(InputError) as caught:
            load_photos(tmp_path, max_size=None)
        picture = tmp_path / "images" / "0.png"
        assert str(caught.value) == (
            f"the intrinsics of images/0.png are of another size: they say {w}x{h}, {picture} is "
            f"{W}x{H}; scale the photos back, or the intrinsics (w h fl_x fl_y cx cy) to the photos"
        )


def test_a_principal_point_outside_a_picture_without_size(tmp_path: Path) -> None:
    data = content(3, cx=30.0)
    del data["w"]
    write(tmp_path, data)
    with pytest.raises(InputError, match=r"of another size: cx 30 is outside its picture of 20x12"):
        load_photos(tmp_path, max_size=None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not valid JSON"),
        ("{", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ("9" * 10_000, "is not valid JSON"),
        ("\xff", "is not valid JSON"),
        ("[]", "is no transforms.json"),
        ("{}", 'has no list "frames"'),
        ('{"frames": 3}', 'has no list "frames"'),
        ('{"frames": [3]}', 'frame 0 of .* has no "file_path"'),
        ('{"frames": [{"file_path": 3}]}', 'frame 0 of .* has no "file_path"'),
        ('{"frames": [], "test_filenames": 3}', "test_filenames of .* must be a list of paths"),
        ('{"frames": [], "ply_file_path": 3}', "ply_file_path of .* must be text"),
    ],
)
def test_what_is_no_transforms_json(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "transforms.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        read_transforms(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        read_transforms(tmp_path / "transforms.json")


LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("images/0")
)
VALUES = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=4), max_leaves=20)
KEYS = st.sampled_from(
    [
        *("file_path", "transform_matrix", "mask_path", "fl_x", "w", "h", "k1", "cx", "frames"),
        *("camera_model", "camera_angle_x", "test_filenames", "train_filenames", "ply_file_path"),
    ]
)


@FUZZ
@given(
    top=st.dictionaries(KEYS, VALUES, max_size=3),
    inner=st.dictionaries(KEYS, VALUES, max_size=2),
    which=st.integers(0, 2),
)
def test_whatever_the_values_only_tondo_errors_come_out(
    tmp_path: Path, top: dict[str, Any], inner: dict[str, Any], which: int
) -> None:
    if not (tmp_path / "images").exists():
        write(tmp_path, content(3))
    data = content(3)
    data["frames"][which] |= inner
    (tmp_path / "transforms.json").write_text(json.dumps(data | top))
    with contextlib.suppress(TondoError):
        load_photos(tmp_path, max_size=8)
    with contextlib.suppress(TondoError):
        load_cameras(tmp_path)


@FUZZ
@given(at=st.floats(0, 1), cut=st.integers(0, 12), patch=st.binary(max_size=6))
def test_whatever_the_bytes_only_tondo_errors_come_out(
    tmp_path: Path, at: float, cut: int, patch: bytes
) -> None:
    path = tmp_path / "transforms.json"
    if not path.exists():
        write(tmp_path, content(2))
    raw = json.dumps(content(2, k1=0.01)).encode()
    start = int(at * len(raw))
    path.write_bytes(raw[:start] + patch + raw[start + cut :])
    with contextlib.suppress(TondoError):
        load_photos(path, max_size=8)
