"""Discriminators: what tells photographs from pictures of generated models.

Both have two parts, so that the expensive one runs once a step, and R1 acts on the input of the
trained one: `features(images)` gives the tensors from which the trained part makes `logits`.
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from tondo.features.extractor import Extractor
from tondo.gan.networks.layers import LEAK

MIXED = 64  # channels of the mixed features and of the heads; as the code of Sauer et al. 2021
GROUP = 4  # pictures over which the spread is measured


class ProjectedDiscriminator(nn.Module):
    """Heads on a frozen network's features (Sauer et al. 2021, Projected GANs, section 3).

    The features of several scales are mixed across channels by fixed random 1x1 convolutions and
    across scales by fixed random 3x3 ones, from coarse to fine; a small spectrally normalised head
    judges each scale. Cameras enter by projection (Miyato and Koyama 2018, equation 3). Where the
    coverage of the pictures is known, it is given to the heads beside the features, at the finest
    scale pixel by pixel: without it G would paint the background's colour where it wants nothing.
    """

    def __init__(
        self, extractor: Extractor, size: int, *, with_cameras: bool, with_alpha: bool = False
    ) -> None:
        super().__init__()
        self._extractor = extractor
        with torch.no_grad():
            shapes = [x.shape for x in extractor.features(torch.zeros(1, 3, size, size))]
        self.mix = nn.ModuleList([_fixed(shape[1], 1) for shape in shapes])
        self.smooth = nn.ModuleList([_fixed(MIXED, 3) for _ in shapes])
        self.with_alpha = with_alpha
        self.fold = size // shapes[0][2]
        extra = [(self.fold**2 if index == 0 else 1) * with_alpha for index in range(len(shapes))]
        self.heads = nn.ModuleList(
            [Head(shape[2], MIXED + more) for shape, more in zip(shapes, extra, strict=True)]
        )
        self.register_buffer("scale", torch.ones(len(shapes)))
        self.pose = nn.Linear(6, MIXED) if with_cameras else None

    scale: Tensor

    def features(self, images: Tensor) -> list[Tensor]:
        """[B, 3, H, W] sRGB 0..1, or 4 channels with the pictures' coverage where it is known, to
        the tensors that `logits` decides by."""
        found = self._extractor.features(images[:, :3])
        mixed: list[Tensor] = []
        above: Tensor | None = None
        for index in reversed(range(len(found))):
            x = self.mix[index](found[index]) * self.scale[index]
            if above is not None:
                above = F.interpolate(above, size=x.shape[2:], mode="bilinear")
                x = (x + above) * math.sqrt(0.5)
            above = self.smooth[index](x)
            mixed.append(above)
        mixed = mixed[::-1]
        if images.shape[1] == 3:
            return mixed
        cover = 2 * images[:, 3:] - 1
        covers = [F.pixel_unshuffle(cover, self.fold)]
        covers += [F.adaptive_avg_pool2d(cover, x.shape[3]) for x in mixed[1:]]
        return [torch.cat(pair, dim=1) for pair in zip(mixed, covers, strict=True)]

    @torch.no_grad()
    def calibrate(self, images: Tensor) -> None:
        """Scale the features of each level so that their mixture has unit variance on `images`."""
        for index, x in enumerate(self._extractor.features(images[:, :3])):
            self.scale[index] = 1.0 / self.mix[index](x).std().clamp_min(1e-6)

    def logits(self, features: list[Tensor], angles: Tensor | None) -> Tensor:
        """Logits [B, L], one for each place looked at. angles [B, 3] of known cameras, radians."""
        pose = _of_pose(self.pose, angles)
        return torch.cat(
            [head(x, pose) for head, x in zip(self.heads, features, strict=True)], dim=1
        )


class Head(nn.Module):
    """Features [B, inputs, S, S] of one scale to logits [B, places]."""

    def __init__(self, side: int, inputs: int) -> None:
        super().__init__()
        self.first = spectral_norm(nn.Conv2d(inputs, MIXED, 1))
        self.halve = spectral_norm(nn.Conv2d(MIXED, MIXED, 4, 2, 1)) if side >= 8 else None
        self.second = spectral_norm(nn.Conv2d(MIXED + 1, MIXED, 3, padding=1))
        self.last = spectral_norm(nn.Conv2d(MIXED, 1, 1))

    def forward(self, x: Tensor, pose: Tensor | None) -> Tensor:
        x = F.leaky_relu(self.first(x), LEAK)
        if self.halve is not None:
            x = F.leaky_relu(self.halve(x), LEAK)
        x = F.leaky_relu(self.second(with_spread(x)), LEAK)
        return _with_pose(self.last(x).flatten(1), x, pose)


class PlainDiscriminator(nn.Module):
    """A residual network on the pictures themselves, without pretraining."""

    def __init__(
        self, size: int, *, with_cameras: bool, with_alpha: bool = False, width: int = 32
    ) -> None:
        super().__init__()
        self.with_alpha = with_alpha
        levels = int(math.log2(size)) - 2
        widths = [min(256, width * 2**k) for k in range(levels + 1)]
        self.first = nn.Conv2d(3 + with_alpha, widths[0], 3, padding=1)
        pairs = list(itertools.pairwise(widths))
        self.convs = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1) for a, b in pairs])
        self.skips = nn.ModuleList([nn.Conv2d(a, b, 1) for a, b in pairs])
        self.second = nn.Conv2d(widths[-1] + 1, widths[-1], 3, padding=1)
        self.last = nn.Linear(widths[-1] * 16, 1)
        self.pose = nn.Linear(6, widths[-1]) if with_cameras else None

    def features(self, images: Tensor) -> list[Tensor]:
        """As those of `ProjectedDiscriminator`: the pictures themselves."""
        return [images]

    def logits(self, features: list[Tensor], angles: Tensor | None) -> Tensor:
        """Logits [B, 1]. angles [B, 3] of known cameras, radians."""
        x = F.leaky_relu(self.first(features[0] * 2 - 1), LEAK)
        for conv, skip in zip(self.convs, self.skips, strict=True):
            y = F.leaky_relu(conv(x), LEAK)
            x = (F.avg_pool2d(y, 2) + F.avg_pool2d(skip(x), 2)) * math.sqrt(0.5)
        x = F.leaky_relu(self.second(with_spread(x)), LEAK)
        return _with_pose(self.last(x.flatten(1)), x, _of_pose(self.pose, angles))


# `logits(features(images))` is high for what it takes for photographs.
Discriminator = ProjectedDiscriminator | PlainDiscriminator


def _of_pose(layer: nn.Linear | None, angles: Tensor | None) -> Tensor | None:
    """What a pose [B, 3] radians asks of features, where the discriminator is told poses."""
    if layer is None:
        return None
    if angles is None:
        raise ValueError("this discriminator was made for known cameras; angles are None")
    found: Tensor = layer(torch.cat([angles.sin(), angles.cos()], dim=1))
    return found


def _with_pose(logits: Tensor, x: Tensor, pose: Tensor | None) -> Tensor:
    """Logits [B, K], and how well features x [B, C, H, W] fit a pose, where one is given."""
    if pose is None:
        return logits
    return logits + (x.mean(dim=(2, 3)) * pose).sum(dim=1, keepdim=True)


def logits_of_both(
    D: Discriminator,
    real: list[Tensor],
    fake: list[Tensor],
    angles: tuple[Tensor | None, Tensor | None],
) -> tuple[Tensor, Tensor]:
    """D's logits on photographs and on generated pictures, [B, L] each, by their looks and the
    angles of their cameras: as of two calls of `logits`, in one. Groups over which the spread is
    measured stay of one kind."""
    batch = len(real[0])
    if batch % GROUP:
        return D.logits(real, angles[0]), D.logits(fake, angles[1])

    def joined(first: Tensor, second: Tensor) -> Tensor:
        parts = [x.unflatten(0, (GROUP, batch // GROUP)) for x in (first, second)]
        return torch.cat(parts, dim=1).flatten(0, 1)

    known = None
    if angles[0] is not None and angles[1] is not None:
        known = joined(angles[0], angles[1])
    logits = D.logits([joined(*pair) for pair in zip(real, fake, strict=True)], known)
    first, second = logits.unflatten(0, (GROUP, -1)).chunk(2, dim=1)
    return first.flatten(0, 1), second.flatten(0, 1)


def with_spread(x: Tensor) -> Tensor:
    """Appends one channel: how much the pictures of a group differ (Karras et al. 2018, section 3).

    A generator that repeats itself shows here.
    """
    batch = len(x)
    group = GROUP if batch % GROUP == 0 else batch
    grouped = x.unflatten(0, (group, batch // group))
    apart = (grouped - grouped.mean(dim=0)).square().mean(dim=0)  # var() is slow there
    spread = (apart + 1e-8).sqrt().mean(dim=(1, 2, 3))
    column = spread.repeat(group).view(batch, 1, 1, 1).expand(batch, 1, *x.shape[2:])
    return torch.cat([x, column], dim=1)


def _fixed(inputs: int, kernel: int) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, MIXED, kernel, padding=kernel // 2, bias=False)
    nn.init.normal_(conv.weight, std=1.0 / math.sqrt(inputs * kernel * kernel))
    conv.weight.requires_grad_(False)
    return conv
