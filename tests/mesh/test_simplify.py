from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh
from mesh_shapes import square_grid
from scipy.ndimage import gaussian_filter
from skimage.measure import marching_cubes

from tondo.data.mesh import Mesh
from tondo.data.similarity import Similarity
from tondo.mesh.manifold import defects
from tondo.mesh.simplify import shortfall, simplify


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


def noise_surface(border: bool) -> Mesh:
    """A level set of smooth noise, with thin bridges and holes; cut open at the box's sides if
    `border`."""
    values = gaussian_filter(np.random.default_rng(0).normal(size=(32, 32, 32)), 2.0)
    if not border:
        values = np.pad(values[1:-1, 1:-1, 1:-1], 1, constant_values=-1.0)
    points, faces, _, _ = marching_cubes(values.astype(np.float32), 0.0)
    place = Similarity(2.0, (1e6, 0.0, 0.0))
    return Mesh(torch.tensor(points.copy()), torch.tensor(faces.copy()).long(), None, None, place)


@pytest.mark.parametrize("border", [False, True])
@pytest.mark.parametrize("budget", [6000, 1500])
def test_what_was_a_manifold_stays_one(border: bool, budget: int) -> None:
    before = noise_surface(border)
    mesh = simplify(before, budget)
    assert 0.99 * budget - 2 <= len(mesh.faces) <= budget
    assert shortfall(before, mesh, budget) is None
    found = defects(mesh.faces)
    assert found.is_manifold
    assert bool(found.open_edges) == border
    a, b, c = mesh.vertices[mesh.faces].unbind(1)
    area = torch.linalg.cross(b - a, c - a)
    assert area.norm(dim=1).min() > 0
    assert mesh.normals is not None
    against = (area * mesh.normals[mesh.faces].sum(dim=1)).sum(dim=1) < 0
    assert int(against.sum()) <= len(mesh.faces) // 500
    assert mesh.world_from_scene == before.world_from_scene


def test_a_border_stays_where_it_was() -> None:
    mesh = simplify(square_grid(20), 100)
    assert len(mesh.faces) <= 100
    assert mesh.vertices[:, 2].abs().max() < 1e-6
    assert mesh.vertices.amin(dim=0)[:2].tolist() == pytest.approx([0, 0], abs=1e-4)
    assert mesh.vertices.amax(dim=0)[:2].tolist() == pytest.approx([20, 20], abs=1e-4)
    a, b, c = mesh.vertices[mesh.faces].unbind(1)
    assert float(torch.linalg.cross(b - a, c - a)[:, 2].sum() / 2) == pytest.approx(400, rel=1e-4)


def test_budgets_that_are_not_used_say_why() -> None:
    mesh = colored_ball()
    assert "all there are" in (shortfall(mesh, simplify(mesh, 10**6), 10**6) or "")
    cubes = trimesh.util.concatenate(
        [trimesh.creation.box().apply_translation([3 * k, 0, 0]) for k in range(20)]
    )
    assert isinstance(cubes, trimesh.Trimesh)
    parts = Mesh(torch.tensor(cubes.vertices).float(), torch.tensor(cubes.faces))
    few = simplify(parts, 20)
    assert "not at most 20: fewer would" in (shortfall(parts, few, 20) or "")
