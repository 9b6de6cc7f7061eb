"""Maps of the sphere in plain torch: the definitions, and the twins of the native passes.

A map [B, C, rows, columns] has rows of latitude, the first at the north, and an even number of
columns of longitude. Beyond a border lies what is met there on the sphere: round it, and over a
pole from the other side, half a turn away.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.geometry.rotations import quat_from_rotation


def wrap(x: Tensor, reach: int) -> Tensor:
    """[B, C, H, W] to [B, C, H + 2 reach, W + 2 reach]."""
    half = x.shape[3] // 2
    north = torch.roll(x[:, :, :reach].flip(2), half, dims=3)
    south = torch.roll(x[:, :, -reach:].flip(2), half, dims=3)
    x = torch.cat([north, x, south], dim=2)
    return torch.cat([x[..., -reach:], x, x[..., :reach]], dim=3)


def padded_torch(x: Tensor, style: Tensor | None) -> Tensor:
    """`tondo.kernels.sphere.sphere_maps.padded`."""
    return wrap(x if style is None else x * style[:, :, None, None], 1)


def doubled_torch(x: Tensor) -> Tensor:
    """`tondo.kernels.sphere.sphere_maps.doubled`."""
    x = F.interpolate(wrap(x, 1), scale_factor=2, mode="bilinear", align_corners=False)
    return x[..., 2:-2, 2:-2]


def softened_torch(x: Tensor) -> Tensor:
    """[B, C, H, W] blurred by (1, 2, 1) / 4 both ways."""
    taps = torch.tensor([1.0, 2.0, 1.0], dtype=x.dtype, device=x.device)
    kernel = (taps[:, None] * taps / 16).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(wrap(x, 1), kernel, groups=x.shape[1])


def finer_torch(x: Tensor, scale: Tensor, bias: Tensor, leak: float) -> Tensor:
    """`tondo.kernels.sphere.sphere_maps.finer`."""
    x = x * scale[:, :, None, None] + bias[:, None, None]
    return F.leaky_relu(softened_torch(F.pixel_shuffle(x, 2)), leak)


def frames_torch(grid: Tensor, thin: float) -> tuple[Tensor, Tensor]:
    """`tondo.kernels.sphere.sphere_maps.frames`."""
    around = wrap(softened_torch(softened_torch(grid)), 1)
    south = 0.5 * (around[:, :, 2:, 1:-1] - around[:, :, :-2, 1:-1])
    east = 0.5 * (around[:, :, 1:-1, 2:] - around[:, :, 1:-1, :-2])
    down, across = length(south).clamp_min(1e-4), length(east).clamp_min(1e-4)
    outward = crossed(south, east)
    outward = outward / length(outward).clamp_min(1e-8)
    along = south / down
    axes = torch.stack([along, crossed(outward, along), outward], dim=-1).flatten(2, 3)
    quats = quat_from_rotation(axes.permute(0, 2, 1, 3))
    return quats, torch.cat([down, across, thin * torch.minimum(down, across)], dim=1)


def length(x: Tensor) -> Tensor:
    """[B, 1, H, W] lengths of vectors [B, 3, H, W] (torch's own norm over channels is slow)."""
    return x.square().sum(dim=1, keepdim=True).sqrt()


def crossed(first: Tensor, second: Tensor) -> Tensor:
    """Cross products of vectors [B, 3, H, W] (torch's own over channels is slow)."""
    (a, b, c), (d, e, f) = first.unbind(1), second.unbind(1)
    return torch.stack([b * f - c * e, c * d - a * f, a * e - b * d], dim=1)
