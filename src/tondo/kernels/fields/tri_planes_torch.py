"""Fields on three planes in plain torch: the definition, and the twin of the native kernel.

Chan et al. 2022 (EG3D), section 4: a point of the cube is projected on the three planes, the
features found there are averaged, and a small network makes density and colour of them. Training
starts from a ball, whose density is part of the definition.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SAMPLES = 16  # of a ray within the unit sphere (docs/notes/gan.md)
DENSITY = 20.0  # optical depth of a unit of length where softplus is 1; chosen
FIRST_RADIUS, EDGE = 0.65, 24.0  # of the first ball, and its edge (docs/notes/gan.md)
LEAK = 0.2  # slope below zero, as in the rest of G (Karras et al. 2019, StyleGAN)


class Planes(NamedTuple):
    """Fields of B objects; their decoder is the same for all.

    Attributes:
        maps: [B, 3, C, R, R]: the planes xy, xz and zy of the cube -1..1.
        first: [hidden, C] and [hidden]. second: [4, hidden] and [4]: density and colour.
    """

    maps: Tensor
    first: tuple[Tensor, Tensor]
    second: tuple[Tensor, Tensor]


def look_up(planes: Planes, points: Tensor) -> tuple[Tensor, Tensor]:
    """Density and colour.

    Args:
        points: [B, N, 3] within the cube -1..1.

    Returns:
        [B, N] optical depth of a unit of length, and [B, 3, N] sRGB 0..1.
    """
    batch, count, _ = points.shape
    x, y, z = points.unbind(2)
    pairs = torch.stack([torch.stack([x, y], 2), torch.stack([x, z], 2), torch.stack([z, y], 2)], 1)
    found = F.grid_sample(
        planes.maps.flatten(0, 1),
        pairs.view(3 * batch, 1, count, 2),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    features = found.view(batch, 3, -1, count).mean(dim=1)
    (weight, bias), (weight2, bias2) = planes.first, planes.second
    hidden = F.leaky_relu(weight @ features + bias[:, None], LEAK) * math.sqrt(2.0)
    raw = weight2 @ hidden + bias2[:, None]
    ball = EDGE * (FIRST_RADIUS - points.norm(dim=2))
    return DENSITY * F.softplus(4.0 * raw[:, 0] + ball), torch.sigmoid(2.0 * raw[:, 1:])


def march_planes_torch(
    planes: Planes, rays_o: Tensor, rays_d: Tensor, shifts: Tensor
) -> tuple[Tensor, Tensor]:
    """What `tri_planes.march_planes` says, on any device, with all gradients."""
    a = rays_d.square().sum(dim=2)
    middle = -(rays_d * rays_o[:, None]).sum(dim=2) / a
    nearest = rays_o[:, None] + rays_d * middle[..., None]  # b^2 - 4ac would lose digits
    inside = (1.0 - nearest.square().sum(dim=2)).clamp_min(1e-20)  # 0 has no gradient
    half = (inside / a).sqrt()
    near, length = middle - half, 2 * half
    even = (torch.arange(SAMPLES).to(shifts) + shifts[:, None]) / SAMPLES  # [P, S]
    depths = near[..., None] + length[..., None] * even  # [B, P, S]
    points = rays_o[:, None, None] + rays_d[:, :, None] * depths[..., None]
    density, color = look_up(planes, points.flatten(1, 2))
    optical = density.view(depths.shape) * (length * a.sqrt() / SAMPLES)[..., None]
    through = torch.cumsum(optical, dim=2)
    weights = torch.exp(optical - through) * -torch.expm1(-optical)
    image = (color.view(len(color), 3, *depths.shape[1:]) * weights[:, None]).sum(dim=3)
    depth = (weights * depths).sum(dim=2, keepdim=True)
    return torch.cat([image.mT, depth], dim=2), weights.sum(dim=2)
