"""What is behind generated objects."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tondo.gan.networks.layers import (
    Linear,
    leaky,
)
from tondo.gan.networks.shape import GeneratorShape


class Background(nn.Module):
    """A picture behind the object, from w alone: small, soft, and the same for every camera."""

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        self.start = Linear(shape.w, 32 * 4 * 4)
        self.conv1 = nn.Conv2d(32, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 3, 3, padding=1)

    def forward(self, w: Tensor, size: int) -> Tensor:
        x = leaky(self.start(w)).view(len(w), 32, 4, 4)
        x = leaky(self.conv1(F.interpolate(x, scale_factor=2, mode="bilinear")))
        x = self.conv2(F.interpolate(x, scale_factor=2, mode="bilinear"))
        x = F.interpolate(x, size=(size, size), mode="bilinear")
        return torch.sigmoid(x).permute(0, 2, 3, 1)
