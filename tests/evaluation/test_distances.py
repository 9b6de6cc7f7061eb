"""Distances between sets of features, against closed forms and sums written out."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.evaluation import distances
from tondo.evaluation.distances import (
    Statistics,
    feature_statistics,
    frechet_between,
    frechet_distance,
    kernel_distance,
    mean_pairwise_distance,
    pooled_features,
    precision_recall,
)
from tondo.evaluation.perceptual import perceptual_distance


def normal(count: int, features: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, features, generator=generator, dtype=torch.float64)


def gaussian(mean: Tensor, root: Tensor) -> Statistics:
    return Statistics(mean.double(), (root @ root.T).double(), 100)


class Means:
    """An extractor of two maps whose last one is the picture halved in size, times ten."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def features(self, images: Tensor) -> list[Tensor]:
        self.seen.append(tuple(images.shape))
        return [images, 10 * F.avg_pool2d(images, 2)]


# Fréchet distance


def test_frechet_of_gaussians_with_the_same_axes_has_a_closed_form() -> None:
    # For covariances with the same eigenvectors the trace is the sum of (s_a - s_b)^2.
    turn = torch.linalg.qr(normal(7, 7, 1)).Q
    s_a, s_b = torch.linspace(0.1, 3.0, 7).double(), torch.linspace(2.0, 0.5, 7).double()
    shift = normal(1, 7, 2)[0]
    a = gaussian(torch.zeros(7), turn * s_a)
    b = gaussian(shift, turn * s_b)
    expected = float(shift.square().sum() + (s_a - s_b).square().sum())
    assert frechet_between(a, b) == pytest.approx(expected, rel=1e-10)
    assert frechet_between(b, a) == pytest.approx(expected, rel=1e-10)


def test_frechet_of_two_by_two_covariances_by_hand() -> None:
    # tr((C_a C_b)^(1/2)) of 2x2 matrices is sqrt(tr(C_a C_b) + 2 sqrt(det(C_a C_b))).
    root_a = torch.tensor([[2.0, 0.0], [1.0, 0.5]])
    root_b = torch.tensor([[1.0, -0.7], [0.0, 1.5]])
    a, b = gaussian(torch.zeros(2), root_a), gaussian(torch.tensor([3.0, -4.0]), root_b)
    product = a.covariance @ b.covariance
    shared = (product.trace() + 2 * torch.linalg.det(product).sqrt()).sqrt()
    expected = 25 + a.covariance.trace() + b.covariance.trace() - 2 * shared
    assert frechet_between(a, b) == pytest.approx(float(expected), rel=1e-10)


def test_frechet_of_shifted_scaled_and_identical_sets() -> None:
    a = normal(40, 6, 3)
    total = float(feature_statistics(a).covariance.trace())
    shift = torch.arange(6.0)
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-10)
    assert frechet_distance(a, a.flip(0)) == pytest.approx(0.0, abs=1e-10)
    assert frechet_distance(a, a + shift) == pytest.approx(55.0, rel=1e-10)
    # Three times as wide about the mean: sum of (3 s - s)^2 = 4 tr C.
    wide = a.mean(0) + 3 * (a - a.mean(0))
    assert frechet_distance(a, wide) == pytest.approx(4 * total, rel=1e-10)


def test_frechet_with_fewer_pictures_than_features() -> None:
    # Two sets in planes at right angles share nothing: the traces add up.
    a, b = torch.zeros(5, 9).double(), torch.zeros(4, 9).double()
    a[:, :3], b[:, 5:] = normal(5, 3, 4), normal(4, 4, 5)
    a, b = a - a.mean(0), b - b.mean(0)
    expected = sum(float(feature_statistics(x).covariance.trace()) for x in (a, b))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-7)
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-7)


def test_statistics_are_those_of_the_definition() -> None:
    a = normal(11, 4, 6)
    found = feature_statistics(a.float())
    assert found.count == 11
    assert found.covariance.dtype == torch.float64
    torch.testing.assert_close(found.covariance, torch.cov(a.float().double().T))


# Kernel distance


