"""The surface of one density: where it lies, and that the right one is chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ball_field import CENTER, COLOR, RADIUS, ball_scene
from tondo.data.mesh import Mesh
from tondo.mesh.clean import is_closed, select_faces
from tondo.mesh.extract import surface
from tondo.mesh.fuse import Box, cube
from tondo.mesh.iso import best_level, density_grid, view_error
from tondo.mesh.options import MeshOptions
from tondo.scenes.render import render
from tondo.scenes.to_mesh import cameras_around, closest_mesh, to_mesh


def radii(mesh: Mesh) -> torch.Tensor:
    return (mesh.vertices - torch.tensor(CENTER)).norm(dim=1)


def test_the_surface_lies_where_the_density_is() -> None:
    scene = ball_scene(slope=20.0, density=10.0)
    box = Box(torch.tensor([-0.6, -0.9, -0.5]), torch.tensor([1.1, 0.7, 1.0]))  # x, y, z differ
    at_radius = surface(density_grid(scene.field, box, 40, 10.0), closed=True)
    inner = surface(density_grid(scene.field, box, 40, 10.0 * 2.71828**2), closed=True)
    assert is_closed(at_radius)
    # between vertices 0.19 apart the distance is interpolated: up to 0.19^2 / 8 / 0.6 off
    assert float((radii(at_radius) - RADIUS).abs().max()) < 0.02
    assert float(radii(inner).mean()) == pytest.approx(RADIUS - 2 / 20, abs=0.02)
    outward = torch.nn.functional.normalize(at_radius.vertices - torch.tensor(CENTER), dim=1)
    assert at_radius.normals is not None
    assert float((at_radius.normals * outward).sum(dim=1).min()) > 0.9


def test_cells_that_hold_nothing_have_no_surface() -> None:
    scene = ball_scene()
    occupied = scene.field.space.occupied.clone()
    occupied[:, :, 4:] = False
    field = replace(scene.field, space=replace(scene.field.space, occupied=occupied))
    mesh = surface(density_grid(field, cube(torch.tensor(CENTER), 1.0), 32, 10.0), closed=True)
    assert float(mesh.vertices[:, 0].max()) < CENTER[0] + 2 / 32
    assert float(mesh.vertices[:, 0].min()) < CENTER[0] - 0.55


def test_the_level_is_that_which_looks_like_the_field() -> None:
    scene = ball_scene(slope=12.0, density=2.0)  # a soft edge: what one sees lies further in
    cameras = cameras_around(scene.center, 1.0, count=3, size=90)
    views = [render(scene, camera) for camera in cameras]
    volume = density_grid(scene.field, cube(scene.center, 1.0), 60)
    level = best_level(volume, views)
    seen = torch.cat([view.depth[view.alpha > 0.5] for view in views])
    assert len(seen) > 1000
    mesh = surface(
        density_grid(scene.field, cube(scene.center, 1.0), 60, level.density), closed=True
    )
    assert level.off == pytest.approx(
        sum(view_error(mesh, view, 2 * float(volume.grid[3])) for view in views) / 3, abs=0.02
    )
    for factor in (0.1, 10.0):
        other = density_grid(scene.field, cube(scene.center, 1.0), 60, factor * level.density)
        worse = surface(other, closed=True)
        for view in views:
            assert view_error(worse, view, 0.06) > view_error(mesh, view, 0.06)


def test_a_field_becomes_a_closed_coloured_mesh() -> None:
    scene = ball_scene()
    cameras = cameras_around(scene.center, 1.0, count=8, size=72)
    mesh = to_mesh(scene, cameras, MeshOptions(resolution=48))
    assert is_closed(mesh)
    assert float((radii(mesh) - RADIUS).abs().mean()) < 0.03
    assert mesh.colors is not None
    wanted = 255 * torch.tensor(COLOR)
    assert float((mesh.colors.float() - wanted).abs().mean()) < 6


def test_of_a_given_surface_and_those_of_densities_the_likest_is_taken() -> None:
    scene = ball_scene(slope=60.0, density=10.0)
    cameras = cameras_around(scene.center, 1.0, count=4, size=90)
    box, options = cube(scene.center, 1.0), MeshOptions(resolution=40)
    whole = surface(density_grid(scene.field, box, 60, 10.0), closed=True)
    holed = select_faces(whole, whole.vertices[whole.faces[:, 0], 2] < CENTER[2] + 0.2)
    chosen = closest_mesh(scene, holed, cameras, options, box)
    assert chosen is not holed
    assert is_closed(chosen)
    assert float((radii(chosen) - RADIUS).abs().mean()) < 0.05
    assert closest_mesh(scene, chosen, cameras, options, box) is chosen  # the first of equals
