"""The perceptual distance orders pictures as people do, and is a distance."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.evaluation.perceptual import perceptual_distance


def picture(height: int = 96, width: int = 130) -> Tensor:
    """A picture with edges, texture and smooth parts."""
    generator = torch.Generator().manual_seed(4)
    coarse = torch.rand(1, 3, 6, 8, generator=generator)
    smooth = F.interpolate(coarse, (height, width), mode="bilinear")[0].permute(1, 2, 0)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    stripes = ((x + 2 * y) % 14 < 7).float()[..., None] * 0.3
    return (0.7 * smooth + stripes).clamp(0, 1)


def blurred(image: Tensor, times: int) -> Tensor:
    size = (image.shape[0] // times, image.shape[1] // times)
    small = F.interpolate(image.permute(2, 0, 1)[None], size, mode="area")
    return F.interpolate(small, image.shape[:2], mode="bilinear")[0].permute(1, 2, 0)


def test_zero_for_equal_symmetric_and_deterministic() -> None:
    a, b = picture(), blurred(picture(), 4)
    assert perceptual_distance(a, a) == 0.0
    assert perceptual_distance(a, b) == perceptual_distance(a, b)
    assert perceptual_distance(a, b) == pytest.approx(perceptual_distance(b, a), rel=1e-6)
    assert 0.0 < perceptual_distance(a, b) < 4.0


def test_more_damage_is_further_and_brightness_counts_little() -> None:
    image = picture()
    distances = [perceptual_distance(image, blurred(image, times)) for times in (2, 4, 8)]
    assert distances == sorted(distances)
    dimmer = image * 0.93
    same_error = float((dimmer - image).square().mean().sqrt())
    noise = same_error * torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    assert 3 * perceptual_distance(image, dimmer) < perceptual_distance(image, image + noise)


def test_masked_parts_do_not_count() -> None:
    image = picture()
    broken = image.clone()
    broken[:, :40] = 0.0
    mask = torch.ones(image.shape[:2], dtype=torch.bool)
    mask[:, :40] = False
    assert perceptual_distance(image, broken) > 0.05
    assert perceptual_distance(image, broken, mask) == 0.0


@pytest.mark.parametrize(("height", "width"), [(5, 7), (31, 90), (40, 1100)])
def test_any_size(height: int, width: int) -> None:
    image = picture(64, 64)[:height, :1].expand(height, width, 3)
    assert perceptual_distance(image, image) == 0.0
    assert perceptual_distance(image, 1 - image) > 0.0


def test_another_extractor_by_hand() -> None:
    class Colours:
        def features(self, images: Tensor) -> list[Tensor]:
            return [images]

    a = torch.zeros(40, 50, 3)
    a[..., 0] = 0.5
    b = torch.zeros(40, 50, 3)
    b[:, :25, 0] = 1.0
    b[:, 25:, 2] = 1.0
    # Half of the places agree after scaling to unit length, half are at right angles: 0 and 2.
    assert perceptual_distance(a, b, extractor=Colours()) == pytest.approx(1.0)


def test_pictures_of_two_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"b must be \[H, W, 3\]"):
        perceptual_distance(torch.zeros(40, 50, 3), torch.zeros(50, 40, 3))
