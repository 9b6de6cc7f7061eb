from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
import trimesh
from mesh_shapes import (
    SPHERE_CENTER,
    Distance,
    color_at,
    sphere,
    torus,
    view_of,
    viewmats,
    views_around,
)
from scipy.spatial import cKDTree

from tondo.data.mesh import Mesh
from tondo.data.views import View
from tondo.mesh.extract import extract_mesh, surface
from tondo.mesh.fuse import cube, fuse, visible_box

SPACING = 2.2 / 64


def solid(mesh: Mesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=False)


@pytest.mark.parametrize(
    ("shape", "center", "euler", "volume"),
    [
        (sphere, SPHERE_CENTER, 2, 4 / 3 * math.pi * 0.8**3),
        (torus, torch.zeros(3), 0, 2 * math.pi**2 * 0.7 * 0.25**2),
    ],
)
def test_a_closed_shape_comes_back(
    shape: Distance, center: torch.Tensor, euler: int, volume: float
) -> None:
    mesh = extract_mesh(views_around(shape), center=center, radius=1.1, resolution=64)
    model = solid(mesh)
    assert model.is_watertight
    assert model.is_winding_consistent
    assert model.body_count == 1
    assert model.euler_number == euler
    assert model.volume == pytest.approx(volume, rel=0.02)  # positive: faces look outwards
    # from the mesh to the exact surface, in voxels, and then from that to the mesh's vertices
    errors = shape(mesh.vertices).abs() / SPACING
    assert errors.mean() < 0.1
    assert errors.max() < 0.4
    g = torch.Generator().manual_seed(0)
    exact = center + 0.7 * F.normalize(torch.randn(20_000, 3, generator=g), dim=1)
    for _ in range(30):
        exact = exact - shape(exact)[:, None] * outwards(shape, exact)
    distances = cKDTree(mesh.vertices.numpy()).query(exact.numpy())[0]
    assert distances.max() < SPACING


def outwards(shape: Distance, points: torch.Tensor) -> torch.Tensor:
    points = points.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(shape(points).sum(), points)
    return F.normalize(gradient, dim=1)


def test_colours_and_normals() -> None:
    mesh = extract_mesh(
        views_around(torus), center=torch.zeros(3), radius=1.1, resolution=64, closed=True
    )
    assert mesh.colors is not None
    assert mesh.normals is not None
    expected = color_at(mesh.vertices) * 255
    assert (mesh.colors.float() - expected).abs().mean() < 1.5
    assert (mesh.colors.float() - expected).abs().max() < 12
    cosines = (mesh.normals * outwards(torus, mesh.vertices)).sum(1)
    assert cosines.mean() > 0.99
    assert cosines.min() > 0.8
    assert torch.allclose(mesh.normals.norm(dim=1), torch.ones(len(cosines)), atol=1e-4)


def test_a_scene_before_a_wall_is_open_and_has_no_made_up_faces() -> None:
    """Views from one side, with a wall behind: only what was seen is there."""
    views = [view_of(sphere, viewmat, background=4.5) for viewmat in viewmats(24)[:5]]
    mesh = extract_mesh(views, center=SPHERE_CENTER, radius=1.1, resolution=64, closed=False)
    model = solid(mesh)
    assert not model.is_watertight
    assert len(mesh.faces) > 2000
    errors = sphere(mesh.vertices).abs() / SPACING
    assert errors.mean() < 0.15
    assert errors.quantile(0.99) < 1.0
    # the cameras are all above
    assert mesh.vertices[:, 2].min() > SPHERE_CENTER[2] - 0.75


def test_a_closed_surface_is_watertight_though_the_box_cuts_it() -> None:
    mesh = extract_mesh(views_around(torus), center=torch.zeros(3), radius=0.6, resolution=40)
    assert solid(mesh).is_watertight
    assert solid(mesh).volume > 0


def test_a_tight_box_spends_the_voxels_on_the_shape() -> None:
    views = views_around(torus)
    box = visible_box(views, cube(torch.zeros(3), 2.0))
    wide = extract_mesh(views, center=torch.zeros(3), radius=2.0, resolution=48)
    tight = extract_mesh(views, center=torch.zeros(3), radius=2.0, resolution=48, box=box)
    near = torus(wide.vertices).abs() < 0.2
    assert len(tight.vertices) > 2 * near.sum()
    assert torus(tight.vertices).abs().mean() < 0.6 * torus(wide.vertices[near]).abs().mean()


@pytest.mark.parametrize("closed", [True, False])
def test_nothing_seen_gives_an_empty_mesh(closed: bool) -> None:
    far = torch.full((3,), 40.0)
    for views in ([], views_around(sphere)):
        mesh = extract_mesh(views, center=far, radius=1.0, resolution=16, closed=closed)
        assert len(mesh.faces) == 0
        assert len(mesh.vertices) == 0


def test_smoothing_takes_noise_away_and_little_of_the_shape() -> None:
    g = torch.Generator().manual_seed(0)
    views = []
    for view in views_around(torus):
        waves = torch.randn(1, 1, 14, 18, generator=g)
        noise = 0.03 * F.interpolate(waves, size=view.depth.shape, mode="bicubic")[0, 0]
        depth = torch.where(view.depth > 0, view.depth + noise, 0.0)
        views.append(View(view.camera, view.color, depth, view.alpha))
    volume = fuse(views, cube(torch.zeros(3), 1.1), 64, carve=True)
    rough, smooth = (surface(volume, closed=True, smoothing=s) for s in (0.0, 1.0))
    errors = [torus(mesh.vertices).abs() / SPACING for mesh in (rough, smooth)]
    assert errors[1].mean() < errors[0].mean()
    assert errors[1].max() < 0.85 * errors[0].max()
    bends = [solid(mesh).face_adjacency_angles.mean() for mesh in (rough, smooth)]
    assert bends[1] < 0.7 * bends[0]
    assert solid(smooth).euler_number == 0
    assert torus(smooth.vertices).mean().abs() < 0.1 * SPACING  # neither thinner nor thicker


def test_unseen_undersides_take_a_colour_from_beside() -> None:
    views = [v for v in views_around(sphere) if v.camera.viewmat[2, 2] < 0.2]  # looking down
    assert len(views) > 10
    mesh = extract_mesh(views, center=SPHERE_CENTER, radius=1.1, resolution=48)
    assert solid(mesh).is_watertight
    assert mesh.colors is not None
    lowest = mesh.vertices[:, 2] < mesh.vertices[:, 2].min() + 0.05
    assert ((mesh.colors[lowest].float() - 127.5).abs().amax(dim=1) > 20).all()  # not grey
