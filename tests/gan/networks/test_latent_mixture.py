"""Random z are drawn as photographs' codes lie, in kinds."""

from __future__ import annotations

import math

import pytest
import torch

from tondo.gan.networks.latent_mixture import (
    EVERY,
    KEPT,
    LatentBuffer,
    LatentMixture,
    fit_mixture,
    sample_latents,
    standard_mixture,
)

MIDDLES = torch.tensor([[4.0, 0.0, 0.0, 1.0], [-4.0, 1.0, 0.0, 0.0], [0.0, -5.0, 3.0, 0.0]])
LONG = torch.tensor([[1.0, 0.5, 0.5, 0.2], [0.3, 1.0, 0.3, 0.5], [0.5, 0.5, 1.0, 0.5]])
SHARES = torch.tensor([0.5, 0.3, 0.2])


def clusters(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    kind = torch.multinomial(SHARES, count, replacement=True, generator=rng)
    return MIDDLES[kind] + LONG[kind] * torch.randn(count, 4, generator=rng), kind


def test_kinds_are_found_and_z_are_drawn_as_they_lie() -> None:
    codes, _ = clusters(4096)
    found = fit_mixture(codes, standard_mixture(3, 4))
    order = torch.cdist(MIDDLES, found.means).argmin(dim=1)
    assert sorted(order.tolist()) == [0, 1, 2]
    torch.testing.assert_close(found.means[order], MIDDLES, rtol=0, atol=0.1)
    torch.testing.assert_close(found.weights[order], SHARES, rtol=0, atol=0.03)
    z = torch.randn(40_000, 4, generator=torch.Generator().manual_seed(1))
    drawn = sample_latents(z, found)
    kind = torch.cdist(drawn, MIDDLES).argmin(dim=1)
    for k in range(3):
        own = drawn[kind == k]
        assert len(own) / len(drawn) == pytest.approx(float(SHARES[k]), abs=0.03)
        torch.testing.assert_close(own.mean(dim=0), MIDDLES[k], rtol=0, atol=0.1)
        torch.testing.assert_close(own.std(dim=0), LONG[k], rtol=0.15, atol=0.05)


def test_the_order_of_codes_does_not_count_and_kinds_stay_where_they_are() -> None:
    codes, _ = clusters(1024)
    found = fit_mixture(codes, standard_mixture(3, 4))
    turned = fit_mixture(codes.flip(0), standard_mixture(3, 4))
    for one, other in zip(found, turned, strict=True):
        torch.testing.assert_close(one, other)
    later = fit_mixture(clusters(1024, seed=5)[0], found)
    torch.testing.assert_close(later.means, found.means, rtol=0, atol=0.3)


def test_one_kind_is_the_mean_and_covariance() -> None:
    codes, _ = clusters(2048)
    found = fit_mixture(codes, standard_mixture(1, 4))
    torch.testing.assert_close(found.means[0], codes.mean(dim=0))
    covariance = found.roots[0] @ found.roots[0].T
    torch.testing.assert_close(covariance, torch.cov(codes.T, correction=0))
    z = torch.randn(64, 4, generator=torch.Generator().manual_seed(1)).clamp(-3, 3)
    wanted = found.means[0] + z @ found.roots[0].T
    torch.testing.assert_close(sample_latents(z, found), wanted, rtol=0, atol=1e-3)


def test_before_there_are_codes_z_are_what_they_are() -> None:
    z = torch.randn(64, 4, generator=torch.Generator().manual_seed(1)).clamp(-3, 3)
    torch.testing.assert_close(sample_latents(z, standard_mixture(8, 4)), z, rtol=0, atol=1e-4)
    far = torch.tensor([[9.0, 0.0, 0.0, 0.0], [-9.0, 0.0, 0.0, 0.0]])
    assert sample_latents(far, standard_mixture(8, 4))[:, 0].tolist() == pytest.approx(
        [3.09, -3.09], abs=0.01
    )


@pytest.mark.parametrize("codes", [torch.full((64, 4), math.nan), torch.ones(64, 4)])
def test_codes_that_say_nothing_change_nothing(codes: torch.Tensor) -> None:
    before = standard_mixture(3, 4)
    assert fit_mixture(codes, before) is before


def test_a_kind_that_nothing_is_of_stays_and_is_never_drawn() -> None:
    codes, _ = clusters(1024)
    away = torch.cat([MIDDLES, torch.full((1, 4), 500.0)])
    found = fit_mixture(
        codes, LatentMixture(torch.full((4,), 0.25), away, torch.eye(4).expand(4, 4, 4))
    )
    assert float(found.weights[3]) == 0.0
    assert torch.equal(found.means[3], away[3])
    z = torch.randn(5000, 4, generator=torch.Generator().manual_seed(1))
    assert float(sample_latents(z, found).abs().max()) < 20


def test_only_the_newest_codes_are_kept_and_fits_are_rare() -> None:
    latent_buffer = LatentBuffer(torch.zeros(KEPT, 2))
    due = [latent_buffer.add(torch.full((96, 2), float(step))) for step in range(60)]
    assert sum(due) == 60 * 96 // EVERY
    assert len(latent_buffer.all) == KEPT
    assert float(latent_buffer.all.min()) == (60 * 96 - KEPT) // 96
    young = LatentBuffer(torch.zeros(KEPT, 2))
    assert not young.add(torch.ones(5, 2))
    assert torch.equal(young.all, torch.ones(5, 2))
