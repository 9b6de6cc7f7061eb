"""The averaged generator follows the trained one with the half-life that the config says."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from tiny_generators import tiny_generator
from tondo.gan.networks.generator import Generator
from tondo.gan.options import Schedule
from tondo.gan.training.step import _average

LATE = 10**8  # pictures after which the half-life is as the config says


def apart(first: nn.Module, second: nn.Module) -> Tensor:
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return torch.cat([(a - b).flatten() for a, b in pairs])


def pair() -> tuple[Generator, Generator]:
    """A generator that no longer changes, and an average that is far from it."""
    return tiny_generator(0), copy.deepcopy(tiny_generator(1))


@pytest.mark.parametrize("batches", [1, 8])
def test_the_distance_halves_in_one_half_life(batches: int) -> None:
    """Whether the pictures come at once or in many batches, and again in the next half-life."""
    now, mean = pair()
    config = Schedule(batch=5000 // batches, ema_kimg=5.0)
    state = SimpleNamespace(G=now, G_ema=mean, pictures=LATE)
    before = apart(mean, now)
    assert float(before.abs().max()) > 1
    for share in (0.5, 0.25):
        for _ in range(batches):
            state.pictures += config.batch
            _average(state, config)
        torch.testing.assert_close(apart(mean, now), share * before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("pictures", "half_life"), [(30, 4), (110, 12), (49_990, 5000)])
def test_the_half_life_is_shorter_at_the_start(pictures: int, half_life: int) -> None:
    """A tenth of the pictures shown, and one more: what was random is forgotten soon."""
    now, mean = pair()
    before = apart(mean, now)
    config = Schedule(batch=half_life, ema_kimg=5.0)
    _average(SimpleNamespace(G=now, G_ema=mean, pictures=pictures), config)
    torch.testing.assert_close(apart(mean, now), 0.5 * before, rtol=1e-4, atol=1e-5)


def test_the_half_life_is_never_longer_than_the_configs() -> None:
    now, mean = pair()
    before = apart(mean, now)
    config = Schedule(batch=300, ema_kimg=0.3)
    _average(SimpleNamespace(G=now, G_ema=mean, pictures=40_000), config)
    torch.testing.assert_close(apart(mean, now), 0.5 * before, rtol=1e-4, atol=1e-5)


def test_what_is_counted_and_not_learned_is_taken_over_at_once() -> None:
    now, mean = pair()
    now.w_mean += 1.0
    now.mixture_means += 2.0
    before = {name: value.clone() for name, value in now.state_dict().items()}
    _average(SimpleNamespace(G=now, G_ema=mean, pictures=LATE), Schedule(batch=4))
    buffers = dict(mean.named_buffers())
    assert {"w_mean", "mixture_means", "mixture_roots", "mixture_weights"} <= buffers.keys()
    for name, value in now.named_buffers():
        assert torch.equal(buffers[name], value), name
    for name, value in now.state_dict().items():
        assert torch.equal(value, before[name]), f"{name} of the trained generator changed"
