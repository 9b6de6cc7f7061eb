"""What moving vertices changes of a picture: native code against its definition, and that against
finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tondo import _native
from tondo.kernels.mesh.surface_residuals import surface_residuals
from tondo.kernels.mesh.surface_residuals_torch import (
    ResidualRule,
    SeenSurface,
    Target,
    TexturedSurface,
    surface_residuals_torch,
)
from tondo.kernels.mesh_depth import mesh_depth

HEIGHT, WIDTH, SAMPLES = 19, 26, 2
K = torch.tensor([[30.0, 0.4, 11.2], [0, 28.0, 10.7], [0, 0, 1]])
RULE = ResidualRule(0.3, 0.03, 0.1)


def viewmat() -> Tensor:
    pose = torch.eye(4)
    c, s = 0.8, 0.6
    pose[:3, :3] = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    pose[:3, 3] = torch.tensor([0.1, -0.05, 3.0])
    return pose


def surface() -> TexturedSurface:
    """A bumpy sheet that covers the middle of the picture, and a smaller one before it."""
    generator = torch.Generator().manual_seed(2)
    rows, columns = 5, 6
    v, u = torch.meshgrid(
        torch.linspace(-1, 1, rows), torch.linspace(-1, 1, columns), indexing="ij"
    )
    bumps = 0.05 * torch.randn(rows, columns, generator=generator)
    back = torch.stack([0.7 * u, 0.6 * v, bumps], dim=-1).view(-1, 3)
    front = torch.stack([0.3 * u + 0.1, 0.25 * v, bumps - 0.5], dim=-1).view(-1, 3)
    corner = torch.arange(rows * columns).view(rows, columns)
    a, b = corner[:-1, :-1].flatten(), corner[:-1, 1:].flatten()
    c, d = corner[1:, :-1].flatten(), corner[1:, 1:].flatten()
    faces = torch.cat([torch.stack([a, b, c], dim=1), torch.stack([b, d, c], dim=1)])
    place = (torch.stack([u, v], dim=-1).view(-1, 2) + 1) / 2
    uvs = torch.cat([0.5 * place[faces], 0.5 + 0.5 * place[faces]])
    vertices = torch.cat([back, front])
    directions = torch.randn(len(vertices), 3, generator=generator)
    faces = torch.cat([faces, faces + rows * columns])
    image = torch.rand(13, 17, 3, generator=generator)
    return TexturedSurface(vertices, directions, faces, uvs, image)


def seen_of(on: TexturedSurface, samples: int = SAMPLES) -> SeenSurface:
    scale = torch.tensor([[samples], [samples], [1.0]])
    size = (samples * WIDTH, samples * HEIGHT)
    depth, face = mesh_depth(on.vertices.float(), on.faces, viewmat(), K * scale, *size)
    return SeenSurface(viewmat(), K, face, depth)


def target() -> Target:
    generator = torch.Generator().manual_seed(3)
    colors = torch.rand(HEIGHT, WIDTH, 4, generator=generator)
    weights = (torch.rand(HEIGHT, WIDTH, generator=generator) - 0.1).clamp_min(0)
    return Target(colors, weights)


def test_native_is_the_twin() -> None:
    on, found = surface(), []
    assert {-1} < set(seen_of(on).face.flatten().tolist())
    for function in (surface_residuals, surface_residuals_torch):
        up, down = torch.ones(len(on.vertices)), torch.full((len(on.vertices),), 2.0)
        loss = function(on, seen_of(on), target(), RULE, up, down)
        found.append((up, down, torch.tensor(loss)))
    for native, twin in zip(*found, strict=True):
        torch.testing.assert_close(native, twin, rtol=1e-4, atol=1e-4)


def loss_of(on: TexturedSurface, seen: SeenSurface, wanted: Target, rule: ResidualRule) -> float:
    scrap = torch.zeros(len(on.vertices), dtype=torch.float64)
    return surface_residuals_torch(on, seen, wanted, rule, scrap, scrap.clone())


def test_up_is_the_gradient_where_a_texture_slides() -> None:
    """With the same places on the same faces, which is what finite differences see of it."""
    on = TexturedSurface(*(x.double() if x.is_floating_point() else x for x in surface()))
    smooth = torch.nn.functional.interpolate(
        on.image.permute(2, 0, 1)[None], size=(400, 400), mode="bicubic"
    )[0].permute(1, 2, 0)
    on = on._replace(image=smooth)
    rule = RULE._replace(edge=1e6, flat=0.0)  # nothing is an edge but that to the background
    seen = seen_of(on)
    inside = -torch.nn.functional.max_pool2d(-(seen.face >= 0).float()[None], 5, 1, 2)[0] > 0
    pixels = inside.view(HEIGHT, SAMPLES, WIDTH, SAMPLES).all(dim=3).all(dim=1)
    wanted = Target(target().colors.double(), target().weights.double() * pixels)
    up = torch.zeros(len(on.vertices), dtype=torch.float64)
    surface_residuals_torch(on, seen, wanted, rule, up, torch.zeros_like(up))
    step, checked = 1e-6, 0
    for vertex in range(0, len(on.vertices), 3):
        losses = []
        for sign in (1, -1):
            moved = on.vertices.clone()
            moved[vertex] += sign * step * on.directions[vertex]
            losses.append(loss_of(on._replace(vertices=moved), seen, wanted, rule))
        numeric = -(losses[0] - losses[1]) / (2 * step)
        assert float(up[vertex]) == pytest.approx(numeric, abs=2e-3 * float(up.abs().max()))
        checked += abs(numeric) > 1e-3
    assert checked > 4


@pytest.mark.parametrize("which", ["all", "front"])
def test_up_is_the_gradient_where_an_outline_moves(which: str) -> None:
    """A sheet that moves as a whole: by how much the pictures of many samples change."""
    on = surface()
    on = on._replace(image=torch.full_like(on.image, 0.6))
    if which == "front":
        image = on.image.clone()
        image[:7, :9] = 0.2  # of the sheet behind
        on = on._replace(image=image)
    moving = torch.arange(len(on.vertices)) >= (0 if which == "all" else len(on.vertices) // 2)
    way = viewmat()[0, :3] + 0.7 * viewmat()[1, :3]  # within the picture's plane
    on = on._replace(directions=way.expand(len(on.vertices), 3) * moving[:, None])
    ramp = torch.linspace(0, 1, WIDTH).expand(HEIGHT, WIDTH)
    wanted = Target(ramp[..., None].expand(-1, -1, 4).contiguous(), torch.ones(HEIGHT, WIDTH))
    rule = ResidualRule(100.0, 0.03, 0.1)  # squares, in effect
    samples, step = 48, 0.004
    up = torch.zeros(len(on.vertices))
    surface_residuals(on, seen_of(on, samples), wanted, rule, up, torch.zeros_like(up))
    losses = []
    for sign in (1, -1):
        moved = on._replace(vertices=on.vertices + sign * step * on.directions)
        losses.append(loss_of(moved, seen_of(moved, samples), wanted, rule))
    numeric = -(losses[0] - losses[1]) / (2 * step)
    assert abs(numeric) > 0.1
    assert float(up.sum()) == pytest.approx(numeric, rel=0.04)


def test_a_step_makes_the_loss_smaller() -> None:
    on, wanted = surface(), target()
    up, down = torch.zeros(2, len(on.vertices))
    before = surface_residuals(on, seen_of(on), wanted, RULE, up, down)
    assert bool(((down > 0) | (up == 0)).all())
    step = 0.3 * up / down.clamp_min(1e-9)
    after = on._replace(vertices=on.vertices + step[:, None] * on.directions)
    scrap = torch.zeros(2, len(on.vertices))
    assert surface_residuals(after, seen_of(after), wanted, RULE, *scrap) < before


def test_any_number_of_threads_gives_the_same_bits() -> None:
    on, before, found = surface(), _native.num_threads(), []
    try:
        for threads in (1, 2, 3):
            _native.set_num_threads(threads)
            up, down = torch.zeros(2, len(on.vertices))
            loss = surface_residuals(on, seen_of(on, 5), target(), RULE, up, down)
            found.append((loss, up, down))
    finally:
        _native.set_num_threads(before)
    for loss, up, down in found[1:]:
        assert loss == found[0][0]
        assert torch.equal(up, found[0][1])
        assert torch.equal(down, found[0][2])


def test_sizes_are_checked() -> None:
    on, up = surface(), torch.zeros(60)
    with pytest.raises(ValueError, match="sizes differ"):
        surface_residuals(on, seen_of(on), target(), RULE, up[1:].clone(), up.clone())
    fewer = on._replace(faces=on.faces[:10], uvs=on.uvs[:10])
    with pytest.raises(ValueError, match="a face that is not there"):
        surface_residuals(fewer, seen_of(on), target(), RULE, up, up.clone())
    wrong = on._replace(faces=on.faces + 60)
    with pytest.raises(ValueError, match="a face names a vertex"):
        surface_residuals(wrong, seen_of(on), target(), RULE, up, up.clone())
