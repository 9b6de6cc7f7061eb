"""Copies of a splat must not change the picture much; dead ones must go where life is."""

from __future__ import annotations

import torch

from small_photos import cameras, known_scene
from tondo.data.splats import Scene
from tondo.scenes.render import render
from tondo.splats import densify, parameters


def picture(params: parameters.Parameters) -> torch.Tensor:
    like = known_scene()
    scene = Scene(params.splats, like.background, like.up, like.radius, like.center)
    return render(scene, cameras(1)[0]).color


def test_one_copy_is_the_splat_itself() -> None:
    opacities = torch.tensor([0.1, 0.5, 0.99])
    scales = torch.rand(3, 3) + 0.1
    new, new_scales = densify.split_values(opacities, scales, torch.ones(3, dtype=torch.int64))
    torch.testing.assert_close(new, opacities, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(new_scales, scales, rtol=1e-5, atol=1e-6)


def test_two_copies_cover_as_much_as_one() -> None:
    # 1 - (1 - new)^2 = old, at the centre; equation 9 of 3DGS-MCMC
    new, scales = densify.split_values(torch.tensor([0.75]), torch.ones(1, 3), torch.tensor([2]))
    torch.testing.assert_close(new, torch.tensor([0.5]))
    # n = 2: sum over i = 1, 2 is o + (o - o^2 / sqrt 2) = 1 - 0.25 / sqrt 2, with o = 0.5
    expected = 0.75 / (1 - 0.25 / 2**0.5)
    torch.testing.assert_close(scales, torch.full((1, 3), expected), rtol=1e-5, atol=1e-6)


def test_growth_keeps_the_picture() -> None:
    params = parameters.start(known_scene().splats)
    before = picture(params)
    weights = params.values["opacity_logits"].sigmoid()
    added = densify.grow(params, weights, 12, 0.005, torch.Generator().manual_seed(0))
    assert added == 12
    assert len(params) == 72
    difference = (picture(params) - before).abs()
    assert float(difference.mean()) < 0.02
    assert float(difference.max()) > 0  # something did change
    assert all(not params.exp_avg[name][60:].any() for name in parameters.NAMES)


def test_dead_splats_move_onto_living_ones() -> None:
    params = parameters.start(known_scene().splats)
    params.values["opacity_logits"][[4, 17, 31]] = -9.0
    before = picture(params)
    weights = params.values["opacity_logits"].sigmoid()
    moved = densify.relocate(params, weights, 0.005, torch.Generator().manual_seed(0))
    assert moved == 3
    assert float(params.values["opacity_logits"].sigmoid().min()) >= 0.005
    living = known_scene().splats.means
    for row in (4, 17, 31):
        gaps = (living - params.values["means"][row]).norm(dim=1)
        gaps[[4, 17, 31]] = 1.0
        assert float(gaps.min()) == 0.0
    assert float((picture(params) - before).abs().mean()) < 0.01


def test_nothing_to_move_and_nothing_alive() -> None:
    params = parameters.start(known_scene().splats)
    generator = torch.Generator().manual_seed(0)
    weights = params.values["opacity_logits"].sigmoid()
    assert densify.relocate(params, weights, 0.005, generator) == 0
    params.values["opacity_logits"][:] = -9.0
    assert densify.relocate(params, weights, 0.005, generator) == 0
    assert densify.grow(params, torch.zeros(60), 5, 0.005, generator) == 0


def test_noise_moves_only_nearly_transparent_splats() -> None:
    params = parameters.start(known_scene().splats)
    params.values["opacity_logits"][7] = -9.0
    before = params.values["means"].clone()
    densify.add_noise(params, 1.0, torch.Generator().manual_seed(0))
    moved = (params.values["means"] != before).any(dim=1)
    assert moved.nonzero().flatten().tolist() == [7]
