"""The ribbed object: its sign, its closed surface with two holes, its relief, its gloss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import trimesh
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.demo import ribbed
from tondo.demo.grid import DistanceGrid, build_grid
from tondo.demo.photographs import hemisphere, photograph_object, whole_mesh
from tondo.demo.ribbed import GENUS, RELIEF, RIBBED, Part, distance, part_distances
from tondo.demo.solid import RADIUS
from tondo.demo.tracer import normals, seen_normals, shade, shoot
from tondo.geometry.cameras import camera_position
from tondo.io.models.mesh_files import read_mesh


@pytest.fixture(scope="module")
def grid() -> DistanceGrid:
    return build_grid(224, solid=RIBBED)


def test_inside_and_outside() -> None:
    # in the slab, the cup's wall, the pierced wall, the handle and a dome; then in the cup, in the
    # hole, in the handle's ring, over a dome and below the slab
    inside = torch.tensor(
        [
            [0.6, 0.0, -0.57],
            [-0.28, 0.312, 0.0],
            [0.42, 0.0, 0.25],
            [-0.76, 0.0, -0.02],
            [0.16, 0.3, -0.45],
        ]
    )
    outside = torch.tensor(
        [
            [-0.28, 0.0, 0.0],
            [0.42, 0.0, -0.08],
            [-0.66, 0.0, -0.02],
            [0.16, 0.3, -0.35],
            [0.0, 0.0, -0.65],
        ]
    )
    assert (distance(*inside.T) < 0).all()
    assert (distance(*outside.T) > 0).all()
    assert [int(p) for p in torch.stack(part_distances(*inside.T)).argmin(0)] == list(Part)


def test_the_object_fits_its_ball() -> None:
    directions = torch.randn(4000, 3, generator=torch.Generator().manual_seed(3))
    shell = torch.nn.functional.normalize(directions, dim=-1) * RADIUS
    assert distance(*shell.T).min() > 0.01


def test_distances_do_not_overshoot() -> None:
    generator = torch.Generator().manual_seed(5)
    points = (torch.rand(20_000, 3, generator=generator) * 2 - 1) * 0.8
    directions = torch.nn.functional.normalize(torch.randn(20_000, 3, generator=generator), dim=-1)
    gap = distance(*points.T)
    moved = points + directions * (0.98 * gap)[:, None]
    assert (distance(*moved.T)[gap > 0] < -0.002).float().mean() < 1e-3


def test_the_surface_is_closed_and_has_its_holes(grid: DistanceGrid) -> None:
    mesh = whole_mesh(grid)
    model = trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=False)
    assert model.is_watertight
    assert model.body_count == 1
    assert model.euler_number == 2 - 2 * GENUS
    assert model.volume > 0.1  # faces look outwards


def test_a_ray_goes_through_the_hole_and_not_beside_it(grid: DistanceGrid) -> None:
    along = torch.linspace(0.32, 0.52, 400)
    through = distance(along, torch.full_like(along, 0.05), torch.full_like(along, -0.1))
    beside = distance(along, torch.full_like(along, 0.3), torch.full_like(along, -0.1))
    assert through.min() > 0.05
    assert beside.min() < 0
    # a wall of about 1.5 % of the object's size
    size = 2 * ribbed.WALL_HALF / 2.1
    assert 0.01 < size < 0.02


@pytest.mark.parametrize("part", ["cup", "slab", "wall"])
def test_relief_is_half_a_percent(part: str) -> None:
    """From crest to valley, found along a line just over the surface."""
    t = torch.linspace(0, 1, 2001)
    lines: dict[str, tuple[Tensor, Tensor, Tensor]] = {
        "cup": (-0.28 + 0 * t, -0.345 + 0 * t, 0.12 + 0.15 * t),
        "slab": (0.1 + 0.12 * t, 0 * t, -0.51 + 0 * t),
        "wall": (0.452 + 0 * t, -0.3 + 0.6 * t, 0.28 + 0 * t),
    }
    gap = distance(*lines[part])
    # distances across are scaled by the caution with bent parts, and slopes shorten them
    assert 0.75 * RELIEF < gap.max() - gap.min() < RELIEF
    assert 0.004 < RELIEF / 2.1 < 0.006


def test_the_grid_keeps_the_relief() -> None:
    fine = build_grid(320, solid=RIBBED)
    mesh = whole_mesh(fine)
    off = distance(*mesh.vertices.T).abs()
    assert off.quantile(0.95) < 0.1 * RELIEF


def test_highlights_move_with_the_camera(grid: DistanceGrid) -> None:
    """The same places of the surface have another colour from elsewhere, and not by their paint."""
    here, there = hemisphere(40, 96)[20], hemisphere(40, 96)[23]
    shot = shoot(here, grid, samples=1, solid=RIBBED)
    points = places(here, shot.depth, *(shot.alpha > 0).nonzero().unbind(-1))
    rays = [
        torch.nn.functional.normalize(points - camera_position(camera), dim=-1)
        for camera in (here, there)
    ]
    matte = replace(RIBBED, polish=(0.0,) * len(Part))
    for solid, least, most in ((RIBBED, 0.2, 1.0), (matte, 0.0, 1e-6)):
        one, other = (shade(points, each, grid, solid) for each in rays)
        assert least <= (one - other).abs().max() <= most


def places(camera: Camera, depth: Tensor, v: Tensor, u: Tensor) -> Tensor:
    """[N, 3] what pixels (row, column) show, in the world."""
    z, K = depth[v, u], camera.K
    x, y = (u + 0.5 - K[0, 2]) / K[0, 0] * z, (v + 0.5 - K[1, 2]) / K[1, 1] * z
    return torch.stack((x, y, z), -1) @ camera.viewmat[:3, :3] + camera_position(camera)


def test_the_normals_of_a_picture(grid: DistanceGrid) -> None:
    camera = hemisphere(9, 64)[4]
    found = seen_normals(camera, grid, RIBBED)
    shot = shoot(camera, grid, samples=1, solid=RIBBED)
    covered = shot.alpha > 0
    assert torch.equal(found.norm(dim=-1) > 0.5, covered)
    v, u = covered.nonzero().unbind(-1)
    exact = normals(places(camera, shot.depth, v, u), RIBBED)
    assert (found[v, u] * exact).sum(-1).median() > 0.9999
    towards = torch.nn.functional.normalize(
        camera_position(camera) - places(camera, shot.depth, v, u), dim=-1
    )
    assert ((found[v, u] * towards).sum(-1) > -0.05).float().mean() > 0.99


def test_photographs_of_it(tmp_path: Path) -> None:
    photograph_object(
        tmp_path, solid=RIBBED, count=3, test_count=1, size=48, samples=1, grid_resolution=96
    )
    mesh = read_mesh(tmp_path / "truth.ply")
    assert distance(*mesh.vertices.T).abs().quantile(0.9) < 0.01
    assert len(list(tmp_path.rglob("*.png"))) == 4
