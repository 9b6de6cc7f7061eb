"""One step of the two networks: what each of them is shown."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tiny_generators import SHAPE
from tiny_trainings import Watched, squares, train_inputs, tuned
from tondo.data.pictures import PictureSet
from tondo.gan.networks.discriminator import GROUP, MIXED
from tondo.gan.networks.skin_network import FIRST_RADIUS
from tondo.gan.options import Adversarial, Augmentation, Schedule, TrainOptions
from tondo.gan.training import step
from tondo.gan.training.reconstruction import reconstruction_loss
from tondo.gan.training.state import real_images
from tondo.gan.training.step import AUGMENT_EVERY, begin, one_step


def test_d_is_told_what_pictures_cover() -> None:
    watched = Watched()
    inputs = train_inputs(squares(), watched)
    inputs = replace(inputs, options=tuned(inputs.options, blur=0.0))
    state = begin(inputs, SHAPE, seed=0)
    given: list[Tensor] = []
    logits = state.D.logits

    def judging(features: list[Tensor], angles: Tensor | None) -> Tensor:
        given.append(features[0].detach())
        return logits(features, angles)

    state.D.logits = judging  # type: ignore[method-assign, assignment]
    one_step(state, inputs)
    both = given[0][:, MIXED:].unflatten(0, (GROUP, -1))  # `logits_of_both` keeps groups together
    of_photographs, of_objects = (x.flatten(0, 1) for x in both.chunk(2, dim=1))
    assert of_photographs.shape == (8, 4, 16, 16)  # the four pixels of each place
    square = torch.full((16, 16), -1.0)
    square[6:10, 5:11] = 1.0
    torch.testing.assert_close(of_photographs, square.expand(8, 4, 16, 16))
    assert -1 <= float(of_objects.min()) < -0.9
    assert 0.9 < float(of_objects.max()) <= 1 + 1e-6


def test_transparent_photographs_are_blended_with_white() -> None:
    images = torch.tensor([200, 100, 0, 51], dtype=torch.uint8).view(1, 4, 1, 1)
    inputs = replace(train_inputs(squares(), Watched()), pictures=PictureSet(images))
    found = real_images(inputs, torch.tensor([0]))[0, :, 0, 0]
    white = 0.2 * torch.tensor([200, 100, 0]) / 255 + 0.8
    torch.testing.assert_close(found, torch.cat([white, torch.tensor([0.2])]))


def test_the_first_body_has_the_outlines_proportions() -> None:
    state = begin(train_inputs(squares(), Watched()), SHAPE, seed=0)
    first = FIRST_RADIUS * state.G.skin_network.axes.detach().exp()
    half = 5.8 / (16 / torch.tan(torch.deg2rad(torch.tensor(10.0))))  # of a pixel, at the origin
    # uniform second moments of a rectangle a x b are a^2 / 12 and b^2 / 12, of an ellipse r^2 / 4
    assert abs(float(first[1]) - 8 * float(half) / 3**0.5) < 0.01
    assert float(first[0]) > 1.2 * float(first[1])


def test_a_batch_in_parts_steps_like_the_whole() -> None:
    found = []
    for accumulate in (1, 2):
        watched = Watched()
        config = tuned(
            batch=16, accumulate=accumulate, augment="off", r1_every=1, reconstruction_weight=0
        )
        inputs = replace(train_inputs(squares(), watched), options=config)
        state = begin(inputs, SHAPE, seed=0)
        watched.seen.clear()
        report = one_step(state, inputs)
        found.append((report, state, [len(images) for images in watched.seen]))
    (whole, one, together), (parts, two, apart) = found
    assert together == [16] * 2
    assert apart == [8] * 8
    torch.testing.assert_close(two.G.w_mean, one.G.w_mean)
    # spectral norms are better known after every look, and the parts are looked at more often
    assert parts.loss_d == pytest.approx(whole.loss_d, rel=0.02)
    for first, second in ((one.opt_g, two.opt_g), (one.opt_d, two.opt_d)):
        a, b = gradients(first), gradients(second)
        assert float(a @ b / (a.norm() * b.norm())) > 0.98
        assert float(b.norm() / a.norm()) == pytest.approx(1.0, abs=0.1)


def test_photographs_are_rebuilt_once_a_step_in_parts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for accumulate in (1, 2):
        config = tuned(batch=16, accumulate=accumulate)
        inputs = replace(train_inputs(squares(), Watched()), options=config)
        state = begin(inputs, SHAPE, seed=0)
        counts = []

        def counting(*given: Any) -> Tensor:
            counts.append(len(given[4]))  # noqa: B023
            return reconstruction_loss(*given)

        monkeypatch.setattr(step, "reconstruction_loss", counting)
        one_step(state, inputs)
        assert counts == [8 // accumulate] * accumulate
        assert state.photo_encoder.training
        assert state.latent_buffer.count == 8


def gradients(optimiser: torch.optim.Adam) -> Tensor:
    """Those of the first step: with beta1 = 0 they are Adam's first moments."""
    return torch.cat([moments["exp_avg"].flatten() for moments in optimiser.state.values()])


