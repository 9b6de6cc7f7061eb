"""Surfaces that touch along an edge or in a point."""

from __future__ import annotations

import pytest
import torch
import trimesh

from tondo.data.mesh import Mesh
from tondo.mesh.manifold import defects, parted

CUBE = trimesh.creation.box()


def cubes(*shifts: tuple[float, float, float]) -> Mesh:
    """Cubes of side 1, welded where corners coincide."""
    moved = [CUBE.copy().apply_translation(shift) for shift in shifts]
    model = trimesh.util.concatenate(moved)
    assert isinstance(model, trimesh.Trimesh)
    model.merge_vertices()
    vertices = torch.tensor(model.vertices, dtype=torch.float32)
    return Mesh(vertices, torch.tensor(model.faces))


def pinched_tube() -> Mesh:
    """A tube closed at both ends, whose waist, once a triangle, is collapsed to the edge 0-1."""
    top = [[1, 0, 2], [0, 1, 3], [2, 0, 4], [1, 2, 4], [3, 1, 4], [0, 3, 4]]
    bottom = [[a, c, b] for a, b, c in ([[i if i < 2 else i + 3 for i in face] for face in top])]
    above = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0.5, 1, 1], [0.5, -1, 1], [0.5, 0, 2]])
    below = above[2:] * torch.tensor([1, 1, -1.0])
    return Mesh(torch.cat([above, below]), torch.tensor(top + bottom))


def test_cubes_that_share_an_edge_become_two_closed_ones() -> None:
    mesh = cubes((0, 0, 0), (1, 1, 0))
    assert len(mesh.vertices) == 14
    assert defects(mesh.faces).crowded_edges == 1
    found = parted(mesh)
    assert len(found.vertices) == 16
    assert defects(found.faces).is_closed_manifold
    model = trimesh.Trimesh(found.vertices.numpy(), found.faces.numpy(), process=False)
    assert [round(part.volume, 6) for part in model.split()] == [1.0, 1.0]


def test_cubes_that_share_a_corner_become_two() -> None:
    mesh = cubes((0, 0, 0), (1, 1, 1))
    assert (len(mesh.vertices), defects(mesh.faces).pinched_vertices) == (15, 1)
    found = parted(mesh)
    assert (len(found.vertices), defects(found.faces).is_closed_manifold) == (16, True)


def test_a_tube_that_was_pinched_becomes_two_closed_parts() -> None:
    mesh = pinched_tube()
    assert defects(mesh.faces).crowded_edges == 1
    found = parted(mesh)
    assert defects(found.faces).is_closed_manifold
    assert len(found.faces) == len(mesh.faces)
    parts = trimesh.Trimesh(found.vertices.numpy(), found.faces.numpy(), process=False).split()
    assert len(parts) == 2
    assert all(part.volume > 0 for part in parts)


def test_faces_back_to_back_are_left_out() -> None:
    mesh = cubes((0, 0, 0))
    a, b = mesh.faces[0, :2].tolist()
    point = torch.cat([mesh.vertices, torch.tensor([[3.0, 3, 3]])])
    fin = torch.tensor([[a, b, 8], [b, a, 8]])
    found = parted(Mesh(point, torch.cat([mesh.faces, fin])))
    assert torch.equal(found.faces, mesh.faces)
    assert torch.equal(found.vertices, mesh.vertices)


def test_a_manifold_and_an_empty_mesh_stay_as_they_are() -> None:
    mesh = cubes((0, 0, 0))
    assert parted(mesh) is mesh
    empty = Mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64))
    assert parted(empty) is empty
    assert defects(empty.faces).is_closed_manifold
    assert defects(mesh.faces[1:]).open_edges == 3


@pytest.mark.parametrize("seed", range(8))
def test_any_triangles_at_all_become_a_manifold(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    faces = torch.randint(0, 8 + 4 * seed, (60, 3), generator=generator)
    mesh = Mesh(torch.rand(8 + 4 * seed, 3, generator=generator), faces)
    found = parted(mesh)
    assert defects(found.faces).is_manifold
    before = {tuple(sorted(face)) for face in mesh.vertices[faces].flatten(1).tolist()}
    assert {
        tuple(sorted(face)) for face in found.vertices[found.faces].flatten(1).tolist()
    } <= before


def test_edges_of_very_many_faces_are_parted_in_no_time() -> None:
    count = 50_000
    fan = torch.stack([torch.zeros(count), torch.ones(count), torch.arange(2, count + 2)], dim=1)
    mesh = Mesh(torch.rand(count + 2, 3), torch.cat([fan.long(), fan.long(), fan.long().flip(1)]))
    found = parted(mesh)
    assert len(found.faces) == count  # each pair back to back is left out
    assert defects(found.faces).is_manifold
