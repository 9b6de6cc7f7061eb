"""Augmentation: what changes, what does not, and how its strength follows D."""

from __future__ import annotations

import math

import pytest
import torch

from tondo.gan.augment import MOST, augmented, blurred, next_strength


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_none_is_none() -> None:
    images = torch.rand(4, 3, 12, 10)
    assert augmented(images, 0.0, chance()) is images


def test_a_share_of_the_pictures_stays_as_it_is() -> None:
    images = torch.rand(64, 3, 12, 10)
    changed = augmented(images, 0.3, chance())
    same = ((changed - images).abs().amax(dim=(1, 2, 3)) < 1e-4).sum()
    # nothing is changed with probability 0.7^5 * 0.85 = 0.14: 9 of 64, standard deviation 2.8
    assert 1 <= int(same) <= 18


def test_the_same_chance_gives_the_same_pictures() -> None:
    images = torch.rand(5, 3, 12, 10)
    first = augmented(images, 0.8, chance(3))
    assert torch.equal(first, augmented(images, 0.8, chance(3)))
    assert not torch.allclose(first, augmented(images, 0.8, chance(4)))


def test_gradients_pass_to_every_picture() -> None:
    images = torch.rand(6, 3, 16, 12, requires_grad=True)
    augmented(images, 1.0, chance()).square().sum().backward()
    assert images.grad is not None
    assert bool((images.grad.abs().amax(dim=(1, 2, 3)) > 0).all())


def test_coverage_moves_with_its_picture_and_keeps_its_values() -> None:
    cover = torch.zeros(16, 1, 20, 20)
    cover[:, :, 8:12, 6:14] = 1
    images = torch.cat([0.5 * cover.expand(-1, 3, -1, -1), cover], dim=1)
    changed = augmented(images, 1.0, chance())
    assert float(changed[:, 3].min()) >= 0
    assert float(changed[:, 3].max()) <= 1 + 1e-6
    places = []
    for x in (changed[:, 3], (changed[:, 0] - changed[:, :1, 0, 0, None]).abs()):
        column = torch.arange(20.0)
        places.append((x.sum(dim=1) * column).sum(dim=1) / x.sum(dim=(1, 2)))
    assert float(places[0].std()) > 0.5
    torch.testing.assert_close(places[0], places[1], atol=0.05, rtol=0)


def test_turns_and_mirror_images_keep_distances() -> None:
    """Of three marks in a picture that is not square, when all of them are still in it."""
    cover = torch.zeros(200, 3, 60, 44)
    marks = torch.tensor([[30, 20], [22, 26], [34, 27]])  # rows, columns
    for k, (row, column) in enumerate(marks.tolist()):
        cover[:, k, row - 1 : row + 2, column - 1 : column + 2] = 1
    images = torch.cat([torch.zeros(200, 3, 60, 44), cover], dim=1)
    changed = augmented(images, 1.0, chance(5))[:, 3:]
    mass = changed.sum(dim=(2, 3))
    whole = ((mass - 9).abs() < 0.5).all(dim=1)
    assert int(whole.sum()) > 100
    rows = (changed.sum(dim=3) * torch.arange(60.0)).sum(dim=2) / mass
    columns = (changed.sum(dim=2) * torch.arange(44.0)).sum(dim=2) / mass
    found = torch.stack([rows, columns], dim=2)[whole]
    wanted = torch.pdist(marks.float())
    for places in found:
        torch.testing.assert_close(torch.pdist(places), wanted, atol=0.3, rtol=0)
    a, b = (found[:, k] - found[:, 0] for k in (1, 2))
    handed = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] > 0
    assert 0.3 < float(handed.float().mean()) < 0.7
    turns = torch.atan2(a[:, 0], a[:, 1])
    for low in (-math.pi, -math.pi / 2, 0.0, math.pi / 2):
        assert 0.1 < float(((turns > low) & (turns < low + math.pi / 2)).float().mean()) < 0.4


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
