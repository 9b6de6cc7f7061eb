"""Photographs whose cameras are known, rebuilt by G: what holds the game of the two networks down.

A picture of a generated object can be compared with a photograph taken by the same camera, pixel by
pixel, when its style comes from that photograph: an autoencoder whose decoder is G and the
renderer. It starts alone (`look_first`): within minutes the objects have the usual body and
colours of their kind, and D begins to judge there. Then it goes on beside D (Larsen et al. 2016,
Autoencoding beyond pixels), which alone would soon lead a young G astray.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tondo.features.extractor import Extractor
from tondo.gan import parallel

HIDDEN = 256
RATE = 0.05  # of the running mean and spread
LEVELS = 4  # halvings at which pictures are compared


class Codes(nn.Module):
    """Photographs [B, 3 or 4, S, S] with the angles [B, 3] of their cameras (radians) to latent
    codes [B, Z] of zero mean and unit spread, from a frozen network's features."""

    def __init__(self, extractor: Extractor, size: int, z: int) -> None:
        super().__init__()
        self._extractor = extractor
        with torch.no_grad():
            count = self._pooled(torch.zeros(1, 3, size, size)).shape[1]
        self.hidden = nn.Linear(count + 6, HIDDEN)
        self.to_z = nn.Linear(HIDDEN, z)
        # Running numbers, not a batch's own: a batch may be shared by several processes.
        for name, width in (("pooled", count), ("z", z)):
            self.register_buffer(f"{name}_mean", torch.zeros(width))
            self.register_buffer(f"{name}_spread", torch.ones(width))
        self.register_buffer("covariance", torch.eye(z))

    pooled_mean: Tensor
    pooled_spread: Tensor
    z_mean: Tensor
    z_spread: Tensor
    covariance: Tensor

    def forward(self, images: Tensor, angles: Tensor) -> Tensor:
        with torch.no_grad():
            pooled = (self._pooled(images) - self.pooled_mean) / self.pooled_spread
        x = torch.cat([pooled, angles.sin(), angles.cos()], dim=1)
        z: Tensor = self.to_z(F.leaky_relu(self.hidden(x), 0.2))
        if self.training:
            mean = parallel.mean_of(z.mean(dim=0))
            self.z_mean.lerp_(mean, RATE)
            spread = parallel.mean_of((z - mean).square().mean(dim=0)).sqrt()
            self.z_spread.lerp_(spread.clamp_min(1e-3), RATE)
        z = (z - self.z_mean) / self.z_spread
        if self.training:
            now = parallel.mean_of(z.mT @ z / len(z))
            self.covariance.lerp_(now, 0.2 * RATE)
        return z

    def triangle(self) -> Tensor:
        """L [Z, Z], with which L n is spread as the codes are for an evenly drawn n."""
        even = torch.eye(len(self.covariance))
        return torch.linalg.cholesky(self.covariance + 1e-3 * even)

    @torch.no_grad()
    def calibrate(self, images: Tensor) -> None:
        """Make features of photographs like `images` even: zero mean and unit spread."""
        pooled = self._pooled(images)
        self.pooled_mean.copy_(pooled.mean(dim=0))
        self.pooled_spread.copy_(pooled.std(dim=0).clamp_min(1e-6))

    def _pooled(self, images: Tensor) -> Tensor:
        found = self._extractor.features(images[:, :3])
        return torch.cat([x.mean(dim=(2, 3)) for x in found], dim=1)


def unlike(first: Tensor, second: Tensor) -> Tensor:
    """Mean absolute difference of pictures [B, C, H, W], at full size and halved three times."""
    total = (first - second).abs().mean()
    for _ in range(LEVELS - 1):
        first, second = F.avg_pool2d(first, 2), F.avg_pool2d(second, 2)
        total = total + (first - second).abs().mean()
    return total / LEVELS
