from __future__ import annotations

import pytest
import torch
from mesh_shapes import (
    SPHERE_CENTER,
    color_at,
    sphere,
    square_grid,
    view_of,
    viewmats,
    views_around,
)

from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.mesh.extract import extract_mesh
from tondo.mesh.visible import color_from_views, visible_points


def test_points_behind_the_mesh_are_hidden() -> None:
    """A square seen from above hides what lies below it, and nothing beside it."""
    mesh = square_grid(6)  # 0..6 in x and y
    looking_down = torch.diag(torch.tensor([1.0, -1, -1, 1]))
    looking_down[:3, 3] = torch.tensor([-3.0, 3.0, 20.0])
    K = torch.tensor([[80.0, 0, 40], [0, 80, 30], [0, 0, 1]])
    camera = Camera(looking_down, K, 80, 60)
    points = torch.tensor([[3.0, 3, 1], [3, 3, 0], [3, 3, -5], [8, 3, -5], [3, 3, 30], [40, 3, 0]])
    assert visible_points(points, mesh, [camera]).tolist() == [
        True,
        True,
        False,
        True,
        False,
        False,
    ]
    assert not visible_points(points, mesh, []).any()


def test_colours_come_from_views_that_see_the_vertex() -> None:
    mesh = extract_mesh(views_around(sphere), center=SPHERE_CENTER, radius=1.1, resolution=48)
    grey = Mesh(mesh.vertices, mesh.faces, torch.full_like(mesh.colors, 7), mesh.normals)
    above = [view_of(sphere, viewmat) for viewmat in viewmats(24)[:9]]
    colored, seen = color_from_views(grey, above)
    high, low = (mesh.vertices - SPHERE_CENTER)[:, 2] > 0.3, mesh.vertices[:, 2] < -0.65
    assert seen[high].all()
    assert not seen[low].any()
    assert colored.colors is not None
    assert (colored.colors[low] == 7).all()
    expected = color_at(mesh.vertices) * 255
    error = (colored.colors.float() - expected)[high].abs()
    assert error.mean() < 2
    assert error.max() < 14


def test_a_mesh_without_normals_is_refused() -> None:
    mesh = square_grid(2)
    with pytest.raises(ValueError, match="normals"):
        color_from_views(Mesh(mesh.vertices, mesh.faces), [])