def test_rates_fall_evenly_at_the_end_of_a_training() -> None:
    config = Schedule(decay=0.4)
    assert config.rate_after(0.0) == config.rate_after(0.6) == 1.0
    assert config.rate_after(0.8) == pytest.approx(0.5)
    assert config.rate_after(0.9) == pytest.approx(0.25)
    assert config.rate_after(1.0) == pytest.approx(0.02)
    assert Schedule(decay=0.0).rate_after(1.0) == 1.0


def test_d_sees_blurred_pictures_at_first() -> None:
    config = Augmentation(blur=0.04, blur_kimg=10.0)
    assert config.blur_after(0) == 0.04
    assert config.blur_after(5_000) == pytest.approx(0.02)
    assert config.blur_after(10_000) == config.blur_after(90_000) == 0.0
    sharpness = []
    for pictures in (0, 20_000):
        watched = Watched()
        inputs = train_inputs(squares(), watched)
        state = begin(inputs, SHAPE, seed=0)
        state.pictures = pictures
        watched.seen.clear()
        one_step(state, inputs)
        _, _, photographs, _ = watched.seen  # after those for codes and G's, before rebuilt ones
        sharpness.append(float(photographs.diff(dim=3).abs().max()))
    assert sharpness[0] < 0.7 * sharpness[1]


def sure_and_strength(config: TrainOptions, shift: float) -> tuple[float, float]:
    """D's mean sign on photographs at its first look, its logits moved by `shift`, and how strong
    augmentation is after as many steps as it waits for."""
    state = begin(replace(train_inputs(squares(), Watched()), options=config), SHAPE, seed=0)
    logits = state.D.logits
    state.D.logits = lambda features, angles: logits(features, angles) + shift  # type: ignore
    inputs = replace(train_inputs(squares(), Watched()), options=config)
    one_step(state, inputs)
    sign = state.signs[0] if state.signs else math.nan
    for _ in range(AUGMENT_EVERY - 1):
        one_step(state, inputs)
    assert not state.signs
    return sign, state.augment_p


def test_augmentation_grows_while_d_is_sure_of_photographs() -> None:
    config = tuned(batch=8, reconstruction_weight=0)
    sign, strength = sure_and_strength(config, shift=100.0)
    assert sign == 1.0
    assert strength > 0
    assert sure_and_strength(config, shift=-100.0) == (-1.0, 0.0)
    assert sure_and_strength(tuned(config, augment="off"), shift=100.0)[1] == 0.0


def test_where_d_only_compares_the_zero_of_its_logits_means_nothing() -> None:
    config = tuned(batch=8, reconstruction_weight=0, loss="relativistic")
    sign, strength = sure_and_strength(config, shift=0.0)
    assert abs(sign) < 1
    assert sure_and_strength(config, shift=8.0) == pytest.approx((sign, strength))


def test_what_d_sees_is_augmented_both_photographs_and_g_s() -> None:
    render = []
    for strength in (0.0, 1.0):
        watched = Watched()
        inputs = train_inputs(squares(), watched)
        inputs = replace(inputs, options=tuned(inputs.options, augment="off", blur=0.0))
        state = begin(inputs, SHAPE, seed=0)
        state.augment_p = strength
        watched.seen.clear()
        one_step(state, inputs)
        render.append(watched.seen[1:3])
    for plain, changed in zip(*render, strict=True):
        assert float((plain - changed).abs().mean()) > 0.01


def test_the_gradient_penalty_suits_the_discriminator() -> None:
    assert Adversarial().r1_weight == 200.0
    assert Adversarial(discriminator="plain").r1_weight == 1.0
    assert Adversarial(discriminator="plain", r1_gamma=0.0).r1_weight == 0.0
