"""Metrics against their definitions, an outside implementation, and cases known by hand."""

from __future__ import annotations

import math

import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from tondo.evaluation.metrics import chamfer, f_score, psnr, ssim


def pictures(height: int = 37, width: int = 53) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    a = torch.rand(height, width, 3, generator=generator)
    b = (a + 0.2 * torch.randn(height, width, 3, generator=generator)).clamp(0, 1)
    return a, b


def test_psnr_of_a_known_error() -> None:
    a, _ = pictures()
    a = a * 0.5
    assert psnr(a, a + 0.1) == pytest.approx(20.0, abs=1e-4)
    assert psnr(a, a + 0.01) == pytest.approx(40.0, abs=1e-3)
    assert psnr(a, a) == pytest.approx(100.0)


def test_psnr_counts_only_the_mask() -> None:
    a, _ = pictures()
    b = a.clone()
    b[:, :10] += 5.0
    mask = torch.ones(a.shape[:2], dtype=torch.bool)
    mask[:, :10] = False
    assert psnr(a * 0.5, b * 0.5 + 0.1, mask) == pytest.approx(20.0, abs=1e-4)
    with pytest.raises(ValueError, match="False everywhere"):
        psnr(a, b, torch.zeros_like(mask))


def test_ssim_agrees_with_scikit_image_inside_the_border() -> None:
    a, b = pictures()
    _, full = structural_similarity(
        a.double().numpy(),
        b.double().numpy(),
        channel_axis=2,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    assert ssim(a, b) == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-9)
    assert 0.3 < ssim(a, b) < 0.95


def test_ssim_of_equal_and_of_flat_pictures() -> None:
    a, _ = pictures()
    assert ssim(a, a) == pytest.approx(1.0, abs=1e-7)
    low, high = torch.full((20, 30, 3), 0.2), torch.full((20, 30, 3), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert ssim(low, high) == pytest.approx(expected, abs=1e-6)


def test_ssim_leaves_out_windows_that_touch_the_mask() -> None:
    a, b = pictures()
    mask = torch.ones(a.shape[:2], dtype=torch.bool)
    mask[:, :12] = False
    assert ssim(a, b, mask) == pytest.approx(ssim(a[:, 12:], b[:, 12:]), abs=1e-6)
    with pytest.raises(ValueError, match="no 11x11 window"):
        ssim(a, b, torch.zeros_like(mask))


def test_ssim_of_pictures_smaller_than_the_window() -> None:
    a, b = pictures(4, 29)
    assert ssim(a, a) == pytest.approx(1.0, abs=1e-7)
    assert 0.0 < ssim(a, b) < 0.99


def test_pictures_of_two_sizes_are_refused() -> None:
    a, _ = pictures()
    with pytest.raises(ValueError, match=r"b must be \[H, W, 3\]"):
        psnr(a, a[:-1])


def test_chamfer_of_points_set_by_hand() -> None:
    ours = torch.tensor([[0.0, 0, 0], [1, 0, 0]])
    truth = torch.tensor([[0.0, 0, 0.3], [1, 0, 0], [5, 0, 0]])
    result = chamfer(ours, truth)
    assert result.accuracy == pytest.approx(0.15)
    assert result.completeness == pytest.approx((0.3 + 0 + 4) / 3, rel=1e-6)
    assert result.distance == pytest.approx((result.accuracy + result.completeness) / 2)


def test_f_score_of_points_set_by_hand() -> None:
    ours = torch.tensor([[0.0, 0, 0], [1, 0, 0]])
    truth = torch.tensor([[0.0, 0, 0.3], [1, 0, 0], [5, 0, 0]])
    result = f_score(ours, truth, 0.2)
    assert (result.precision, result.recall) == (0.5, pytest.approx(1 / 3))
    assert result.f_score == pytest.approx(0.4)
    far = f_score(ours, truth + 100, 0.2)
    assert (far.precision, far.recall, far.f_score) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("ours", "message"),
    [
        (torch.zeros(0, 3), "ours has no points"),
        (torch.tensor([[0.0, math.nan, 0]]), "NaN or infinite"),
        (torch.zeros(4, 2), r"must be \[P, 3\]"),
    ],
)
def test_points_that_cannot_be_measured(ours: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        chamfer(ours, torch.zeros(5, 3))
    with pytest.raises(ValueError, match="positive"):
        f_score(torch.zeros(5, 3), torch.zeros(5, 3), 0.0)
