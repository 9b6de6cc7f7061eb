"""A camera that structure from motion threw far away: named, left out, and without a say in how
large the scene is. Nothing that people photograph on purpose is taken for one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

import small_photos
from tondo.data.cameras import Camera
from tondo.geometry.cameras import camera_position
from tondo.geometry.focus import camera_reach, focus
from tondo.geometry.look_at import look_at
from tondo.geometry.placement import Far, far_cameras, place
from tondo.io.images import write_png
from tondo.io.posed.cameras_json import write_cameras
from tondo.io.posed.frames import Frame
from tondo.io.posed.photos import load_photos
from tondo.io.posed.picture_fit import picture_fits
from tondo.io.posed.placing import placed
from tondo.io.posed.undistort import Lens

UP = torch.tensor([0.0, 0.0, 1.0])
WIDE = (-0.6, 0.6, -0.45, 0.45)


def at(*place: float, target: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Tensor:
    """A view from a place to a target."""
    return look_at(torch.tensor(place), torch.tensor(target), UP).double()


def ring(count: int, radius: float, height: float = 1.0) -> list[Tensor]:
    turns = [2 * math.pi * i / count for i in range(count)]
    return [at(radius * math.cos(t), radius * math.sin(t), height) for t in turns]


def found(views: list[Tensor]) -> list[Far]:
    bounds = torch.tensor([WIDE] * len(views), dtype=torch.float64)
    return far_cameras(torch.stack(views), bounds)


def drive(count: int, apart: float) -> list[Tensor]:
    """Along a street, looking ahead, as from a car."""
    return [at(apart * i, 0.0, 1.5, target=(apart * i + 9.0, 0.0, 1.5)) for i in range(count)]


def panorama(count: int, x: float) -> list[Tensor]:
    """Looking all around from one place, held in the hand."""
    generator = torch.Generator().manual_seed(count)
    shaken = (0.03 * torch.randn(count, 3, generator=generator)).tolist()
    views = []
    for i, (dx, dy, dz) in enumerate(shaken):
        turn = 2 * math.pi * i / count
        there = (x + 5 * math.cos(turn), 5 * math.sin(turn), dz)
        views.append(at(x + dx, dy, dz, target=there))
    return views


LEGITIMATE = {
    "one ring": ring(24, 3.0),
    "two rings of different radius": ring(20, 2.0) + ring(20, 12.0, 6.0),
    "a few photos of the whole from afar": ring(40, 2.0) + ring(6, 15.0, 9.0),
    "one overview of a drone": [*ring(40, 20.0, 5.0), at(10.0, 10.0, 400.0)],
    "an overview from the side": [*ring(40, 2.0), at(60.0, -35.0, 9.0)],
    "an approach": [at(0.3, 0.2 * i, 2.0 ** (0.4 * i)) for i in range(24)],
    "a street": drive(60, 4.0),
    "a street with a gap": drive(30, 2.0) + [v.clone() for v in drive(45, 10.0)[30:]],
    "a wall, face on": [
        at(0.4 * i, -3.0, 0.2 * (i % 3), target=(0.4 * i, 0.0, 0.0)) for i in range(20)
    ],
    "two panoramas": panorama(30, 0.0) + panorama(5, 4.0),
    "five photos": [*ring(4, 2.0), at(90.0, 0.0, 0.0, target=(99.0, 0.0, 0.0))],
}


@pytest.mark.parametrize("views", LEGITIMATE.values(), ids=LEGITIMATE.keys())
def test_what_people_photograph_is_no_stray(views: list[Tensor]) -> None:
    assert all(far.sees for far in found(views))


@pytest.mark.parametrize("away", [30.0, 100.0, 2000.0, 1e6])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_strays_are_told(away: float, count: int) -> None:
    views = ring(24, 2.0)
    places = [(away, 0.3 * away, 5.0), (-away, 4.0, 2.0), (3.0, 5.0 * away, away)][:count]
    for x, y, z in places:  # they look past the scene
        views.append(at(x, y, z, target=(x + 1.0, y + 3.0, z)))
    strays = [far.index for far in found(views) if not far.sees]
    assert strays == list(range(24, 24 + count))
    assert place(torch.stack(views)) == place(torch.stack(ring(24, 2.0)))


def test_a_speck_in_a_picture_is_not_seen() -> None:
    """By chance it looks towards the scene, from 2000 radii."""
    far = found([*ring(24, 2.0), at(4000.0, 0.0, 3.0)])
    assert [(one.index, one.sees) for one in far] == [(24, False)]


def test_the_size_of_the_scene_is_that_of_the_others() -> None:
    K = torch.tensor([[70.0, 0, 36], [0, 70.0, 28], [0, 0, 1]])

    def cameras(views: list[Tensor]) -> list[Camera]:
        return [Camera(view.float(), K, 72, 56) for view in views]

    good = ring(24, 2.0)
    for extra in (at(60.0, 0.0, 9.0), at(2000.0, 0.0, 9.0, target=(2001.0, 0.0, 0.0))):
        both = cameras([*good, extra])
        assert camera_reach(both) == camera_reach(cameras(good))
        assert focus(both)[1] == focus(cameras(good))[1]
        assert torch.equal(focus(both)[0], focus(cameras(good))[0])


def write(folder: Path, moved: dict[int, Callable[[Tensor], Tensor]]) -> Path:
    """The small scene with the cameras of some photos moved."""
    folder.mkdir()
    named = []
    for index, photo in enumerate(small_photos.photos(16)):
        write_png(folder / photo.name, photo.image)
        view, camera = photo.camera.viewmat.clone(), photo.camera
        if index in moved:
            view[:3, 3] = -view[:3, :3] @ moved[index](camera_position(camera))
        named.append((photo.name, Camera(view, camera.K, camera.width, camera.height)))
    write_cameras(folder / "transforms.json", named)
    return folder


@pytest.mark.parametrize("away", [60.0, 2500.0])
@pytest.mark.parametrize("index", [8, 5], ids=["held out", "in training"])
def test_a_stray_is_named_and_left_out(tmp_path: Path, away: float, index: int) -> None:
    plain = load_photos(write(tmp_path / "plain", {}), max_size=None)
    aside = torch.tensor([-away, 0.6 * away, 0.6 * away])
    photos = load_photos(write(tmp_path / "stray", {index: lambda p: p + aside}), max_size=None)
    name = f"{index:03d}.png"
    (stray,) = photos.skipped
    assert stray.name == name
    assert "stray pose" in stray.reason
    assert any(name in note for note in photos.notes)
    for split in ("train", "test"):
        names = [photo.name for photo in getattr(plain, split)]
        assert [photo.name for photo in getattr(photos, split)] == [n for n in names if n != name]


def test_a_far_camera_that_may_be_right_is_named_and_kept(tmp_path: Path) -> None:
    """It looks at the scene, from ten times as far as the others."""
    folder = write(tmp_path / "far", {5: lambda p: 10 * p})
    photos = load_photos(folder, max_size=None)
    assert not photos.skipped
    (note,) = photos.notes
    assert "005.png" in note
    assert "look whether its pose is right" in note


def painted(folder: Path, count: int) -> list[Frame]:
    """Photos of a painted floor from around it, with right poses."""
    rng = np.random.default_rng(4)
    paint = np.zeros((500, 500), np.float32)
    for cells in (12, 25, 50, 100, 250):
        coarse = rng.random((cells, cells), np.float32)
        paint += cv2.resize(coarse, (500, 500), interpolation=cv2.INTER_CUBIC)
    paint = cv2.normalize(paint, paint, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    floor_from_paint = np.array([[0.01, 0, -2.5], [0, 0.01, -2.5], [0, 0, 1]])
    lens = Lens("PINHOLE", 240, 180, (240.0, 240.0, 120.0, 90.0))
    K = np.array([[240.0, 0, 120], [0, 240, 90], [0, 0, 1]])
    frames = []
    for i, view in enumerate(ring(count, 1.5, 3.5)):
        matrix = view.numpy()
        H = K @ matrix[:3][:, [0, 1, 3]] @ floor_from_paint
        picture = cv2.warpPerspective(paint, H, (240, 180))
        path = folder / f"{i:02d}.png"
        write_png(path, torch.from_numpy(picture)[..., None].expand(-1, -1, 3))
        frames.append(Frame(path.name, path, lens, matrix))
    return frames


def test_what_a_picture_shows_tells_a_wrong_pose_that_looks_right(tmp_path: Path) -> None:
    frames = painted(tmp_path, 8)
    others = frames[:4] + frames[5:]
    assert picture_fits(frames[4], others) is True
    center = np.linalg.inv(frames[4].viewmat)[:3, 3]
    moved = frames[4].viewmat.copy()
    moved[:3, 3] = -moved[:3, :3] @ (14.0 * center + np.array([0.0, 9.0, 5.0]))
    found = placed([*others, replace(frames[4], viewmat=moved)], None)
    assert [one.name for one in found.skipped] == ["04.png"]
    assert "what its picture shows does not fit" in found.skipped[0].reason
    wrong = [replace(one, viewmat=np.roll(one.viewmat, 1, axis=0)) for one in others]
    assert picture_fits(frames[4], wrong) is None, "others that are no better say nothing"
    assert picture_fits(frames[4], []) is None
