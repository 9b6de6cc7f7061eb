"""The skin of splats: alike left and right where asked, and closed however G sizes its splats."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F

from tiny_generators import SHAPE, tiny_generator
from tondo.gan.networks.latent_mixture import sample_latents
from tondo.gan.objects.render import render_styles, shaded
from tondo.geometry.look_at import cameras_at

ROUND = torch.tensor([[0.4, 0.3, 0.0], [2.0, -0.5, 0.2], [-1.2, 1.1, 0.0]])


def test_a_mirrored_generator_makes_left_and_right_alike() -> None:
    generator = tiny_generator(shape=replace(SHAPE, mirror=True))
    w = generator.styles(torch.randn(1, SHAPE.z, generator=torch.Generator().manual_seed(1)))
    w = w.expand(len(ROUND), -1)
    there = cameras_at(ROUND, 30.0, 4.0, 40)
    mirrored = cameras_at(ROUND * torch.tensor([-1.0, 1.0, -1.0]), 30.0, 4.0, 40)
    first = render_styles(generator, w, *there, 40)[0].images
    twin = render_styles(generator, w, *mirrored, 40)[0].images.flip(2)
    torch.testing.assert_close(first, twin, atol=2e-3, rtol=0)
    usual = render_styles(tiny_generator(), w, *mirrored, 40)[0].images.flip(2)
    assert float((first - usual).abs().max()) > 0.1


def test_random_z_are_drawn_as_codes_lie() -> None:
    generator = tiny_generator(shape=replace(SHAPE, mixture_components=1))
    rng = torch.Generator().manual_seed(0)
    long, middle = torch.tensor([3.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.3]), torch.arange(8) / 4
    turned = torch.linalg.qr(torch.randn(8, 8, generator=rng))[0]
    generator.update_mixture(middle + (torch.randn(20_000, 8, generator=rng) * long) @ turned.T)
    z = torch.randn(20_000, 8, generator=rng).clamp(-3, 3)
    drawn = sample_latents(z, generator.mixture)
    torch.testing.assert_close(drawn.mean(dim=0), middle, rtol=0, atol=0.15)
    wanted = turned @ torch.diag(long.square()) @ turned.T
    torch.testing.assert_close(torch.cov(drawn.T), wanted, rtol=0, atol=0.6)
    torch.testing.assert_close(generator.styles(z), generator.mapping(drawn))
    generator.update_mixture(torch.full((4, 8), math.nan))
    assert torch.equal(sample_latents(z, generator.mixture), drawn)


def test_what_places_have_shows_there_in_all_objects() -> None:
    generator = tiny_generator()
    w = generator.styles(torch.randn(3, SHAPE.z, generator=torch.Generator().manual_seed(1)))
    before = generator(w)
    with torch.no_grad():
        generator.skin_network.maps.constant[3][:, 0, 8:12, 20:30] += 0.4  # reds
    after = generator(w)
    changed = (after.colors - before.colors).view(3, SHAPE.rows, SHAPE.columns, 3)
    inside = torch.zeros(SHAPE.rows, SHAPE.columns, dtype=torch.bool)
    inside[8:12, 20:30] = True
    assert float(changed[:, inside, 0].min()) > 0.01
    assert float(changed[:, ~inside].abs().max()) == float(changed[..., 1:].abs().max()) == 0.0
    assert torch.equal(after.means, before.means)
    with torch.no_grad():
        generator.skin_network.maps.constant[0][:, :, 1, 2] += 1.0
    assert not torch.equal(generator(w).means, after.means)


def test_objects_mix_traits_each_in_its_own_way() -> None:
    generator = tiny_generator(shape=replace(SHAPE, basis_maps=5))
    w = generator.styles(torch.randn(3, SHAPE.z, generator=torch.Generator().manual_seed(1)))
    with torch.no_grad():
        for basis_maps in generator.skin_network.maps.basis:
            basis_maps.zero_()
    before = generator(w)
    with torch.no_grad():
        generator.skin_network.maps.basis[1][2, :, :2, 4:7] += 2.0
    after = generator(w)
    changed = (after.colors - before.colors).view(3, SHAPE.rows, SHAPE.columns, 3)
    assert float(changed.abs().amax(dim=(1, 2, 3)).min()) > 1e-3
    assert float(changed[:, 24:].abs().max()) < 0.1 * float(changed.abs().max())  # elsewhere
    shares = generator.skin_network.maps.basis_weights[1](w)[:, 2]
    added = generator.skin_network.maps(1, w)[:, :, 1, 5] / shares[:, None]
    assert float(added.min()) > 0
    torch.testing.assert_close(added, added[:1, :1].expand_as(added))
    generator.skin_network.maps.basis[1].requires_grad_(True)
    generator(w).colors.square().sum().backward()
    assert float(generator.skin_network.maps.basis[1].grad.abs().min()) > 0


def test_light_on_places_that_are_no_numbers_neither_crashes_nor_hides_them() -> None:
    generator = tiny_generator(shape=replace(SHAPE, light="camera"))
    w = generator.styles(torch.randn(2, SHAPE.z, generator=torch.Generator().manual_seed(1)))
    viewmats, _ = cameras_at(ROUND[:2], 30.0, 4.0, 40)
    skins = generator(w)
    for bad in (math.nan, math.inf, 1e30):
        light = skins.matcap.clone().requires_grad_(True)
        quats = torch.full_like(skins.quats, bad)
        broken = skins._replace(quats=quats, matcap=light, colors=skins.colors * math.nan)
        shade = shaded(broken, viewmats)
        assert bool(shade.isnan().all())
        shade.sum().backward()


def test_larger_pictures_are_as_soft_as_those_of_training() -> None:
    generator = tiny_generator()
    w = generator.styles(torch.randn(3, SHAPE.z, generator=torch.Generator().manual_seed(1)))
    small = render_styles(generator, w, *cameras_at(ROUND, 20.0, 5.8, 32), 32)[0].images
    large = render_styles(generator, w, *cameras_at(ROUND, 20.0, 5.8, 128), 128)[0].images
    shrunk = F.avg_pool2d(large.permute(0, 3, 1, 2), 4).permute(0, 2, 3, 1)
    assert float((shrunk - small).abs().mean()) < 0.01


def times_round(grid: torch.Tensor) -> torch.Tensor:
    """[B, rows] how many times rings go round the upright axis, of maps [B, 3, rows, columns]."""
    return steps_round(grid).sum(dim=-1) / (2 * math.pi)


def steps_round(grid: torch.Tensor) -> torch.Tensor:
    """[B, rows, columns] angles round the upright axis to the next cell of the ring."""
    x, _, z = grid.unbind(1)
    around = torch.atan2(x, z)
    steps = torch.diff(torch.cat([around, around[..., :1]], dim=-1), dim=-1)
    return torch.remainder(steps + math.pi, 2 * math.pi) - math.pi


def test_the_skin_of_an_axial_one_goes_once_round_whatever_g_wants() -> None:
    w = torch.randn(8, SHAPE.w, generator=torch.Generator().manual_seed(1))
    found = {}
    for axial in (False, True):
        generator = tiny_generator(shape=replace(SHAPE, axial=axial))
        with torch.no_grad():
            generator.skin_network.axes.fill_(-1.0)
            generator.skin_network.coarse.weight.mul_(30.0)
        generator.skin_network.coarse.weight.requires_grad_(True)
        found[axial] = generator(w)
    flat = F.normalize(generator.template[::2], dim=0)  # outwards from the axis
    crossed = (found[False].grid[:, ::2] * flat).sum(dim=1) < 0
    assert float(crossed.float().mean()) > 0.05
    objects = found[True]
    torch.testing.assert_close(
        objects.offset, objects.grid - generator.template * (0.7 * math.exp(-1.0))
    )
    away = (objects.grid[:, ::2] * flat).sum(dim=1)
    assert float(away.detach().min()) > 0
    torch.testing.assert_close(times_round(objects.grid.detach()), torch.ones(8, SHAPE.rows))
    assert bool((steps_round(objects.grid.detach()) > 0).all())  # none passes another
    assert not bool((steps_round(found[False].grid.detach()) > 0).all())
    away[away < 0.05].sum().backward()
    # and from there it finds back
    assert float(generator.skin_network.coarse.weight.grad.abs().max()) > 0


def test_what_all_have_in_common_is_the_same_all_round_where_asked() -> None:
    generator = tiny_generator(shape=replace(SHAPE, axial=True))
    with torch.no_grad():
        network = generator.skin_network
        network.from_w.weight.zero_()
        network.start.copy_(network.start[..., :1].expand_as(network.start))
        for place in generator.skin_network.maps.constant:
            place.normal_(generator=torch.Generator().manual_seed(2))
    w = generator.styles(torch.randn(2, SHAPE.z, generator=torch.Generator().manual_seed(1)))
    objects = generator(w)
    colors = objects.colors.view(2, SHAPE.rows, SHAPE.columns, 3)
    torch.testing.assert_close(colors, colors[:, :, :1].expand_as(colors), rtol=0, atol=1e-5)
    assert float(colors.std(dim=1).max()) > 0.01
    x, _, z = objects.grid.unbind(1)
    away = (x.square() + z.square()).sqrt()
    torch.testing.assert_close(away, away[:, :, :1].expand_as(away), rtol=0, atol=1e-5)
    across = (generator.template[2] * x - generator.template[0] * z) / away
    torch.testing.assert_close(across, across[:, :, :1].expand_as(across), rtol=0, atol=1e-4)
    radii = away[0, :, 0] / generator.template[::2].square().sum(dim=0).sqrt()[:, 0]
    assert float(radii.std()) > 1e-3  # not the ball that it began with
    with torch.no_grad():
        generator.skin_network.maps.noise_strength[2].fill_(1.0)
    own = generator(w).colors.view(2, SHAPE.rows, SHAPE.columns, 3)
    assert float((own - own[:, :, :1]).abs().max()) > 0.01  # texture
