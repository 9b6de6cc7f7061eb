"""Photographs reconstructed by G: an autoencoder beside adversarial training.

A picture of a generated object can be compared with a photograph taken by the same camera, pixel by
pixel, when its style comes from that photograph: an autoencoder whose decoder is G and the
renderer. Unknown cameras are looked for within a narrow prior; of a wide one some are tried, the
best in form is taken and remembered (`tondo.gan.training.reconstruction`). It starts alone
(`tondo.gan.training.stages`): within minutes the objects have the usual body and colours of their
kind, and D begins to judge there. Then it goes on beside D (Larsen et al. 2016, Autoencoding beyond
pixels), which alone would soon lead a young G astray.

Codes are drawn from a normal distribution that the photograph gives, and pay for its KL
divergence from that of random z (Kingma & Welling 2014, equation 10): else they lie in clusters,
and random z between these.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tondo.features.extractor import Extractor
from tondo.geometry.pose_prior import BELL, PosePrior, bell_angles
from tondo.runs import distributed

HIDDEN = 256  # units between features and code; chosen, not measured
RATE = 0.05  # of the running mean and spread; chosen
GLANCE = 12  # pixels: side of the small copy that is an input too (docs/notes/gan.md)
LEVELS = 4  # halvings at which pictures are compared; chosen
FLAT = 0.03  # spread of grey values that counts as shading; chosen
SHADING = 0.3  # weight of shading beside outlines, to choose cameras by; not measured
LEAST_SPREAD = 1e-3  # of a channel of features; chosen
LEAST_CONTRAST = 0.1  # of a pixel of it: what is always white has none (docs/notes/gan.md)
FIRST_LOG_STD = -1.0  # of codes, before anything is learned; chosen
# Never much wider than random z. Without an end to it a single photograph in a thousand once had a
# spread of e^10: its z stretched all components of the latent mixture
# (`tondo.gan.networks.latent_mixture`) until random objects had one look for each end of that
# stretch.
MOST_LOG_STD = 0.5


class PhotoCode(NamedTuple):
    """What photographs say of their z: its means and log standard deviations [B, Z] each; their
    cameras' angles [B, 3] in radians, or None where these are chosen by what G makes; and what the
    frozen network sees in them."""

    means: Tensor
    log_stds: Tensor
    angles: Tensor | None
    features: list[Tensor]

    def sample(self, noise: Tensor) -> Tensor:
        """z [B, Z] for normally distributed noise [B, Z]."""
        return self.means + self.log_stds.exp() * noise

    def kl(self) -> Tensor:
        """[B] Kullback-Leibler divergences from the normal distribution of random z."""
        spreads = (2 * self.log_stds).exp()
        return 0.5 * (self.means.square() + spreads - 2 * self.log_stds - 1).sum(dim=1)


class PhotoEncoder(nn.Module):
    """Photographs to their `PhotoCode`, from a frozen network's features and a small copy of them.

    Args:
        prior: within whose ranges unknown cameras are looked for; None: they are known or drawn.
        with_cameras: whether the cameras are an input. They are none where they are drawn: a code
            then stands for an object that has to look right from wherever the photograph may have
            been taken.
        side: features are averaged over side x side parts of the picture.
        mirror: left and right of the things are alike. A photograph's mirror image then has the
            opposite azimuth and roll, and cameras that are looked for heed it: they are told by
            what differs between left and right, and not by a beard or by brightness.
    """

    def __init__(
        self,
        extractor: Extractor,
        size: int,
        z: int,
        prior: PosePrior | None = None,
        *,
        with_cameras: bool = True,
        side: int = 1,
        mirror: bool = False,
    ) -> None:
        super().__init__()
        self._extractor = extractor
        self._prior = prior
        self._side = side
        self._mirror = mirror
        with torch.no_grad():
            found = extractor.features(torch.zeros(1, 3, size, size))
        self._widths = [x.shape[1] for x in found]
        count = sum(self._widths) * side**2 + 3 * GLANCE**2
        self.hidden = nn.Linear(count + (6 if with_cameras else 0), HIDDEN)
        self.to_z = nn.Linear(HIDDEN, 2 * z)
        self.to_angles = None if prior is None else nn.Linear(HIDDEN, 3)
        # Running numbers, not a batch's own: a batch may be shared by several processes.
        widths = {"pooled": count} | ({} if prior is None else {"angles": 3})
        for name, width in widths.items():
            self.register_buffer(f"{name}_mean", torch.zeros(width))
            self.register_buffer(f"{name}_spread", torch.ones(width))
        self.register_buffer("channel_spread", torch.ones(sum(self._widths)))

    channel_spread: Tensor
    pooled_mean: Tensor
    pooled_spread: Tensor
    angles_mean: Tensor
    angles_spread: Tensor

    def forward(
        self, images: Tensor, angles: Tensor | None, *, reach: float = 1.0, alone: bool = False
    ) -> PhotoCode:
        """Of photographs [B, 3 or 4, S, S], given the angles [B, 3] of their cameras if they are
        known. `reach`: share 0..1 of the prior's ranges, about their middle, within which others
        are predicted. `alone`: they are a whole batch, not a process's part of one."""
        found = self._seen(images)
        x = self._hidden(images, found, angles)
        if self.to_angles is not None:
            raw = self.to_angles(x)
            if self._mirror:
                turned = [maps.flip(3) for maps in found]  # much like what would be seen there
                twin = self.to_angles(self._hidden(images.flip(3), turned, None))
                raw = raw + twin * twin.new_tensor([-1.0, 1.0, -1.0])
            angles = self._within_prior(raw, reach, alone)
        means, raw = self.to_z(x).chunk(2, dim=1)
        return PhotoCode(means, _log_stds(raw), angles, found)

    def _hidden(self, images: Tensor, found: list[Tensor], angles: Tensor | None) -> Tensor:
        x = (self._pooled(images, found) - self.pooled_mean) / self.pooled_spread
        if angles is not None:
            x = torch.cat([x, angles.sin(), angles.cos()], dim=1)
        return F.leaky_relu(self.hidden(x), 0.2)

    @torch.no_grad()
    def _seen(self, images: Tensor) -> list[Tensor]:
        return self._extractor.features(images[:, :3])

    def feature_l1(self, pictures: Tensor, wanted: list[Tensor]) -> Tensor:
        """[B] how differently the frozen network sees `pictures` [B, 3 or 4, S, S] and photographs,
        in which it saw `wanted`: mean absolute differences, relative to each channel's spread over
        photographs, averaged over the levels (Johnson et al. 2016, section 3.2). Pixels alone are
        content with a blur."""
        found = self._extractor.features(pictures[:, :3])
        spreads = self.channel_spread.split(self._widths)
        levels = [
            ((x - y).abs().mean(dim=(2, 3)) / spread).mean(dim=1)
            for x, y, spread in zip(found, wanted, spreads, strict=True)
        ]
        return torch.stack(levels).mean(dim=0)

    def _within_prior(self, raw: Tensor, reach: float, alone: bool) -> Tensor:
        """Angles [B, 3] that lie over the prior's ranges as its own do: normally distributed, or
        even, as an even number's share of the normal distribution. Otherwise all would soon lie on
        one side."""
        assert self._prior is not None
        even = self._standardised(raw, alone)
        if not self._prior.bell:
            even = (2 * torch.special.ndtr(even) - 1) / BELL
        return bell_angles(self._prior, reach * even)

    def _standardised(self, x: Tensor, alone: bool) -> Tensor:
        """x [B, 3] less a running mean, over a running spread; in training these follow x."""
        mean, spread = self.angles_mean, self.angles_spread
        if self.training:
            average = torch.detach if alone else distributed.mean_of
            now = average(x.mean(dim=0))
            mean.lerp_(now, RATE)
            now = average((x - now).square().mean(dim=0)).sqrt()
            spread.lerp_(now.clamp_min(1e-3), RATE)
        return (x - mean) / spread

    @torch.no_grad()
    def calibrate(self, images: Tensor) -> None:
        """Make features of photographs like `images` even: zero mean and unit spread."""
        found = self._seen(images)
        pooled = self._pooled(images, found)
        self.pooled_mean.copy_(pooled.mean(dim=0))
        spreads = pooled.std(dim=0).clamp_min(1e-6)
        spreads[-3 * GLANCE**2 :].clamp_min_(LEAST_CONTRAST)  # a plain background has none
        self.pooled_spread.copy_(spreads)
        spreads = torch.cat([x.std(dim=(0, 2, 3)) for x in found])
        self.channel_spread.copy_(spreads + LEAST_SPREAD)

    def _pooled(self, images: Tensor, found: list[Tensor]) -> Tensor:
        parts = [F.adaptive_avg_pool2d(x, self._side).flatten(1) for x in found]
        parts.append(F.adaptive_avg_pool2d(images[:, :3], GLANCE).flatten(1))
        return torch.cat(parts, dim=1)


