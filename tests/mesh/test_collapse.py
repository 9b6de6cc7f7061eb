"""Edges collapsed to one of their ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh
from mesh_shapes import square_grid

from tondo.data.mesh import Mesh
from tondo.mesh.collapse import collapsed, one_chart
from tondo.mesh.manifold import defects


def ball() -> Mesh:
    model = trimesh.creation.icosphere(subdivisions=4)
    return Mesh(torch.tensor(model.vertices).float(), torch.tensor(model.faces).long())


def test_vertices_stay_where_they_are_and_the_surface_closed() -> None:
    mesh = ball()
    surface = one_chart(mesh.vertices, mesh.faces)
    found = collapsed(surface, 600)
    assert 590 <= len(found.faces) <= 600
    assert found.points is surface.points
    assert defects(torch.from_numpy(found.faces)).is_closed_manifold
    model = trimesh.Trimesh(found.points, found.faces, process=False)
    assert model.volume == pytest.approx(4 / 3 * np.pi, rel=0.03)
    assert model.area == pytest.approx(4 * np.pi, rel=0.03)


def test_the_cheapest_go_first() -> None:
    """A plane with one hill: what is flat loses most faces, and the hill keeps its shape."""
    mesh = square_grid(24)
    x, y, _ = mesh.vertices.unbind(1)
    hill = 3 * torch.exp(-((x - 12) ** 2 + (y - 12) ** 2) / 8)
    surface = one_chart(torch.stack([x, y, hill], dim=1), mesh.faces)
    found = collapsed(surface, 300)
    middle = np.linalg.norm(found.points[found.faces].mean(axis=1)[:, :2] - 12, axis=1)
    assert (middle < 6).mean() > 0.33  # of a fifth of the area
    model = trimesh.Trimesh(found.points, found.faces, process=False)
    u, v, height = model.sample(5000, seed=0).T
    off = np.abs(height - 3 * np.exp(-((u - 12) ** 2 + (v - 12) ** 2) / 8))
    assert np.quantile(off, 0.95) < 0.1


def test_a_border_becomes_shorter_along_itself_only() -> None:
    mesh = square_grid(12)
    found = collapsed(one_chart(mesh.vertices, mesh.faces), 1, borders_only=True)
    state = defects(torch.from_numpy(found.faces))
    assert state.is_manifold
    assert state.open_edges < 30
    inside = (mesh.vertices[:, :2] > 0).all(dim=1) & (mesh.vertices[:, :2] < 12).all(dim=1)
    assert set(torch.where(inside)[0].tolist()) <= set(np.unique(found.faces).tolist())
    a, b, c = found.points[found.faces].transpose(1, 0, 2)
    area = np.cross(b - a, c - a)[:, 2] / 2
    assert (area > 0).all()
    assert area.sum() == pytest.approx(144)


def test_what_touches_in_a_point_stays_apart() -> None:
    """Two balls that share a vertex: it may not go, or they would become one."""
    one = ball()
    top = int(one.vertices[:, 2].argmax())
    other = one.faces + len(one.vertices)
    other[other == len(one.vertices) + top] = top
    points = torch.cat([one.vertices, one.vertices * torch.tensor([1, 1, -1.0])])
    points[len(one.vertices) :, 2] += 2 * one.vertices[top, 2]
    faces = torch.cat([one.faces, other.flip(1)])
    assert defects(faces).pinched_vertices == 1
    found = collapsed(one_chart(points, faces), 500)
    assert len(found.faces) <= 500
    assert top in found.faces
    state = defects(torch.from_numpy(found.faces))
    assert (state.crowded_edges, state.pinched_vertices, state.open_edges) == (0, 1, 0)


def test_no_part_vanishes() -> None:
    model = trimesh.creation.icosphere(subdivisions=0)
    mesh = one_chart(torch.tensor(model.vertices).float(), torch.tensor(model.faces).long())
    found = collapsed(mesh, 1)
    assert 4 <= len(found.faces) < 20
    assert defects(torch.from_numpy(found.faces)).is_closed_manifold
    flat = square_grid(2)
    left = collapsed(one_chart(flat.vertices, flat.faces), 0)
    assert 1 <= len(left.faces) < 8
