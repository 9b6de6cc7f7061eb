from __future__ import annotations

import pytest
import torch
from mesh_shapes import SPHERE_CENTER, sphere, torus, view_of, viewmats, views_around

from tondo.data.views import View
from tondo.mesh.fuse import Box, cube, fuse, view_pixels, visible_box, volume_bytes


def test_the_visible_box_holds_the_shape_tightly() -> None:
    views = views_around(sphere)
    box = visible_box(views, cube(torch.zeros(3), 3.0))
    assert (box.low <= SPHERE_CENTER - 0.8 + 0.01).all()
    assert (box.high >= SPHERE_CENTER + 0.8 - 0.01).all()
    assert ((box.high - box.low) < 1.6 * 1.08).all()


def test_the_visible_box_stays_inside_the_limit() -> None:
    limit = Box(torch.tensor([0.0, -9.0, -0.3]), torch.tensor([9.0, 9.0, 0.3]))
    box = visible_box(views_around(sphere), limit)
    assert box.low[0] == 0.0
    assert box.low[2] == -0.3
    assert box.high[2] == 0.3
    assert box.high[0] < 1.2


def test_the_visible_box_of_nothing_is_the_limit() -> None:
    limit = cube(torch.full((3,), 50.0), 1.0)
    assert visible_box(views_around(sphere), limit) is limit
    assert visible_box([], limit) is limit


def test_weights_are_the_cosines_of_the_exact_normals() -> None:
    view = view_of(sphere, viewmats(7)[3])
    pixels = view_pixels(view, carve=False)
    v, u = (view.depth > 0).nonzero().T
    rays = torch.stack([u + 0.5, v + 0.5, torch.ones(len(u))], dim=1)
    rays = rays @ torch.linalg.inv(view.camera.K).T @ view.camera.viewmat[:3, :3]
    eye = -view.camera.viewmat[:3, :3].T @ view.camera.viewmat[:3, 3]
    normals = (eye + rays * view.depth[v, u][:, None] - SPHERE_CENTER) / 0.8
    cosines = -(normals * rays).sum(1) / rays.norm(dim=1)
    inner = cosines > 0.35
    assert inner.sum() > 1500
    assert (pixels[v, u, 1] - cosines)[inner].abs().max() < 0.03
    assert pixels[v, u, 1][cosines < 0.05].mean() < 0.1


def test_what_transparent_pixels_mean() -> None:
    view = view_of(sphere, viewmats(7)[3])
    alpha = view.alpha.clone()
    inside = view.depth > 0
    row, column = (int(c) for c in inside.nonzero().float().mean(dim=0))
    alpha[row, column] = 0.3
    alpha[row + 5, column] = 0.7
    view = View(view.camera, view.color, view.depth, alpha)
    carved, plain = view_pixels(view, carve=True), view_pixels(view, carve=False)
    assert carved[0, 0, 0] == torch.inf
    assert carved[0, 0, 1] == 1.0
    assert plain[0, 0, 1] == 0.0
    # one transparent pixel amid solid ones is unknown, not empty
    for pixels in (carved, plain):
        assert pixels[row, column, 1] == 0.0
        assert 0 < pixels[row + 5, column, 5] < 0.1 * pixels[row + 6, column, 5]


def test_the_grid_follows_the_box() -> None:
    box = Box(torch.tensor([0.0, 0.0, -1.0]), torch.tensor([1.0, 2.0, 3.0]))
    volume = fuse([], box, 40, carve=True)
    assert volume.planes.shape == (6, 10, 20, 40)
    assert float(volume.grid[3]) == pytest.approx(0.1)
    last = volume.grid[:3] + 0.1 * (torch.tensor(volume.planes.shape[1:]) - 1)
    assert torch.allclose((volume.grid[:3] + last) / 2, (box.low + box.high) / 2, atol=1e-6)
    assert volume_bytes(box, 40) == volume.planes.numel() * 4
    # 256 voxels a side stay well below a gibibyte
    assert volume_bytes(cube(torch.zeros(3), 1.0), 256) < 0.5 * 2**30


def test_the_field_changes_sign_at_the_surface() -> None:
    volume = fuse(views_around(torus), cube(torch.zeros(3), 1.1), 44, carve=True)
    spacing = float(volume.grid[3])
    axes = [volume.grid[a] + spacing * torch.arange(44) for a in range(3)]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    exact = torus(points) / (4 * spacing)
    # Distances along the line of sight are longer than the shortest ones, but change sign where
    # they do.
    assert (exact.abs() < 0.2).sum() > 2000
    assert (volume.planes[0][exact > 0.1] > 0).all()
    assert (volume.planes[0][exact < -0.1] < 0).all()
    front = (exact > 0.1) & (exact < 0.9) & (volume.planes[1] > 0)
    assert (volume.planes[0] - exact)[front].min() > -0.1