def _log_stds(raw: Tensor) -> Tensor:
    """At most `MOST_LOG_STD`, far below it `raw` and a constant, and `FIRST_LOG_STD` at 0."""
    room = MOST_LOG_STD - FIRST_LOG_STD
    start = math.log(math.expm1(room))
    return MOST_LOG_STD - F.softplus(start - raw)


def silhouette_shading_l1(first: Tensor, second: Tensor) -> Tensor:
    """[B] `multiscale_l1` of silhouettes and shading, whatever the colours and the brightness.

    Cameras are chosen by this. Chosen by colours they would tell G for nothing what the code has to
    pay for: objects soon had a green and a red side, and every photograph took the one it liked.
    """
    return multiscale_l1(_silhouette_and_shading(first), _silhouette_and_shading(second))


def _silhouette_and_shading(pictures: Tensor) -> Tensor:
    """[B, 2, H, W]: what is not white, or is covered; and its grey values, of zero mean and even
    spread."""
    grey = pictures[:, :3].mean(dim=1)
    there = pictures[:, 3] if pictures.shape[1] == 4 else (10 * (1 - grey)).clamp(0, 1)
    area = there.sum(dim=(1, 2), keepdim=True).clamp_min(1.0)
    mean = (there * grey).sum(dim=(1, 2), keepdim=True) / area
    variance = (there * (grey - mean).square()).sum(dim=(1, 2), keepdim=True) / area
    shading = there * (grey - mean) / (variance.sqrt() + FLAT)
    return torch.stack([there, SHADING * shading], dim=1)


def multiscale_l1(first: Tensor, second: Tensor) -> Tensor:
    """[B] mean absolute differences of pictures [B, C, H, W], at full size and halved three
    times."""
    total = (first - second).abs().mean(dim=(1, 2, 3))
    for _ in range(LEVELS - 1):
        first, second = F.avg_pool2d(first, 2), F.avg_pool2d(second, 2)
        total = total + (first - second).abs().mean(dim=(1, 2, 3))
    return total / LEVELS
