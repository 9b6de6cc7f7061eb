"""Matcap shading: light that stays with the camera."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tondo.gan.networks.layers import Linear

LIGHT = 8  # pixels of the side of the lit sphere's picture; chosen
# Bounds of the gain and of the white that is added; chosen, not measured.
MOST_GAIN, MOST_SHINE = 1.2, 0.8


class Matcap(nn.Module):
    """Light that stands still with the camera, as a picture of a lit sphere (Sloan et al. 2001,
    The Lit Sphere): the shade of a splat depends on its normal in camera space alone.

    Things photographed on a turntable turn under such a light; without it their shadows would have
    to be painted on them, and turn along. The gain is as smooth as that of any light on a matt
    thing: spherical harmonics up to the second order (Ramamoorthi and Hanrahan 2001, section 3).
    Finer, it would hold spots that belong to the thing.
    """

    disc: Tensor
    basis: Tensor

    def __init__(self, w: int) -> None:
        super().__init__()
        even = (torch.arange(LIGHT, device="cpu") + 0.5) * (2 / LIGHT) - 1
        y, x = torch.meshgrid(even, even, indexing="ij")
        z = (1 - x * x - y * y).clamp_min(0).sqrt()
        harmonics = torch.stack([x, y, z, x * y, x * z, y * z, x * x - y * y, z * z])
        inside = (x * x + y * y < 1).float()
        disc = inside / inside.sum()
        basis = harmonics - (harmonics * disc).sum(dim=(1, 2), keepdim=True)
        self.register_buffer("disc", disc, persistent=False)
        self.register_buffer("basis", basis, persistent=False)
        self.from_w = Linear(w, len(harmonics) + LIGHT * LIGHT)
        with torch.no_grad():
            self.from_w.weight.mul_(0.1)

    def forward(self, w: Tensor) -> Tensor:
        raw = self.from_w(w)
        smooth, shine = raw[:, : len(self.basis)], raw[:, len(self.basis) :]
        gain = torch.einsum("bk,kij->bij", smooth, self.basis)
        gain = MOST_GAIN * torch.tanh(gain)
        gain = gain - (gain * self.disc).sum(dim=(1, 2), keepdim=True)
        shine = MOST_SHINE * torch.sigmoid(shine.view(-1, LIGHT, LIGHT) - 4.0)
        return torch.stack([gain, shine], dim=1)
