"""Colours of points on a surface from a picture: native code against its definition."""

from __future__ import annotations

import pytest
import torch
import trimesh
from torch import Tensor

from tondo.kernels.gather_view import gather_view
from tondo.kernels.gather_view_torch import (
    FAINTLY,
    FULLY,
    NOT,
    GatherRule,
    SurfacePoints,
    ViewMaps,
    gather_view_torch,
)
from tondo.kernels.mesh_depth import mesh_depth

WIDTH, HEIGHT, SCALE = 43, 31, 2
VIEWMAT = torch.tensor([[0.8, 0, 0.6, 0.1], [0, 1, 0, -0.05], [-0.6, 0, 0.8, 3.0], [0, 0, 0, 1.0]])
K = torch.tensor([[40.0, 0.0, 19.0], [0.0, 44.0, 14.5], [0.0, 0.0, 1.0]])
RULE = GatherRule(power=2.0, flat=0.2, faint=1e-6, slack=1.0, weight=1.5, tolerance=0.1)


def ball() -> tuple[SurfacePoints, Tensor]:
    """Points in the middles of a ball's faces, and the ball's depth."""
    model = trimesh.creation.icosphere(subdivisions=4, radius=0.9)
    vertices, faces = torch.tensor(model.vertices).float(), torch.tensor(model.faces)
    points = vertices[faces].mean(dim=1)
    eye = -VIEWMAT[:3, :3].T @ VIEWMAT[:3, 3]
    a, b, c = vertices[faces].unbind(1)
    facing = ((eye - a) * torch.linalg.cross(b - a, c - a)).sum(dim=1) > 0
    large = K * torch.tensor([[SCALE], [SCALE], [1.0]])
    depth, _ = mesh_depth(vertices, faces, VIEWMAT, large, SCALE * WIDTH, SCALE * HEIGHT)
    unit = torch.nn.functional.normalize(points, dim=1)
    return SurfacePoints(points, unit, torch.arange(len(faces)), facing.to(torch.uint8)), depth


def view_of(depth: Tensor, image: Tensor | None = None) -> ViewMaps:
    generator = torch.Generator().manual_seed(0)
    if image is None:
        image = torch.randint(256, (HEIGHT, WIDTH, 3), generator=generator, dtype=torch.uint8)
    use = torch.randint(NOT, FULLY + 1, (HEIGHT, WIDTH), generator=generator, dtype=torch.uint8)
    unexposed = torch.eye(3, 4) * 0.8 + 0.03
    return ViewMaps(VIEWMAT, K, depth, use, image, unexposed)


@pytest.mark.parametrize("with_mean", [False, True])
def test_native_is_the_twin(with_mean: bool) -> None:
    surface, depth = ball()
    view = view_of(depth)
    mean = torch.rand(len(surface.points), 3) if with_mean else None
    found = []
    for function in (gather_view, gather_view_torch):
        total = torch.full((len(surface.points), 3), 0.5)
        weights = torch.full((len(surface.points),), 0.25)
        function(surface, view, RULE, mean, total, weights)
        found.append((total, weights))
    (total, weights), (twin, twin_weights) = found
    assert int((twin_weights > 0.25).sum()) > 800
    torch.testing.assert_close(weights, twin_weights, rtol=2e-4, atol=1e-5)
    torch.testing.assert_close(total, twin, rtol=2e-4, atol=1e-4)


def test_what_is_hidden_is_not_seen() -> None:
    surface, depth = ball()
    wall = torch.where(depth > 0, depth - 0.5, 1.0)  # something before all of it
    weights, total = torch.zeros(len(surface.points)), torch.zeros(len(surface.points), 3)
    gather_view(surface, view_of(wall), RULE, None, total, weights)
    assert float(weights.abs().max()) == 0
    gather_view(surface, view_of(depth), RULE, None, total, weights)
    eye = -VIEWMAT[:3, :3].T @ VIEWMAT[:3, 3]
    seen = weights > 0
    assert bool((surface.points[seen] @ eye > 0).all())


def test_colors_are_those_of_the_pixels() -> None:
    surface, depth = ball()
    u = torch.arange(WIDTH).expand(HEIGHT, WIDTH)
    v = torch.arange(HEIGHT)[:, None].expand(HEIGHT, WIDTH)
    image = torch.stack([5 * u, 7 * v, torch.full_like(u, 90)], dim=-1).to(torch.uint8)
    view = view_of(depth, image)._replace(unexposed=torch.eye(3, 4))
    view = view._replace(use=torch.full((HEIGHT, WIDTH), FULLY, dtype=torch.uint8))
    weights, total = torch.zeros(len(surface.points)), torch.zeros(len(surface.points), 3)
    gather_view(surface, view, RULE, None, total, weights)
    seen = weights > 0
    local = surface.points[seen] @ VIEWMAT[:3, :3].T + VIEWMAT[:3, 3]
    pixels = (local @ K.T)[:, :2] / local[:, 2:]
    at = (pixels - 0.5).clamp_min(0)  # the border is repeated
    wanted = torch.stack([5 * at[:, 0], 7 * at[:, 1]], dim=1) / 255
    colors = total[seen] / weights[seen, None]
    torch.testing.assert_close(colors[:, :2], wanted, atol=1e-4, rtol=0)
    torch.testing.assert_close(colors[:, 2], torch.full((int(seen.sum()),), 90 / 255))


def test_flat_and_faint_views_count_by_a_millionth() -> None:
    surface, depth = ball()
    found = []
    for use in (FAINTLY, FULLY):
        weights, total = torch.zeros(len(surface.points)), torch.zeros(len(surface.points), 3)
        flags = torch.full((HEIGHT, WIDTH), use, dtype=torch.uint8)
        gather_view(surface, view_of(depth)._replace(use=flags), RULE, None, total, weights)
        found.append(weights)
    eye = -VIEWMAT[:3, :3].T @ VIEWMAT[:3, 3]
    towards = torch.nn.functional.normalize(eye - surface.points, dim=1)
    steep = ((towards * surface.normals).sum(dim=1) > RULE.flat) & (found[1] > 0)
    torch.testing.assert_close(found[0][steep], found[1][steep] * RULE.faint)
    torch.testing.assert_close(found[0][~steep], found[1][~steep])


def test_sizes_are_checked() -> None:
    surface, depth = ball()
    weights, total = torch.zeros(len(surface.points)), torch.zeros(len(surface.points), 3)
    with pytest.raises(ValueError, match="sizes differ"):
        gather_view(surface, view_of(depth), RULE, None, total[1:].contiguous(), weights)
    with pytest.raises(ValueError, match="not there"):
        gather_view(
            surface._replace(face=surface.face + 1), view_of(depth), RULE, None, total, weights
        )
