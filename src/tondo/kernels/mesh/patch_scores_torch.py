"""How well photographs agree about places along the normals of a surface, in plain PyTorch: the
definition."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tondo.geometry.bilinear import bilinear

MOST_SIDE, MOST_VIEWS = 9, 16  # samples along a patch, photographs of a point: the native arrays'


class PatchPoints(NamedTuple):
    """V points on a surface.

    Attributes:
        points: [V, 3] float32 world space. normals: [V, 3] float32 unit vectors.
        spacing: [V] float32 world units between the samples of a patch.
        step: [V] float32 world units between two hypotheses.
        views: [V, K] int32, photographs that show the point; -1 where there are no more.
    """

    points: Tensor
    normals: Tensor
    spacing: Tensor
    step: Tensor
    views: Tensor


class PatchPhotos(NamedTuple):
    """P photographs, of any sizes.

    Attributes:
        pixels: [T, 3] uint8 sRGB, row by row, one photograph after the other.
        start: [P] int64, the first pixel of each. size: [P, 2] int64, width and height.
        projection: [P, 3, 4] float32, K [R | t], to pixels.
    """

    pixels: Tensor
    start: Tensor
    size: Tensor
    projection: Tensor


class PatchRule(NamedTuple):
    """How patches are compared.

    Attributes:
        side: samples along each side of a patch, 2 to `MOST_SIDE`.
        noise: of a sample, 0..255: patches with no more contrast say nothing.
        keep: share of the pairs of photographs that counts, 0..1: the best; at least one pair.
    """

    side: int
    noise: float
    keep: float


def patch_scores_torch(
    at: PatchPoints, photos: PatchPhotos, rule: PatchRule, hypotheses: int
) -> Tensor:
    """`patch_scores`."""
    offsets = torch.arange(hypotheses, dtype=at.points.dtype) - 0.5 * (hypotheses - 1)
    found = [_scores(at, photos, rule, float(offset)) for offset in offsets]
    return torch.stack(found, dim=1)


def _scores(at: PatchPoints, photos: PatchPhotos, rule: PatchRule, offset: float) -> Tensor:
    """[V] of one hypothesis."""
    a, b = tangents(at.normals)
    places = at.points + offset * at.step[:, None] * at.normals
    across = torch.arange(rule.side, dtype=places.dtype) - 0.5 * (rule.side - 1)
    y, x = torch.meshgrid(across, across, indexing="ij")
    grid = x.reshape(-1, 1) * a[:, None] + y.reshape(-1, 1) * b[:, None]
    samples = places[:, None] + at.spacing[:, None, None] * grid  # [V, S, 3]
    views = at.views.long()
    count, most = views.shape
    values = torch.zeros(count, most, 3 * rule.side**2)
    usable = torch.zeros(count, most, dtype=torch.bool)
    for photo in views[views >= 0].unique().tolist():
        point, slot = (views == photo).nonzero(as_tuple=True)
        colors, inside = _seen(photos, photo, samples[point])
        colors = colors - colors.mean(dim=1, keepdim=True)
        colors = colors.transpose(1, 2).flatten(1)  # red, then green, then blue
        floor = colors.shape[1] * rule.noise**2
        values[point, slot] = colors / (colors.square().sum(dim=1, keepdim=True) + floor).sqrt()
        usable[point, slot] = inside
    return _agreement(values, usable, rule.keep)


def tangents(normals: Tensor) -> tuple[Tensor, Tensor]:
    """Two unit vectors [V, 3] at right angles to `normals` and to each other (Duff et al. 2017)."""
    x, y, z = normals.unbind(1)
    sign = torch.copysign(torch.ones_like(z), z)
    s = -1 / (sign + z)
    t = x * y * s
    a = torch.stack([1 + sign * x * x * s, sign * t, -sign * x], dim=1)
    return a, torch.stack([t, sign + y * y * s, -y], dim=1)


def _seen(photos: PatchPhotos, photo: int, samples: Tensor) -> tuple[Tensor, Tensor]:
    """[M, S, 3] colours 0..255 of samples [M, S, 3], and [M] whether all are in the picture."""
    width, height = photos.size[photo].tolist()
    start = int(photos.start[photo])
    image = photos.pixels[start : start + width * height].view(height, width, 3)
    matrix = photos.projection[photo]
    p = samples @ matrix[:, :3].T + matrix[:, 3]
    pixels = p[..., :2] / p[..., 2:]
    at = pixels - 0.5
    last = torch.tensor([width - 1, height - 1])
    inside = ((at >= 0) & (at < last)).all(dim=-1) & (p[..., 2] > 0)
    pixels = torch.where(inside[..., None], pixels, 0.5)
    colors = bilinear(image, pixels.flatten(0, 1)).view(*samples.shape)
    return colors, inside.all(dim=1)


def _agreement(values: Tensor, usable: Tensor, keep: float) -> Tensor:
    """[V] mean of the best pairs of patches [V, K, N] that are usable [V, K]."""
    row, column = torch.tril_indices(values.shape[1], values.shape[1], -1)
    pairs = (values @ values.transpose(1, 2))[:, row, column]
    pairs = torch.where(usable[:, row] & usable[:, column], pairs, -torch.inf)
    count = (pairs > -torch.inf).sum(dim=1)
    kept = (keep * count).add(0.5).floor().long().clamp_min(1)
    ordered = pairs.sort(dim=1, descending=True).values
    counts = torch.arange(pairs.shape[1]) < kept[:, None]
    total = torch.where(counts & (ordered > -torch.inf), ordered, 0.0).sum(dim=1)
    return torch.where(count > 0, total / kept, 0.0)
