"""Known cameras: where their object is, and that cut and moved ones still see the same points."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tondo.errors import InputError
from tondo.geometry.pose_prior import PosePrior, draw_cameras
from tondo.io.posed.transforms_json import Intrinsics, ListedFrame
from tondo.io.posed.undistort import Lens
from tondo.pictures.cameras import (
    KnownCamera,
    camera_of,
    find_object_space,
    in_object_space,
    square_of,
)
from tondo.pictures.crop import Square
from tondo.pictures.diversity import angles_of

Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # from the file's world, which has +z up
CENTRE, RADIUS = np.array([3.0, -2.0, 7.0]), 2.5


def drawn(count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    prior = (PosePrior((-170.0, 170.0), (-20.0, 60.0), fov=20.0),)
    cameras = draw_cameras(prior, count, 64, torch.Generator().manual_seed(0))
    return cameras.viewmats.double().numpy(), cameras.Ks.double().numpy()


def known(width: int = 96, height: int = 64) -> list[KnownCamera]:
    """Cameras about CENTRE in a world with +z up, whose object has RADIUS; wide pictures."""
    found = []
    for viewmat, K in zip(*drawn(), strict=True):
        moved = viewmat.copy()
        moved[:3, :3] = viewmat[:3, :3] @ Y_UP
        moved[:3, 3] = RADIUS * viewmat[:3, 3] - moved[:3, :3] @ CENTRE
        params = (K[0, 0], K[0, 0], width / 2, height / 2)
        found.append(KnownCamera(Lens("PINHOLE", width, height, params), moved))
    return found


def test_the_object_is_found_and_becomes_the_unit_sphere() -> None:
    cameras = known()
    space = find_object_space(cameras, None)
    np.testing.assert_allclose(space.centre, CENTRE, atol=1e-4)
    assert space.radius == pytest.approx(RADIUS, rel=0.005)
    for camera, viewmat, K in zip(cameras, *drawn(), strict=True):
        square = square_of(camera, space)
        assert square is not None
        np.testing.assert_allclose(square, (16, 0, 64), atol=0.3)
        found = in_object_space(camera, space, Square(16, 0, 64), 64)
        np.testing.assert_allclose(found[0], viewmat, atol=0.03)
        np.testing.assert_allclose(found[1], K, atol=1e-3)


def test_a_world_of_another_up_makes_the_same_object() -> None:
    square = Square(16, 0, 64)
    plain = [in_object_space(c, find_object_space(known(), None), square, 64) for c in known()]
    for up, turn in (("+y", Y_UP), ("-z", np.diag([1.0, -1.0, -1.0]))):
        moved = []
        for camera in known():
            viewmat = camera.viewmat.copy()
            viewmat[:3, :3] = camera.viewmat[:3, :3] @ turn.T
            moved.append(KnownCamera(camera.lens, viewmat))
        space = find_object_space(moved, None)
        assert f"up is taken as {up} from the cameras" in space.note
        for camera, (viewmat, _) in zip(moved, plain, strict=True):
            found, _ = in_object_space(camera, space, square, 64)
            np.testing.assert_allclose(found[:3, 1], viewmat[:3, 1], atol=1e-5)  # up


def test_a_cut_camera_sees_the_same_points() -> None:
    cameras = known()
    space = find_object_space(cameras, None)
    square, size = Square(11.5, -3.25, 71.0), 50
    point = np.array([0.3, -0.4, 0.2])
    world = CENTRE * 0 + space.centre + space.radius * Y_UP.T @ point
    for camera in cameras[:5]:
        fx, fy, cx, cy = camera.lens.params
        x, y, z = camera.viewmat[:3, :3] @ world + camera.viewmat[:3, 3]
        expected = (np.array([fx * x / z + cx, fy * y / z + cy]) - square[:2]) * size / square.side
        viewmat, K = in_object_space(camera, space, square, size)
        u, v, w = K.astype(float) @ (viewmat[:3, :3].astype(float) @ point + viewmat[:3, 3])
        np.testing.assert_allclose([u / w, v / w], expected, atol=1e-3)


def test_an_object_much_smaller_than_its_pictures_fills_them() -> None:
    cameras = known()
    boxes = [(43.0, 27.0, 53.0, 37.0)] * len(cameras)  # 5 pixels about the middle, of 32
    space = find_object_space(cameras, boxes)
    assert space.radius == pytest.approx(RADIUS * 5 / 32, rel=0.05)
    square = square_of(cameras[0], space)
    assert square is not None
    assert square.side == pytest.approx(10, rel=0.06)


def test_cameras_of_the_generator_s_own_space_keep_their_numbers() -> None:
    cameras = []
    for viewmat, K in zip(*drawn(), strict=True):
        turned = viewmat.copy()
        turned[:3, :3] = viewmat[:3, :3] @ Y_UP
        params = (K[0, 0], K[1, 1], K[0, 2], K[1, 2])
        cameras.append(KnownCamera(Lens("PINHOLE", 64, 64, params), turned))
    space = find_object_space(cameras, None)
    assert (space.centre.tolist(), space.radius) == ([0, 0, 0], 1)
    assert square_of(cameras[0], space) == Square(0, 0, 64)


def test_cameras_that_look_at_nothing_together() -> None:
    lens = Lens("PINHOLE", 64, 64, (80.0, 80.0, 32.0, 32.0))
    same = []
    for x in (0.0, 1.0, 2.0):
        viewmat = np.eye(4)
        viewmat[:3, 3] = [-x, 0, 4]
        same.append(KnownCamera(lens, viewmat))
    with pytest.raises(InputError, match="all look the same way"):
        find_object_space(same, None)
    away = []
    for camera in known():
        turned = camera.viewmat.copy()
        turned[[0, 2]] *= -1
        away.append(KnownCamera(camera.lens, turned))
    with pytest.raises(InputError, match="do not look at one thing"):
        find_object_space(away, None)
    assert square_of(away[0], find_object_space(known(), None)) is None


def test_intrinsics_for_the_same_picture_at_another_size() -> None:
    def frame(width: int) -> ListedFrame:
        numbers = Intrinsics("OPENCV", width, 300, 500, 500, 210, 140, None, None, (0.0,) * 8)
        return ListedFrame("a", "a", None, None, np.eye(4), numbers)

    assert camera_of(frame(400), 200, 150).lens.params == pytest.approx((250, 250, 105, 70))
    with pytest.raises(InputError, match="for 430x300, it is 200x150"):
        camera_of(frame(430), 200, 150)


def test_angles_are_those_that_cameras_are_drawn_from() -> None:
    prior = (PosePrior((-170.0, 170.0), (-20.0, 60.0)),)
    cameras = draw_cameras(prior, 30, 64, torch.Generator().manual_seed(2))
    azimuths, elevations = angles_of(cameras.viewmats.numpy())
    expected = np.degrees(cameras.angles.numpy())
    np.testing.assert_allclose(azimuths, expected[:, 0], atol=1e-3)
    np.testing.assert_allclose(elevations, expected[:, 1], atol=1e-3)
    assert math.isclose(float(np.abs(azimuths).max()), 170, abs_tol=30)
