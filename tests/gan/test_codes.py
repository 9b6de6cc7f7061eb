"""Rebuilding photographs: codes of known spread, and objects that come to look like them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tiny_generators import SHAPE
from tiny_trainings import Watched, setting_of, squares
from tondo.gan import state
from tondo.gan.codes import Codes, unlike
from tondo.gan.first_look import look_first
from tondo.gan.poses import NAMED
from tondo.gan.render import objects_of, seen
from tondo.gan.train import (
    TRIES,
    Setting,
    Training,
    as_seen,
    begin,
    one_step,
    reals,
    styles_of_photographs,
    tries_of,
)


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
        z, same = codes(images, angles)
    assert same is angles
    torch.testing.assert_close(z.mean(dim=0), torch.zeros(6), atol=0.01, rtol=0)
    torch.testing.assert_close(z.std(dim=0), torch.ones(6), atol=0.02, rtol=0)
    triangle = codes.triangle()
    torch.testing.assert_close(triangle @ triangle.T, torch.cov(z.T), atol=0.05, rtol=0)
    assert float(triangle.triu(1).abs().max()) == 0.0


def test_unlike_is_a_mean_over_sizes() -> None:
    first, second = torch.zeros(2, 3, 16, 16), torch.full((2, 3, 16, 16), 0.25)
    assert unlike(first, second).tolist() == [0.25, 0.25]
    chequers = (torch.arange(16)[:, None] + torch.arange(16)).remainder(2).float()
    # seen at full size alone: the three halved pictures are grey
    torch.testing.assert_close(
        unlike(chequers.expand(2, 3, 16, 16), first + 0.5), torch.full((2,), 0.125)
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
    rows = torch.arange(12)
    with torch.no_grad():
        photographs = reals(setting, rows)
        tries = tries_of(training, setting, len(rows))
        w, cameras = styles_of_photographs(training, setting, rows, photographs, tries)
        shots = seen(objects_of(training.G, w), *cameras, torch.ones(12, 32, 32, 3))
        return float(unlike(as_seen(shots, setting), photographs).mean())


def test_unknown_cameras_are_looked_for_within_a_narrow_prior() -> None:
    known = setting_of(squares(), Watched())
    pictures = replace(known.pictures, viewmats=None, Ks=None)
    setting = replace(known, pictures=pictures, camera_angles=None, priors=NAMED["frontal"])
    training = begin(setting, SHAPE, seed=0)
    assert training.codes is not None
    images = torch.rand(50, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    for _ in range(100):  # until the running numbers know the features
        _, angles = training.codes(images, None)
    low, high = angles.detach().amin(dim=0), angles.detach().amax(dim=0)
    reach = torch.deg2rad(torch.tensor([35.0, 15.0, 0.0]))
    assert bool((high <= reach).all())
    assert bool((low >= -reach).all())
    assert float(angles.detach().std(dim=0)[0]) == pytest.approx(
        2 * float(reach[0]) / 12**0.5, rel=0.2
    )
    one_step(training, setting)
    grads = [p.grad for p in training.codes.to_angles.parameters()]  # type: ignore[union-attr]
    assert all(float(grad.abs().max()) > 0 for grad in grads if grad is not None)
    assert None not in grads


def test_photographs_from_all_round_get_the_best_of_some_drawn_cameras() -> None:
    known = setting_of(squares(), Watched())
    pictures = replace(known.pictures, viewmats=None, Ks=None)
    setting = replace(known, pictures=pictures, camera_angles=None, priors=NAMED["turntable"])
    training = begin(setting, SHAPE, seed=0)
    assert training.codes is not None
    assert not training.codes.finds_cameras
    rows = torch.arange(12)
    photographs = reals(setting, rows)
    with torch.no_grad():
        training.codes(photographs, torch.zeros(12, 3))
        before = {name: x.clone() for name, x in training.codes.state_dict().items()}
        tries = tries_of(training, setting, 12)
        assert tries.angles.shape == (12, TRIES, 3)
        off = []
        training.codes.eval()
        for k in range(TRIES):
            angles, *cameras = (x[:, k] for x in tries)
            w = training.G.mapping(training.codes(photographs, angles)[0])
            shots = seen(objects_of(training.G, w), *cameras, torch.ones(12, 32, 32, 3))
            off.append(unlike(as_seen(shots, setting), photographs))
        training.codes.train()
        best = torch.stack(off).argmin(dim=0)
        chosen, (viewmats, _) = styles_of_photographs(training, setting, rows, photographs, tries)
    assert len(set(best.tolist())) > 1
    assert torch.equal(viewmats, tries.viewmats[rows, best])
    assert chosen.shape == (12, SHAPE.w)
    # only the chosen ones moved the running numbers
    moved = training.codes.z_mean - before["z_mean"]
    assert 0 < float(moved.abs().max()) < 1
    before_g = training.G.conv1.weight.clone()
    one_step(training, setting)
    assert not torch.equal(training.G.conv1.weight, before_g)


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