def test_kernel_distance_is_the_sum_written_out() -> None:
    a, b = normal(5, 3, 7), normal(4, 3, 8) + 0.5

    def k(x: Tensor, y: Tensor) -> float:
        return float((x @ y / 3 + 1) ** 3)

    within_a = sum(k(x, y) for x, y in itertools.permutations(a, 2)) / 20
    within_b = sum(k(x, y) for x, y in itertools.permutations(b, 2)) / 12
    across = sum(k(x, y) for x in a for y in b) / 20
    expected = within_a + within_b - 2 * across
    assert kernel_distance(a, b) == pytest.approx(expected, rel=1e-10)
    assert kernel_distance(b, a) == pytest.approx(expected, rel=1e-10)


def test_kernel_distance_of_constant_sets_has_a_closed_form() -> None:
    # All rows equal: k(p, p) + k(q, q) - 2 k(p, q), with p.p = 2, q.q = 8, p.q = 4 and F = 2.
    a, b = torch.ones(6, 2), torch.full((3, 2), 2.0)
    assert kernel_distance(a, b) == pytest.approx(2.0**3 + 5.0**3 - 2 * 3.0**3)
    assert kernel_distance(a, a) == pytest.approx(0.0, abs=1e-9)


def test_kernel_distance_is_unbiased_and_sees_a_shift(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [kernel_distance(normal(30, 8, i), normal(20, 8, 1000 + i)) for i in range(200)]
    values = torch.tensor(pairs)
    assert abs(float(values.mean())) < 3 * float(values.std()) / 200**0.5
    assert kernel_distance(normal(30, 8, 1), normal(20, 8, 2) + 1) > 5 * float(values.std())
    whole = kernel_distance(normal(30, 8, 1), normal(20, 8, 2))
    monkeypatch.setattr(distances, "ROWS", 7)
    assert kernel_distance(normal(30, 8, 1), normal(20, 8, 2)) == pytest.approx(whole, rel=1e-10)


# Precision and recall


def test_precision_and_recall_on_a_line_by_hand() -> None:
    real = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
    fake = torch.tensor([[0.5], [4.0], [30.0]])
    # k=1: radii of real 1, 1, 1, 8: 0.5 and 4 (within 8 of 10) are covered.
    # Radii of fake 3.5, 3.5, 26: 0, 1, 2 lie within 3.5 of 0.5, and 10 within 26 of 30.
    found = precision_recall(real, fake, k=1)
    assert (found.precision, found.recall) == (pytest.approx(2 / 3), 1.0)
    swapped = precision_recall(fake, real, k=1)
    assert (swapped.precision, swapped.recall) == (1.0, pytest.approx(2 / 3))


def test_a_subset_is_precise_and_recalls_little() -> None:
    left, right = normal(60, 5, 9), normal(50, 5, 10) + 40
    real = torch.cat([left, right])
    found = precision_recall(real, left[:30], k=3)
    assert found.precision == 1.0
    assert 0.2 < found.recall <= 60 / 110
    both = precision_recall(real, real.flip(0), k=3)
    assert (both.precision, both.recall) == (1.0, 1.0)
    far = precision_recall(left, right, k=3)
    assert (far.precision, far.recall) == (0.0, 0.0)


def test_equal_pictures_cover_each_other_though_their_balls_have_no_size() -> None:
    same = normal(1, 12, 11).expand(8, 12)
    found = precision_recall(same, same[:5], k=2)
    assert (found.precision, found.recall) == (1.0, 1.0)
    other = precision_recall(same, same[:5] + 0.01, k=2)
    assert (other.precision, other.recall) == (0.0, 0.0)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = normal(37, 4, 12), 0.7 * normal(29, 4, 13)
    whole = precision_recall(real, fake)
    assert 0 < whole.recall < whole.precision
    monkeypatch.setattr(distances, "ROWS", 5)
    assert precision_recall(real, fake) == whole


# Pooled features


def test_pooled_features_are_the_last_maps_means_batch_by_batch() -> None:
    generator = torch.Generator().manual_seed(14)
    images = torch.rand(5, 3, 12, 20, generator=generator)
    network = Means()
    found = pooled_features(images, network, batch=2, side=12)
    assert network.seen == [(2, 3, 12, 20), (2, 3, 12, 20), (1, 3, 12, 20)]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, 10 * images.mean(dim=(2, 3)))


