"""Generated objects as splats and meshes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import trimesh
from torch import Tensor

from blender import in_blender
from small_skins import skins_on
from tiny_generators import SHAPE, tiny_generator, tiny_run
from tondo.cli.main import main
from tondo.gan.networks.skin import sphere_map
from tondo.gan.objects.export import mesh_of, scene_of
from tondo.geometry.mesh import unfolded, vertex_normals
from tondo.geometry.spherical_harmonics import harmonics_color
from tondo.io.models.mesh_files import read_mesh


def as_trimesh(mesh: object) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=False)  # type: ignore[attr-defined]


@pytest.mark.parametrize("finer", [1, 2, 3])
def test_a_sphere_is_a_sphere(finer: int) -> None:
    mesh = mesh_of(skins_on(sphere_map(24, 40)), 0, finer)
    model = as_trimesh(mesh)
    assert len(mesh.vertices) == 24 * 40 * finer**2 + 2
    assert model.is_watertight
    assert model.is_winding_consistent
    assert model.euler_number == 2
    assert model.volume == pytest.approx(4 / 3 * torch.pi, rel=0.02)
    assert mesh.normals is not None
    assert mesh.colors is not None
    outwards = (mesh.normals * mesh.vertices / mesh.vertices.norm(dim=1, keepdim=True)).sum(1)
    assert float(outwards.min()) > 0.99
    north, south = mesh.vertices[:, 1] > 0.2, mesh.vertices[:, 1] < -0.2
    assert mesh.colors[north].unique(dim=0).tolist() == [[255, 0, 0]]
    assert mesh.colors[south].unique(dim=0).tolist() == [[0, 0, 255]]


def test_a_skin_that_is_inside_out_faces_outwards() -> None:
    mirrored = sphere_map(16, 32) * torch.tensor([-1.0, 1, 1])[:, None, None]
    assert as_trimesh(mesh_of(skins_on(mirrored), 0)).volume > 3.9


@pytest.mark.parametrize("seed", [0, 1])
def test_wild_skins_are_closed_without_needles(seed: int) -> None:
    generator = tiny_generator(seed)
    skins = generator(generator.styles(torch.randn(2, SHAPE.z)))
    model = as_trimesh(mesh_of(skins, 1))
    assert model.is_watertight
    assert model.is_winding_consistent
    assert model.nondegenerate_faces(height=1e-7).all()
    assert model.volume > 0


def folded_faces(vertices: Tensor, faces: Tensor) -> Tensor:
    """[F] bool: faces that look against the mean normal of their three vertices."""
    a, b, c = vertices.double()[faces].unbind(1)
    around = vertex_normals(vertices.double(), faces)[faces].sum(dim=1)
    return (torch.linalg.cross(b - a, c - a) * around).sum(dim=1) < 0


def test_a_fold_is_pulled_flat_and_the_rest_stays() -> None:
    mesh = mesh_of(skins_on(sphere_map(24, 40)), 0, 1)
    vertices = mesh.vertices.clone()
    vertices[10 * 40 + 7] += 0.5 * (vertices[10 * 40 + 13] - vertices[10 * 40 + 7])
    assert bool(folded_faces(vertices, mesh.faces).any())
    flat = unfolded(vertices, mesh.faces)
    assert not bool(folded_faces(flat, mesh.faces).any())
    assert float((flat - mesh.vertices).norm(dim=1).max()) < 0.3
    moved = (flat != vertices).any(dim=1)
    assert 1 <= int(moved.sum()) < 60
    assert torch.equal(unfolded(mesh.vertices, mesh.faces), mesh.vertices)


@pytest.mark.parametrize("axial", [False, True])
def test_a_stem_is_as_wide_as_pictures_show_it(axial: bool) -> None:
    grid = sphere_map(32, 64).clone()
    angle = (torch.arange(64) + 0.5) * (2 * torch.pi / 64)
    across = 0.004 * torch.stack([angle.sin(), angle.cos()])
    away = torch.tensor([0.3, 0.1])[:, None]  # from the axis
    for row in range(10):  # from its tip down to where it stands
        grid[::2, row], grid[1, row] = across + away, 1.4 - 0.06 * row
    mesh = mesh_of(skins_on(grid)._replace(axial=axial), 0, 1)
    model = as_trimesh(mesh)
    assert model.is_watertight
    assert model.is_winding_consistent
    rings = mesh.vertices[:-2].view(32, 64, 3)[..., ::2]
    width = (rings - rings.mean(dim=1, keepdim=True)).norm(dim=2).mean(dim=1)
    if axial:
        assert bool(((width[2:8] > 0.02) & (width[2:8] < 0.03)).all())
    else:
        assert float(width[2:8].max()) < 0.01
    torch.testing.assert_close(rings[3].mean(dim=0), away[:, 0], atol=1e-3, rtol=0)
    body = grid[::2, 14:30].permute(1, 2, 0)
    assert float((rings[14:30] - body).norm(dim=2).max()) < 0.005


def test_hidden_colours_do_not_reach_the_mesh() -> None:
    skins = skins_on(sphere_map(16, 32))
    skins.colors[0, 100] = torch.tensor([0.0, 1.0, 0.0])
    skins.opacities[0, 100] = 0.01
    colors = mesh_of(skins, 0, 1).colors
    assert colors is not None
    assert int(colors[100, 1]) < 3


def test_splats_keep_their_numbers() -> None:
    generator = tiny_generator()
    skins = generator(generator.styles(torch.randn(2, SHAPE.z)))
    scene = scene_of(skins, 1)
    assert torch.equal(scene.splats.means, skins.means[1])
    assert torch.allclose(scene.splats.log_scales.exp(), skins.scales[1], rtol=1e-5)
    assert torch.allclose(torch.sigmoid(scene.splats.opacity_logits), skins.opacities[1], atol=1e-5)
    render = harmonics_color(
        0, torch.tensor([[0.0, 0.0, 1.0]]).expand(len(skins.means[1]), 3), scene.splats.sh
    )
    assert torch.allclose(render, skins.colors[1], atol=1e-5)


@pytest.mark.parametrize(("form", "texture"), [("glb", "none"), ("obj", "64"), ("stl", "auto")])
def test_blender_opens_a_generated_model_and_finds_it_closed(
    tmp_path: Path, form: str, texture: str
) -> None:
    """A GLB with a texture has two vertices for each along the seam; an OBJ has one."""
    run = tiny_run(tmp_path / "run")
    out = tmp_path / "models"
    words = ["--seeds", "3", "--format", form, "--texture", texture]
    assert main(["generate", str(run), "-o", str(out), *words]) == 0
    mesh = read_mesh(out / f"seed0003.{form}")
    found = in_blender(out / f"seed0003.{form}")
    assert found["faces"] == len(mesh.faces)
    assert found["open"] == 0
    assert found["volume"] > 0.1
    assert max(abs(v) for point in found["points"] for v in point) < 2.0
