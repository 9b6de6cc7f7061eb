"""Rebuilding photographs: codes of known spread, and objects that come to look like them."""

from __future__ import annotations

import torch

from tiny_generators import SHAPE
from tiny_trainings import Watched, setting_of, squares
from tondo.gan import state
from tondo.gan.codes import Codes, unlike
from tondo.gan.first_look import look_first
from tondo.gan.render import objects_of
from tondo.gan.train import Setting, Training, begin, one_step, reals, rebuilt


def test_codes_have_zero_mean_and_unit_spread_and_their_covariance_is_known() -> None:
    chance = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    codes = Codes(Watched(), 32, 6)
    images = torch.rand(200, 4, 32, 32, generator=chance) * torch.rand(
        200, 4, 1, 1, generator=chance
    )
    angles = torch.rand(200, 3, generator=chance)
    codes.calibrate(images)
    for _ in range(700):
        codes(images, angles)
    codes.eval()
    with torch.no_grad():
        z = codes(images, angles)
    torch.testing.assert_close(z.mean(dim=0), torch.zeros(6), atol=0.01, rtol=0)
    torch.testing.assert_close(z.std(dim=0), torch.ones(6), atol=0.02, rtol=0)
    triangle = codes.triangle()
    torch.testing.assert_close(triangle @ triangle.T, torch.cov(z.T), atol=0.05, rtol=0)
    assert float(triangle.triu(1).abs().max()) == 0.0


def test_unlike_is_a_mean_over_sizes() -> None:
    first, second = torch.zeros(2, 3, 16, 16), torch.full((2, 3, 16, 16), 0.25)
    assert float(unlike(first, second)) == 0.25
    chequers = (torch.arange(16)[:, None] + torch.arange(16)).remainder(2).float()
    # seen at full size alone: the three halved pictures are grey
    torch.testing.assert_close(
        unlike(chequers.expand(2, 3, 16, 16), first + 0.5), torch.tensor(0.125)
    )


def test_the_first_look_makes_objects_like_the_photographs() -> None:
    setting = setting_of(squares(), Watched())
    training = begin(setting, SHAPE, seed=0)
    before = far_off(training, setting)
    told: list[tuple[int, int]] = []
    look_first(training, setting, 400, lambda done, of: told.append((done, of)))
    assert told[-1] == (400, 400)
    assert far_off(training, setting) < 0.6 * before
    for name, tensor in training.G.state_dict().items():
        assert torch.equal(tensor, training.G_ema.state_dict()[name]), name


def far_off(training: Training, setting: Setting) -> float:
    assert training.codes is not None
    assert setting.camera_angles is not None
    rows = torch.arange(12)
    with torch.no_grad():
        z = training.codes(reals(setting, rows), setting.camera_angles)
        made = objects_of(training.G, training.G.mapping(z))
        return float(rebuilt(made, setting, rows, torch.ones(12, 32, 32, 3)))


def test_codes_are_part_of_a_checkpoint() -> None:
    setting = setting_of(squares(), Watched())
    training = begin(setting, SHAPE, seed=0)
    one_step(training, setting)
    again = state.from_tensors(state.to_tensors(training), setting, SHAPE)
    assert one_step(again, setting) == one_step(training, setting)
    assert again.codes is not None
    assert training.codes is not None
    for name, tensor in training.codes.state_dict().items():
        assert torch.equal(again.codes.state_dict()[name], tensor), name
