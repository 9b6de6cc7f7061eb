"""Adversarial losses: their values where they are known, and their gradients."""

from __future__ import annotations

import math

import pytest
import torch

from tondo.errors import OptionError
from tondo.gan.training.losses import gradient_penalty, loss_named

NAMES = ("minimax", "minimax-log", "nonsaturating", "hinge", "relativistic")


@pytest.mark.parametrize(
    ("name", "of_d", "of_g"),
    [
        ("minimax", 2 * math.log(2), -math.log(2)),
        ("minimax-log", 2 * math.log(2), math.log(2)),
        ("nonsaturating", 2 * math.log(2), math.log(2)),
        ("hinge", 2.0, 0.0),
        ("relativistic", math.log(2), math.log(2)),
    ],
)
def test_values_where_d_knows_nothing(name: str, of_d: float, of_g: float) -> None:
    zeros = torch.zeros(3, 5)
    loss = loss_named(name)
    assert float(loss.of_d(zeros, zeros)) == pytest.approx(of_d, abs=1e-6)
    assert float(loss.of_g(zeros, zeros)) == pytest.approx(of_g, abs=1e-6)


def test_values_of_one_pair() -> None:
    real, fake = torch.tensor([[0.5]]), torch.tensor([[-0.25]])
    sigmoid = lambda t: 1 / (1 + math.exp(-t))  # noqa: E731
    crossed = -math.log(sigmoid(0.5)) - math.log(1 - sigmoid(-0.25))
    assert float(loss_named("minimax").of_d(real, fake)) == pytest.approx(crossed, rel=1e-5)
    assert float(loss_named("minimax").of_g(real, fake)) == pytest.approx(
        math.log(1 - sigmoid(-0.25)), rel=1e-5
    )
    assert float(loss_named("nonsaturating").of_g(real, fake)) == pytest.approx(
        -math.log(sigmoid(-0.25)), rel=1e-5
    )
    assert float(loss_named("hinge").of_d(real, fake)) == pytest.approx(0.5 + 0.75)
    assert float(loss_named("hinge").of_g(real, fake)) == pytest.approx(0.25)
    assert float(loss_named("relativistic").of_d(real, fake)) == pytest.approx(
        math.log(1 + math.exp(-0.75)), rel=1e-5
    )
    assert float(loss_named("relativistic").of_g(real, fake)) == pytest.approx(
        math.log(1 + math.exp(0.75)), rel=1e-5
    )


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    torch.manual_seed(1)
    real = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    fake = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    loss = loss_named(name)
    assert torch.autograd.gradcheck(loss.of_d, (real, fake), rtol=1e-5)
    assert torch.autograd.gradcheck(loss.of_g, (real, fake), rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_only_losses_that_compare_look_at_photographs_for_g(name: str) -> None:
    loss, fake = loss_named(name), torch.linspace(-1, 1, 6)
    same = torch.equal(loss.of_g(torch.zeros(6), fake), loss.of_g(torch.ones(6), fake))
    assert same is not loss.compares


def test_the_log_form_still_pushes_where_d_is_sure() -> None:
    """The reason for it (Goodfellow et al. 2014, section 3)."""
    pushes = {}
    for name in ("minimax", "minimax-log"):
        fake = torch.full((1, 1), -10.0, requires_grad=True)
        loss_named(name).of_g(torch.zeros(1, 1), fake).backward()
        assert fake.grad is not None
        pushes[name] = float(fake.grad)
    assert -1e-4 < pushes["minimax"] < 0
    assert pushes["minimax-log"] < -0.99


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(OptionError, match=r"`loss=wgan`: choose one of minimax.*relativistic"):
        loss_named("wgan")


def test_the_penalty_of_a_linear_judge_is_its_slope() -> None:
    torch.manual_seed(2)
    slopes = [torch.randn(3, 4, 5), torch.randn(2, 6, 7)]
    features = [torch.randn(5, *slope.shape, requires_grad=True) for slope in slopes]
    one = sum((x * s).sum(dim=(1, 2, 3)) for x, s in zip(features, slopes, strict=True))
    assert isinstance(one, torch.Tensor)
    sizes = [float(s.square().sum()) / s.shape[0] for s in slopes]
    for places in (1, 3):
        found = gradient_penalty(one[:, None].expand(5, places), features)
        assert float(found) == pytest.approx(0.5 * sum(sizes) / 2, rel=1e-5)
