"""The first body: an ellipsoid found again from its outlines."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tondo.data.pictures import PictureSet
from tondo.gan.training.initial_shape import body_radii
from tondo.geometry.look_at import cameras_at

RADII = (0.3, 0.5, 0.9)
SIZE = 48


def outlines(radii: tuple[float, float, float], count: int = 24) -> PictureSet:
    """Opaque ellipsoids: a ray o + t d meets one where a quadratic in t has a root."""
    rng = torch.Generator().manual_seed(0)
    angles = (torch.rand(count, 3, generator=rng) * 2 - 1) * torch.tensor([math.pi, 1.2, 1.0])
    viewmats, Ks = cameras_at(angles, 12.0, 10.0, SIZE)
    Ks[:, :2, 2] += torch.tensor([1.5, -2.0])  # off-centre
    even = torch.arange(SIZE) + 0.5
    x = (even[None] - Ks[:, :1, 2]) / Ks[:, :1, 0]
    y = (even[None] - Ks[:, 1:2, 2]) / Ks[:, 1:2, 1]
    ones = torch.ones(count, SIZE, SIZE)
    rays = torch.stack([x[:, None] * ones, y[:, :, None] * ones, ones], dim=-1)
    rays = (rays[..., None, :] @ viewmats[:, None, None, :3, :3])[..., 0, :]
    places = -(viewmats[:, :3, :3].mT @ viewmats[:, :3, 3:])[..., 0]
    d, o = rays / torch.tensor(radii), (places / torch.tensor(radii))[:, None, None]
    b = (d * o).sum(-1)
    hit = b.square() - d.square().sum(-1) * (o.square().sum(-1) - 1) > 0
    images = torch.full((count, 4, SIZE, SIZE), 90, dtype=torch.uint8)
    images[:, 3] = hit * 255
    return PictureSet(images, viewmats, Ks, is_plain=True)


def test_the_half_axes_come_back() -> None:
    found = body_radii(outlines(RADII))
    assert isinstance(found, Tensor)
    assert found.tolist() == pytest.approx(RADII, rel=0.05)


def test_empty_pictures_do_not_count() -> None:
    pictures = outlines(RADII)
    empty = pictures.images.clone()
    empty[::3, 3] = 0
    found = body_radii(replace(pictures, images=empty))
    assert found is not None
    assert found.tolist() == pytest.approx(RADII, rel=0.05)
    empty[:, 3] = 0
    assert body_radii(replace(pictures, images=empty)) is None


def test_without_transparency_or_cameras_nothing_is_known() -> None:
    pictures = outlines(RADII)
    assert body_radii(replace(pictures, images=pictures.images[:, :3])) is None
    assert body_radii(replace(pictures, viewmats=None, Ks=None)) is None
