"""The demonstration's photographs: files, cameras, the true mesh."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tondo.demo.grid import build_grid
from tondo.demo.photographs import hemisphere, photograph_object
from tondo.demo.shape import distance
from tondo.demo.tracer import shoot
from tondo.errors import OptionError
from tondo.geometry.cameras import camera_position
from tondo.io.models.mesh_files import read_mesh


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("photos")
    told: list[tuple[int, int]] = []
    photograph_object(
        out,
        count=5,
        test_count=2,
        size=72,
        samples=1,
        grid_resolution=96,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(i, 7) for i in range(1, 8)]
    return out


def test_files_are_the_blender_layout(photos: Path) -> None:
    for split, count in (("train", 5), ("test", 2)):
        listing = json.loads((photos / f"transforms_{split}.json").read_text())
        assert len(listing["frames"]) == count
        for frame in listing["frames"]:
            with Image.open(photos / f"{frame['file_path']}.png") as image:
                assert (image.mode, image.size) == ("RGBA", (72, 72))
                alpha = np.asarray(image)[..., 3]
            assert 0.1 < (alpha > 0).mean() < 0.6
            assert alpha[0, 0] == 0


def test_cameras_look_at_the_middle() -> None:
    for camera in hemisphere(9, 64):
        position = camera_position(camera)
        middle = camera.viewmat[:3, 3]
        assert position[2] > 0
        assert middle[:2].abs().max() < 1e-5
        assert torch.isclose(middle[2], position.norm(), atol=1e-5)


def test_other_phase_gives_other_cameras() -> None:
    here = torch.stack([camera_position(c) for c in hemisphere(12, 8)])
    there = torch.stack([camera_position(c) for c in hemisphere(4, 8, 0.37)])
    assert torch.cdist(here, there).min() > 0.05


def test_the_truth_lies_on_the_object(photos: Path) -> None:
    mesh = read_mesh(photos / "truth.ply")
    off = distance(*mesh.vertices.T).abs()
    # The grid is coarse here: a cell is 0.024, and sharp edges are rounded by less than one.
    assert off.quantile(0.95) < 0.005
    assert len(mesh.faces) > 5000
    # Nothing underneath the plinth, where no camera looks.
    assert mesh.vertices[:, 2].min() > -0.86


def test_depth_agrees_with_the_surface() -> None:
    camera = hemisphere(3, 48)[1]
    shot = shoot(camera, build_grid(128), samples=1)
    v, u = (shot.alpha > 0).nonzero().unbind(-1)
    z = shot.depth[v, u]
    x = (u + 0.5 - camera.K[0, 2]) / camera.K[0, 0] * z
    y = (v + 0.5 - camera.K[1, 2]) / camera.K[1, 1] * z
    world = torch.stack((x, y, z), -1) @ camera.viewmat[:3, :3] + camera_position(camera)
    assert len(z) > 300
    assert distance(*world.T).abs().quantile(0.95) < 0.006
    assert torch.isinf(shot.depth[shot.alpha == 0]).all()


def test_the_same_photographs_every_time(photos: Path, tmp_path: Path) -> None:
    photograph_object(tmp_path, count=5, test_count=2, size=72, samples=1, grid_resolution=96)
    for path in sorted(photos.rglob("*.png")):
        assert path.read_bytes() == (tmp_path / path.relative_to(photos)).read_bytes()


def test_wrong_counts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="at least 1"):
        photograph_object(tmp_path, count=0)
    assert not list(tmp_path.iterdir())
