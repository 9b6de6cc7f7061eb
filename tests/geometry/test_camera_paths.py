"""Camera paths look where they should and stay where photos were taken."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.geometry.camera_paths import orbit, spiral, standpoints
from tondo.geometry.cameras import camera_position
from tondo.geometry.look_at import look_at

K = torch.tensor([[300.0, 0, 110], [0, 310.0, 95], [0, 0, 1]])
CENTER = torch.tensor([0.4, -1.2, 2.5])
UPS = [(0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (0.48, 0.6, 0.64)]


def camera_at(eye: Tensor, target: Tensor, up: Tensor) -> Camera:
    return Camera(look_at(eye, target, up), K, 240, 180)


def around(up: Tensor, azimuths: list[float], elevations: list[float]) -> list[Camera]:
    """Cameras 3 units from CENTER, at azimuths about `up` (degrees) and elevations (degrees)."""
    first = torch.linalg.cross(up, torch.tensor([0.3, 0.8, -0.2]))
    first = first / first.norm()
    second = torch.linalg.cross(up, first)
    cameras = []
    for azimuth, elevation in zip(azimuths, elevations, strict=True):
        a, e = math.radians(azimuth), math.radians(elevation)
        direction = math.cos(e) * (math.cos(a) * first + math.sin(a) * second) + math.sin(e) * up
        cameras.append(camera_at(CENTER + 3 * direction, CENTER, up))
    return cameras


def elevation_of(camera: Camera, up: Tensor) -> float:
    arm = camera_position(camera) - CENTER
    return math.degrees(math.asin(float(arm @ up / arm.norm())))


def angles_between(cameras: list[Camera]) -> list[float]:
    arms = [camera_position(c) - CENTER for c in cameras]
    closed = [*arms, arms[0]]
    return [
        math.degrees(math.acos(float((a @ b / a.norm() / b.norm()).clamp(-1, 1))))
        for a, b in pairwise(closed)
    ]


def test_look_at_puts_the_target_on_the_axis_and_up_above() -> None:
    eye, up = torch.tensor([3.0, -1.0, 2.0]), torch.tensor([0.0, 0.0, 2.0])
    viewmat = look_at(eye, CENTER, up)
    target = viewmat[:3, :3] @ CENTER + viewmat[:3, 3]
    expected = torch.tensor([0.0, 0.0, float((CENTER - eye).norm())])
    torch.testing.assert_close(target, expected, atol=1e-5, rtol=0)
    above = viewmat[:3, :3] @ (CENTER + 0.1 * up) + viewmat[:3, 3]
    assert float(above[1]) < -0.05, "y points down in OpenCV axes"
    assert abs(float(above[0])) < 1e-5, "no roll"
    torch.testing.assert_close(viewmat[:3, :3] @ viewmat[:3, :3].T, torch.eye(3))
    assert float(torch.det(viewmat[:3, :3])) == pytest.approx(1.0)


def test_look_at_along_up_is_still_a_camera() -> None:
    up = torch.tensor([0.0, 0.0, 1.0])
    camera_at(CENTER + 2 * up, CENTER, up)
    with pytest.raises(ValueError, match="same point"):
        look_at(CENTER, CENTER, up)
    with pytest.raises(ValueError, match="up is zero"):
        look_at(up, CENTER, 0 * up)


@pytest.mark.parametrize("up", UPS)
def test_orbit_of_an_object_is_a_full_circle(up: tuple[float, float, float]) -> None:
    axis = torch.tensor(up)
    cameras = around(axis, [i * 36.0 for i in range(10)], [20.0, 40.0] * 5)
    path = orbit(cameras, CENTER, axis, 24)
    for camera in path:
        assert float((camera_position(camera) - CENTER).norm()) == pytest.approx(3.0, abs=1e-4)
        assert elevation_of(camera, axis) == pytest.approx(20.0, abs=1e-2)
        assert (camera.width, camera.height) == (240, 180)
        assert camera.K[0, 2] == 120
        assert camera.K[1, 2] == 90
    steps = angles_between(path)
    assert max(steps) - min(steps) < 0.1, "even steps, the last one back to the first included"
    assert sum(steps) == pytest.approx(360 * math.cos(math.radians(20.0)), rel=0.01)


@pytest.mark.parametrize("up", UPS)
@pytest.mark.parametrize("turned", [0.0, 100.0, 179.0, 250.0])
def test_orbit_before_a_wall_stays_in_the_cone(
    up: tuple[float, float, float], turned: float
) -> None:
    axis = torch.tensor(up)
    azimuths = [turned + a for a in (-30.0, -25, -12, 0, 4, 17, 24, 30)]
    cameras = around(axis, azimuths, [-5.0, 0, 12, 3, 5, 8, -4, 6])
    stand = standpoints(cameras, CENTER, axis)
    assert not stand.surrounding
    front = around(axis, [turned], [4.0])[0]
    for path in (orbit(cameras, CENTER, axis, 30), spiral(cameras, CENTER, axis, 30)):
        apart = [angles_between([front, c])[0] for c in path]
        assert max(apart) < 30.0
        assert max(apart) > 10.0
        assert max(angles_between(path)) < 12.0


def test_spiral_of_an_object_rises_and_comes_back() -> None:
    axis = torch.tensor((0.0, 0.0, 1.0))
    cameras = around(axis, [i * 18.0 for i in range(20)], [5.0 + 2.5 * i for i in range(20)])
    path = spiral(cameras, CENTER, axis, 60)
    elevations = [elevation_of(c, axis) for c in path]
    assert elevations.index(min(elevations)) == 0
    assert elevations.index(max(elevations)) == 30
    assert 5.0 < min(elevations) < 20.0
    assert 40.0 < max(elevations) < 55.0
    assert max(angles_between(path)) < 20.0


def test_cameras_right_above_stay_below_the_pole() -> None:
    axis = torch.tensor((0.0, 0.0, 1.0))
    cameras = around(axis, [0.0, 120, 240], [88.0, 89, 90])
    assert max(elevation_of(c, axis) for c in orbit(cameras, CENTER, axis, 8)) < 80.1


def test_what_no_path_can_be_made_of() -> None:
    axis = torch.tensor((0.0, 0.0, 1.0))
    camera = around(axis, [0.0], [0.0])[0]
    assert len(orbit([camera], CENTER, axis, 3)) == 3
    with pytest.raises(ValueError, match="at least one camera"):
        orbit([], CENTER, axis, 3)
    with pytest.raises(ValueError, match="at least 1 frame, got 0"):
        spiral([camera], CENTER, axis, 0)
    with pytest.raises(ValueError, match="stands in the centre"):
        orbit([camera], camera_position(camera), axis, 3)