def test_pooled_features_take_bytes_and_scale_the_shorter_side() -> None:
    images = torch.full((2, 3, 30, 15), 51, dtype=torch.uint8)
    network = Means()
    found = pooled_features(images, network, side=24)
    assert network.seen == [(2, 3, 48, 24)]
    torch.testing.assert_close(found, torch.full((2, 3), 2.0))


def test_pooled_features_of_the_default_network_tell_pictures_apart() -> None:
    from tondo.features.efficientnet_lite import load_efficientnet_lite0

    generator = torch.Generator().manual_seed(15)
    coarse = torch.rand(12, 3, 4, 6, generator=generator)
    smooth = F.interpolate(coarse, (32, 48), mode="bilinear")
    noisy = (smooth + 0.2 * torch.randn(12, 3, 32, 48, generator=generator)).clamp(0, 1)
    network = load_efficientnet_lite0()
    rows = [pooled_features(x, network, side=64) for x in (smooth[:6], smooth[6:], noisy[6:])]
    assert rows[0].shape == (6, 320)
    assert frechet_distance(rows[0], rows[2]) > 1.5 * frechet_distance(rows[0], rows[1])
    assert kernel_distance(rows[0], rows[2]) > 3 * abs(kernel_distance(rows[0], rows[1]))


# Diversity


def test_diversity_is_the_mean_of_the_pairs_distances() -> None:
    generator = torch.Generator().manual_seed(16)
    images = torch.rand(4, 3, 33, 40, generator=generator)
    hwc = [image.permute(1, 2, 0) for image in images]
    network = Means()
    by_hand = [
        perceptual_distance(a, b, extractor=network) for a, b in itertools.combinations(hwc, 2)
    ]
    found = mean_pairwise_distance(images, pairs=100, seed=0, extractor=network, batch=4)
    assert found == pytest.approx(sum(by_hand) / 6, rel=1e-5)
    assert (
        min(by_hand) - 1e-6 <= mean_pairwise_distance(images, 1, 3, network) <= max(by_hand) + 1e-6
    )


def test_diversity_of_the_same_picture_is_zero_and_the_draw_is_seeded() -> None:
    generator = torch.Generator().manual_seed(17)
    images = (255 * torch.rand(9, 3, 32, 35, generator=generator)).to(torch.uint8)
    network = Means()
    assert mean_pairwise_distance(images[:1].expand(5, 3, 32, 35), 10, 0, network) == 0.0
    first = mean_pairwise_distance(images, 5, 1, network)
    assert first == mean_pairwise_distance(images, 5, 1, network)
    assert first != mean_pairwise_distance(images, 5, 2, network)


# Wrong calls


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: frechet_distance(torch.zeros(1, 4), torch.zeros(5, 4)), "at least 2 rows"),
        (lambda: frechet_distance(torch.zeros(3, 4), torch.zeros(5, 6)), "second mean must be"),
        (lambda: frechet_distance(torch.full((3, 4), torch.nan), torch.zeros(5, 4)), "NaN"),
        (lambda: kernel_distance(torch.zeros(3, 4), torch.zeros(5, 6)), r"b must be \[M, F\]"),
        (lambda: precision_recall(torch.zeros(3, 4), torch.zeros(9, 4)), "real .* at least 4 rows"),
        (lambda: precision_recall(torch.zeros(9, 4), torch.zeros(9, 4), k=0), "k must be"),
        (lambda: pooled_features(torch.zeros(2, 4, 9, 9), Means()), r"\[N, 3, H, W\]"),
        (lambda: pooled_features(torch.zeros(0, 3, 9, 9), Means()), "no pictures to measure"),
        (lambda: mean_pairwise_distance(torch.zeros(1, 3, 9, 9), 5, 0), "needs 2 pictures"),
    ],
)
def test_wrong_calls(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call()
