"""Worlds whose up is not where their file's convention has it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from tondo.geometry.look_at import look_at
from tondo.geometry.up import cameras_up, settled_up
from tondo.io.images import write_png
from tondo.io.posed.photos import load_photos

Z = torch.tensor([0.0, 0.0, 1.0])
# From a world with z up: ARKit's (y up), COLMAP's (y down), that of nerfstudio before 2024 (up -x),
# one that is upside down.
ARKIT = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
COLMAP = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
OLD_NERFSTUDIO = torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]]) @ COLMAP
NED = torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]])


def around(
    count: int = 24, *, down: float = 20.0, arc: float = 360.0, shake: float = 0.0, seed: int = 0
) -> Tensor:
    """[count, 4, 4] cameras on an arc around the origin, z up, that look `down` by so many degrees,
    each turned by about `shake` degrees about its own axes."""
    generator = torch.Generator().manual_seed(seed)
    views = []
    for index in range(count):
        turn, lift = math.radians(arc * index / count), math.radians(down)
        flat = math.cos(lift)
        eye = torch.tensor([flat * math.cos(turn), flat * math.sin(turn), math.sin(lift)])
        view = look_at(3 * eye, torch.zeros(3), Z)
        x, y, z = (math.radians(shake) * torch.randn(3, generator=generator)).tolist()
        small = torch.tensor([[0, -z, y, 0], [z, 0, -x, 0], [-y, x, 0, 0], [0, 0, 0, 0.0]])
        views.append(torch.linalg.matrix_exp(small) @ view)
    return torch.stack(views)


def straight_down(headings: list[float]) -> Tensor:
    """Cameras that look straight down from a drone, z up, each with its heading in degrees."""
    views = []
    for heading in headings:
        turn = math.radians(heading)
        c, s = math.cos(turn), math.sin(turn)
        view = torch.eye(4)
        view[:3, :3] = torch.tensor([[c, s, 0], [s, -c, 0], [0, 0, -1]])
        views.append(view)
    return torch.stack(views)


def on_their_side(views: Tensor) -> Tensor:
    """The same cameras with pictures as a phone held upright stores them: x points down."""
    turn = torch.tensor([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    return turn @ views


def in_world(views: Tensor, world: Tensor) -> Tensor:
    moved = views.clone()
    moved[:, :3, :3] = views[:, :3, :3] @ world.T
    return moved


WORLDS = {"arkit": ARKIT, "colmap": COLMAP, "old nerfstudio": OLD_NERFSTUDIO, "z down": NED}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("down", [0.0, 30.0, 60.0])
@pytest.mark.parametrize("shake", [0.0, 3.0])
def test_a_ring_in_another_world(world: str, down: float, shake: float) -> None:
    up, note = settled_up(in_world(around(down=down, shake=shake), WORLDS[world]), Z)
    assert torch.equal(up, WORLDS[world] @ Z)
    assert note is not None
    assert "from the cameras, whose mean up is" in note


@pytest.mark.parametrize("world", WORLDS)
def test_half_a_ring_in_another_world(world: str) -> None:
    up, _ = settled_up(in_world(around(arc=180, down=30, shake=2), WORLDS[world]), Z)
    assert torch.equal(up, WORLDS[world] @ Z)


@pytest.mark.parametrize("world", ["arkit", "colmap", "old nerfstudio"])
def test_pictures_of_a_phone_that_was_held_upright(world: str) -> None:
    views = on_their_side(around(down=25, shake=2))
    assert torch.equal(settled_up(in_world(views, WORLDS[world]), Z)[0], WORLDS[world] @ Z)
    assert torch.equal(settled_up(views, Z)[0], Z)
    # Which of the two sides they lie on is a guess, which does not go before the convention.
    up, note = settled_up(in_world(views, NED), Z)
    assert torch.equal(up, Z)
    assert note is not None
    assert "lie on their side" in note


@pytest.mark.parametrize("down", [-40.0, 0.0, 30.0, 60.0, 80.0, 90.0])
@pytest.mark.parametrize("arc", [60.0, 180.0, 360.0])
def test_a_right_world_stays_exactly_as_it_is(down: float, arc: float) -> None:
    for shake in (0.0, 3.0):
        up, _ = settled_up(around(arc=arc, down=min(down, 89.0), shake=shake), Z)
        assert torch.equal(up, Z)


@pytest.mark.parametrize(
    "headings", [[0.0] * 9, [0.0, 180.0] * 5, [90.0, 270.0] * 5, [40.0 * i for i in range(9)]]
)
def test_a_drone_that_looks_straight_down(headings: list[float]) -> None:
    views = straight_down(headings)
    assert torch.equal(settled_up(views, Z)[0], Z)
    if len(set(headings)) > 1:  # a COLMAP model has no convention: what they all look away from
        found = in_world(views, COLMAP)
        assert torch.allclose(cameras_up(found).direction.float(), COLMAP @ Z, atol=1e-6)


def test_cameras_that_look_every_way_say_nothing() -> None:
    views = torch.eye(4).repeat(200, 1, 1)
    turns = Rotation.random(200, random_state=0).as_matrix()
    views[:, :3, :3] = torch.from_numpy(turns)
    up, note = settled_up(views, Z)
    assert torch.equal(up, Z)
    assert note is None


def test_a_tilted_world_takes_the_mean_itself() -> None:
    tilted = torch.linalg.matrix_exp(torch.tensor([[0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]))  # 57 deg
    up, _ = settled_up(in_world(around(), tilted), Z)
    assert torch.allclose(up, tilted @ Z, atol=1e-5)


def write(folder: Path, views: Tensor, **more: object) -> Path:
    frames = []
    for index, view in enumerate(views.double()):
        world = torch.linalg.inv(view)
        world[:, 1:3] *= -1
        write_png(folder / f"{index:03d}.png", torch.full((6, 8, 3), 0.5))
        frames.append({"file_path": f"{index:03d}.png", "transform_matrix": world.tolist()})
    content = {"w": 8, "h": 6, "fl_x": 8.0, "fl_y": 8.0, "frames": frames, **more}
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("world", WORLDS)
def test_a_transforms_json_in_another_world(tmp_path: Path, world: str) -> None:
    folder = write(tmp_path, in_world(around(8, down=35), WORLDS[world]))
    photos = load_photos(folder, max_size=None)
    assert torch.equal(photos.up, WORLDS[world] @ Z)
    assert "up is taken as" in photos.notes[0]


def test_a_right_transforms_json_says_nothing_of_up(tmp_path: Path) -> None:
    photos = load_photos(write(tmp_path, around(8, down=35)), max_size=None)
    assert torch.equal(photos.up, Z)
    assert photos.notes == ()


def test_a_file_that_says_which_way_is_up(tmp_path: Path) -> None:
    photos = load_photos(write(tmp_path, around(8), up=[0, 2, 0]), max_size=None)
    assert torch.equal(photos.up, torch.tensor([0.0, 1.0, 0.0]))
    assert photos.notes == ()


def test_shared_renders_keep_z_up(shared_data: Path) -> None:
    for name in ("chair", "fox"):
        content = json.loads(
            (
                shared_data / name / f"transforms{'_train' if name == 'chair' else ''}.json"
            ).read_text()
        )
        matrices = np.array([frame["transform_matrix"] for frame in content["frames"]])
        matrices[:, :, 1:3] *= -1
        up, note = settled_up(torch.from_numpy(np.linalg.inv(matrices)), Z)
        assert torch.equal(up, Z)
        assert note is None
