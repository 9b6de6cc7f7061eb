"""Augmentation: what changes, what does not, and how its strength follows D."""

from __future__ import annotations

import pytest
import torch

from tondo.gan.training.augment import MOST, augmented, blurred, next_strength


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_none_is_none() -> None:
    images = torch.rand(4, 3, 12, 10)
    assert augmented(images, 0.0, rng()) is images


def test_a_share_of_the_pictures_stays_as_it_is() -> None:
    images = torch.rand(64, 3, 12, 10)
    changed = augmented(images, 0.3, rng())
    same = ((changed - images).abs().amax(dim=(1, 2, 3)) < 1e-4).sum()
    # nothing is changed with probability 0.7^4 * 0.85 = 0.2: 13 of 64, standard deviation 3.2
    assert 3 <= int(same) <= 23


def test_the_same_chance_gives_the_same_pictures() -> None:
    images = torch.rand(5, 3, 12, 10)
    first = augmented(images, 0.8, rng(3))
    assert torch.equal(first, augmented(images, 0.8, rng(3)))
    assert not torch.allclose(first, augmented(images, 0.8, rng(4)))


def test_gradients_pass_to_every_picture() -> None:
    images = torch.rand(6, 3, 16, 12, requires_grad=True)
    augmented(images, 1.0, rng()).square().sum().backward()
    assert images.grad is not None
    assert bool((images.grad.abs().amax(dim=(1, 2, 3)) > 0).all())


def test_coverage_moves_with_its_picture_and_keeps_its_values() -> None:
    cover = torch.zeros(16, 1, 20, 20)
    cover[:, :, 8:12, 6:14] = 1
    images = torch.cat([0.5 * cover.expand(-1, 3, -1, -1), cover], dim=1)
    changed = augmented(images, 1.0, rng())
    assert float(changed[:, 3].min()) >= 0
    assert float(changed[:, 3].max()) <= 1 + 1e-6
    places = []
    for x in (changed[:, 3], (changed[:, 0] - changed[:, :1, 0, 0, None]).abs()):
        column = torch.arange(20.0)
        places.append((x.sum(dim=1) * column).sum(dim=1) / x.sum(dim=(1, 2)))
    assert float(places[0].std()) > 0.5
    torch.testing.assert_close(places[0], places[1], atol=0.05, rtol=0)


def test_shifts_and_mirror_images_leave_every_pixel_as_it_is() -> None:
    cover = torch.rand(300, 1, 24, 40, generator=rng(1))
    images = torch.cat([torch.zeros(300, 3, 24, 40), cover], dim=1)
    changed = augmented(images, 1.0, rng(5))[:, 3]
    down, across, mirrored = [], [], []
    for before, now in zip(cover[:, 0], changed, strict=True):
        found = (now == before[12, 20]).nonzero()
        assert len(found) == 1  # more than 3 and 5 from all sides: it is still there
        row, column = found[0].tolist()
        flipped = bool(now[row, column - 1] == before[12, 21])
        assert bool(now[row, column - 1 if not flipped else column + 1] == before[12, 19])
        assert bool(now[row - 1, column] == before[11, 20])
        mirrored.append(flipped)
        down.append(row - 12)
        across.append(column - (19 if flipped else 20))
    assert set(down) == set(range(-3, 4))
    assert set(across) == set(range(-5, 6))
    assert 0.4 < sum(mirrored) / 300 < 0.6


def test_blurred_is_a_gaussian_that_keeps_means_and_leaves_borders_alone() -> None:
    images = torch.zeros(2, 4, 21, 27)
    images[:, :, 10, 13] = 1
    found = blurred(images, 1.5)
    rows, columns = torch.arange(21.0) - 10, torch.arange(27.0) - 13
    wanted = torch.exp(-(rows[:, None].square() + columns.square()) / (2 * 1.5**2))
    wanted = (wanted / wanted.sum()).expand(2, 4, -1, -1)
    torch.testing.assert_close(found, wanted, rtol=0, atol=2e-4)
    even = torch.full((1, 3, 9, 8), 0.3)
    torch.testing.assert_close(blurred(even, 2.0), even)
    assert blurred(images, 0.0) is images


def test_strength_follows_the_sign() -> None:
    assert next_strength(0.1, 0.9, 0.6, 2500) == pytest.approx(0.2)
    assert next_strength(0.1, 0.3, 0.6, 1250) == pytest.approx(0.05)
    assert next_strength(0.01, 0.0, 0.6, 500) == 0.0
    assert next_strength(MOST - 0.01, 1.0, 0.6, 500) == MOST
