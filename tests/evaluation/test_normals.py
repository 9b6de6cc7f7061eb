"""Angles between normals, and normals out of pictures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tondo.evaluation.normals import moved, normal_angles, pictured_normals, uncut
from tondo.io.images import read_image
from tondo.io.srgb import srgb_from_linear

HEIGHT, WIDTH = 13, 17


def some_normals() -> torch.Tensor:
    """[H, W, 3] unit vectors of all directions."""
    generator = torch.Generator().manual_seed(2)
    return F.normalize(torch.randn(HEIGHT, WIDTH, 3, generator=generator), dim=-1)


def as_picture(normals: torch.Tensor, srgb: bool) -> torch.Tensor:
    values = normals.clamp_min(0).double().numpy()
    if srgb:
        values = srgb_from_linear(values)
    return torch.from_numpy(np.round(values * 255).astype(np.uint8))


@pytest.mark.parametrize("srgb", [False, True])
def test_pictures_hold_the_normals_that_went_in(srgb: bool) -> None:
    truth = some_normals()
    found, known = pictured_normals(as_picture(truth, srgb), srgb=srgb)
    positive = (truth > 0.02).all(-1)
    assert known[positive].all()
    angles = normal_angles([found], [truth], [positive])
    assert angles.pixels == int(positive.sum()) > 10
    assert angles.mean < 0.5
    kept = known & uncut(as_picture(truth, srgb))
    assert kept[positive].float().mean() > 0.9
    assert (truth[kept] > 0).all()
    # what has lost much to a negative component is not taken for a normal
    assert not known[(truth < -0.4).any(-1)].any()
    # known ones that lost a little are off by no more than the length allows: acos(0.97)
    assert normal_angles([found], [truth], [known]).mean < 5


def test_srgb_values_taken_as_they_are_give_other_lengths() -> None:
    """How it shows that a picture is encoded: all-positive pixels are too long."""
    truth = some_normals()
    positive = (truth > 0.1).all(-1)
    _, known = pictured_normals(as_picture(truth, True), srgb=False)
    assert known[positive].float().mean() < 0.1


def test_angles_of_known_normals() -> None:
    truth = some_normals()
    axis = F.normalize(torch.linalg.cross(truth, some_normals().roll(1, 0)), dim=-1)
    turned = []
    for degrees in (0.01, 8.0, 90.0, 170.0):
        turn = math.radians(degrees)
        ours = truth * math.cos(turn) + torch.linalg.cross(axis, truth) * math.sin(turn)
        everywhere = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
        found = normal_angles([ours], [truth], [everywhere])
        assert found.mean == pytest.approx(degrees, rel=1e-3, abs=1e-4)
        assert found.pixels == HEIGHT * WIDTH
        turned.append(ours)
    half = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    half[: HEIGHT // 2] = True
    both = normal_angles(turned[1:3], [truth, truth], [half, half])
    assert both.mean == pytest.approx(49, rel=1e-3)
    assert both.median == pytest.approx(8, rel=1e-3)  # the lower of the middle two


def test_what_has_no_normal_does_not_count() -> None:
    truth, ours = some_normals(), some_normals()
    ours[:, :4] = 0
    mask = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    mask[0] = False
    found = normal_angles([ours], [truth], [mask])
    assert found.pixels == (HEIGHT - 1) * (WIDTH - 4)
    assert found.mean == pytest.approx(0, abs=1e-4)
    with pytest.raises(ValueError, match="nothing to compare"):
        normal_angles([torch.zeros_like(ours)], [truth], [mask])
    with pytest.raises(ValueError, match="nothing to compare"):
        normal_angles([], [], [])
    with pytest.raises(ValueError, match="truth must be"):
        normal_angles([ours], [truth[:, :5]], [mask])


def test_moved_by_a_pixel() -> None:
    normals = some_normals()
    mask = torch.rand(HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1)) > 0.3
    there, seen = moved(normals, mask)
    assert torch.equal(there[:, 1:], normals[:, :-1])
    assert torch.equal(seen[:, 1:], mask[:, :-1])
    assert not seen[:, 0].any()


def test_the_true_normals_of_chair(shared_data: Path) -> None:
    """Its files hold sRGB values: decoded, all-positive normals have a length of 1."""
    picture = read_image(shared_data / "chair" / "normals" / "r_0_normal.png").rgb
    alpha = read_image(shared_data / "chair" / "test" / "r_0.png").alpha
    assert alpha is not None
    positive = (picture > 25).all(-1) & (alpha == 255)
    decoded, stored = (pictured_normals(picture, srgb=s)[1] for s in (True, False))
    assert positive.sum() > 1000
    assert decoded[positive].float().mean() > 0.6  # the others are where its parts meet
    assert stored[positive].float().mean() < 0.05
    assert (picture[positive].float() / 255).norm(dim=-1).median() > 1.1
