"""Rays through a ball whose density is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

import tondo
from ball_field import CENTER, COLOR, RADIUS, ball_scene, log_density
from kernels.fields import test_frequency
from small_photos import known_scene
from tondo.kernels.fields.rays import log_densities
from tondo.nerf.bounds import range_of

SLOPE, DENSITY = 8.0, 1.5


def across(heights: list[float]) -> tuple[Tensor, Tensor]:
    """Rays along +x that pass the ball's middle at these heights."""
    rays_o = torch.tensor([[CENTER[0] - 3.0, CENTER[1], CENTER[2] + h] for h in heights])
    return rays_o, torch.tensor([1.0, 0.0, 0.0]).expand(len(heights), 3).contiguous()


def lost(rays_o: Tensor, rays_d: Tensor, until: float) -> Tensor:
    """[R] 1 - exp(-integral of the density up to a distance), by a fine sum."""
    step = 1e-3
    t = step * (torch.arange(round(until / step)) + 0.5)
    density = log_density(rays_o[:, None] + t[:, None] * rays_d[:, None], SLOPE, DENSITY).exp()
    return -torch.expm1(-density.sum(dim=1) * step)


def test_opacity_grows_along_a_ray_as_the_density_says() -> None:
    scene = ball_scene(SLOPE, DENSITY)
    rays_o, rays_d = across([0.0, 0.3, 0.7])
    distances = torch.tensor([0.0, 2.5, 3.0, 3.3, 9.0])
    found = tondo.opacity_along(scene, rays_o, rays_d, distances)
    assert found.shape == (3, 5)
    assert bool((found.diff(dim=1) >= 0).all())
    wanted = torch.stack([lost(rays_o, rays_d, float(t)) for t in (0.0, 2.5, 3.0, 3.3, 4.5)], dim=1)
    torch.testing.assert_close(found, wanted, atol=0.03, rtol=0)
    whole = tondo.render_rays(scene, rays_o, rays_d)
    torch.testing.assert_close(found[:, -1], whole.opacities)
    torch.testing.assert_close(
        whole.colors[0], torch.tensor(COLOR) * whole.opacities[0], atol=1e-4, rtol=0
    )
    assert float(whole.depths[0]) == pytest.approx(3.0 - RADIUS / 2, abs=0.4)


def test_opacity_grows_also_where_rays_take_long_strides() -> None:
    scene = ball_scene(3.0, 0.3)  # thin
    strides = torch.full_like(scene.field.space.occupied, 7, dtype=torch.uint8)
    field = replace(scene.field, space=replace(scene.field.space, occupied=strides))
    rays_o, rays_d = across([0.0, 0.3, 0.7])
    distances = torch.linspace(2.0, 4.0, 150)
    found = tondo.opacity_along(replace(scene, field=field), rays_o, rays_d, distances)
    assert bool((found.diff(dim=1) >= 0).all())
    torch.testing.assert_close(found, tondo.opacity_along(scene, rays_o, rays_d, distances))


def test_rays_that_never_meet_the_scene_see_nothing() -> None:
    rays_o, rays_d = across([0.0, 5.0])
    away = tondo.render_rays(ball_scene(), rays_o, -rays_d)
    past = tondo.render_rays(ball_scene(), rays_o, rays_d)
    assert away.opacities.tolist() == [0.0, 0.0]
    assert float(past.opacities[1]) == 0.0 < float(past.opacities[0])
    before = tondo.render_rays(ball_scene(), rays_o, rays_d, near=0.0, far=1.0)
    assert before.opacities.tolist() == [0.0, 0.0]


def test_what_no_rays_are_is_refused() -> None:
    scene, (rays_o, rays_d) = ball_scene(), across([0.0])
    with pytest.raises(ValueError, match="near must be at least 0 and less than far, got 2 and 2"):
        tondo.render_rays(scene, rays_o, rays_d, near=2.0, far=2.0)
    with pytest.raises(ValueError, match="unit length"):
        tondo.render_rays(scene, rays_o, 2 * rays_d)
    with pytest.raises(ValueError, match="rays_o"):
        tondo.render_rays(scene, rays_o * torch.nan, rays_d)
    with pytest.raises(ValueError, match="distances must be at least 0"):
        tondo.opacity_along(scene, rays_o, rays_d, torch.tensor([1.0, -0.5]))


def test_splats_are_refused() -> None:
    rays_o, rays_d = across([0.0])
    with pytest.raises(TypeError, match="radiance field, got Scene"):
        tondo.render_rays(known_scene(), rays_o, rays_d)
    with pytest.raises(TypeError, match="radiance field, got Scene"):
        tondo.opacity_along(known_scene(), rays_o, rays_d, torch.ones(2))


@pytest.mark.parametrize("contracted", [False, True])
def test_opacity_of_the_first_nerf_grows_and_is_the_integral_of_its_density(
    contracted: bool,
) -> None:
    field = test_frequency.small_field()
    field = replace(field, space=replace(field.space, contracted=contracted))
    scene = replace(ball_scene(), field=field)
    rng = torch.Generator().manual_seed(2)
    rays_o = torch.tensor(field.space.center) + 0.5 * torch.randn(7, 3, generator=rng)
    rays_d = torch.nn.functional.normalize(torch.randn(7, 3, generator=rng), dim=1)
    distances = torch.tensor([0.0, 0.2, 0.7, 1.1])
    found = tondo.opacity_along(scene, rays_o, rays_d, distances)
    assert bool((found.diff(dim=1) >= 0).all())
    near = range_of(field.space)[0]
    for k, until in enumerate(distances.tolist()):
        if until <= near:
            assert float(found[:, k].abs().max()) < 1e-6
            continue
        t = near + (until - near) * (torch.arange(4000) + 0.5) / 4000
        points = rays_o[:, None] + t[:, None] * rays_d[:, None]
        if not contracted:  # nothing is outside of the cube
            inside = ((points - torch.tensor(field.space.center)).abs() < field.space.radius).all(2)
        else:
            inside = torch.ones(points.shape[:2], dtype=torch.bool)
        sigmas = log_densities(field, points.view(-1, 3)).view(7, -1).exp() * inside
        wanted = -torch.expm1(-sigmas.sum(dim=1) * (until - near) / 4000)
        torch.testing.assert_close(found[:, k], wanted, atol=0.01, rtol=0)
    assert float(found[:, -1].max()) > 0.1
