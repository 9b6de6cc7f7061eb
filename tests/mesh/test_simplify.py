from __future__ import annotations

import pytest
import torch
import trimesh

from tondo.data.mesh import Mesh
from tondo.mesh.simplify import simplify


def colored_ball() -> Mesh:
    model = trimesh.creation.icosphere(subdivisions=4)
    vertices = torch.tensor(model.vertices, dtype=torch.float32)
    colors = ((vertices + 1) / 2 * 255).round().to(torch.uint8)
    return Mesh(vertices, torch.tensor(model.faces), colors, vertices)


def test_the_budget_is_kept_and_so_are_shape_and_colours() -> None:
    mesh = simplify(colored_ball(), 700)
    assert 600 < len(mesh.faces) <= 700
    model = trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=False)
    assert model.is_watertight
    assert model.volume == pytest.approx(4 / 3 * torch.pi, rel=0.02)
    assert (mesh.vertices.norm(dim=1) - 1).abs().max() < 0.02
    assert mesh.colors is not None
    assert mesh.normals is not None
    expected = (mesh.vertices + 1) / 2 * 255
    assert (mesh.colors.float() - expected).abs().max() < 12
    cosines = (mesh.normals * mesh.vertices).sum(1)
    assert cosines.min() > 0.97


def test_a_mesh_within_its_budget_stays_as_it_is() -> None:
    mesh = colored_ball()
    assert simplify(mesh, len(mesh.faces)) is mesh


def test_a_budget_of_less_than_a_tetrahedron_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        simplify(colored_ball(), 3)
