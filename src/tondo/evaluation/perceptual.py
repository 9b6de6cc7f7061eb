"""Perceptual distance over pretrained features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.checks import check_shape
from tondo.features.efficientnet_lite import load_efficientnet_lite0
from tondo.features.extractor import SMALLEST_SIDE, Extractor

MAX_SIDE = 512  # pixels: bounds time and memory; chosen, not measured


@torch.no_grad()
def perceptual_distance(
    a: Tensor, b: Tensor, mask: Tensor | None = None, extractor: Extractor | None = None
) -> float:
    """How different two pictures look to a network trained on photographs; 0 if equal.

    The form of Zhang et al. 2018 (The Unreasonable Effectiveness of Deep Features, eq. 1) with all
    weights 1: at each place of each layer the feature vectors are scaled to unit length and the
    squared length of their difference is taken, then averaged over places, then over the four
    layers of EfficientNet-Lite0 (blocks 2, 4, 10, 15). At most 4. It is not LPIPS: compare it only
    with itself. Pictures whose longest side is above 512 are reduced to it first.

    Args:
        a, b: [H, W, 3] float sRGB 0..1.
        mask: [H, W] bool; where it is False, `b` is taken to be equal to `a`.
        extractor: another network, or None for EfficientNet-Lite0.

    Raises:
        ValueError: shapes differ.
        MissingPartError: the network's package is not installed.
    """
    sizes = check_shape("a", a, "H W 3")
    check_shape("b", b, "H W 3", sizes)
    if mask is not None:
        check_shape("mask", mask, "H W", sizes)
        b = torch.where(mask[..., None], b, a)
    first, second = (x.float().permute(2, 0, 1)[None] for x in (a, b))
    return float(perceptual_distances(first, second, extractor))


@torch.no_grad()
def perceptual_distances(a: Tensor, b: Tensor, extractor: Extractor | None = None) -> Tensor:
    """`perceptual_distance` of many pairs at once.

    Args:
        a, b: [B, 3, H, W] float sRGB 0..1.
        extractor: another network, or None for EfficientNet-Lite0.

    Returns:
        [B] float64.

    Raises:
        ValueError: shapes differ.
        MissingPartError: the network's package is not installed.
    """
    check_shape("b", b, "B 3 H W", check_shape("a", a, "B 3 H W"))
    network = load_efficientnet_lite0() if extractor is None else extractor
    maps = network.features(_fitted(torch.cat([a, b])))
    return torch.stack([_layer(x, len(a)) for x in maps]).mean(dim=0)


def _layer(features: Tensor, pairs: int) -> Tensor:
    unit = F.normalize(features.double(), dim=1, eps=1e-10)
    return (unit[:pairs] - unit[pairs:]).square().sum(dim=1).mean(dim=(1, 2))


def _fitted(images: Tensor) -> Tensor:
    """[B, 3, H, W] no larger than the limit, and padded by its edge to what the network needs."""
    height, width = images.shape[2:]
    longest = max(height, width)
    if longest > MAX_SIDE:
        size = [max(1, round(side * MAX_SIDE / longest)) for side in (height, width)]
        images = F.interpolate(images, size=size, mode="bilinear", antialias=True)
        height, width = size
    right, below = (max(0, SMALLEST_SIDE - side) for side in (width, height))
    return F.pad(images, (0, right, 0, below), mode="replicate") if right or below else images
