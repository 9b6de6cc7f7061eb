"""The second representation: a radiance field on three planes, rendered by marching rays.

Chan et al. 2022 (EG3D), section 4. What a field is and how it looks:
`tondo.kernels.fields.tri_planes`.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tondo.gan.networks.layers import Linear, StyledConv, leaky_conv, normals
from tondo.kernels.fields.tri_planes import march_planes
from tondo.kernels.fields.tri_planes_torch import Planes, look_up

FEATURES = 8  # channels of a plane (docs/notes/gan.md)
HIDDEN = 24  # of the network that reads them (docs/notes/gan.md)
INSIDE = 12  # places along each side of the grid on which the regularisers look; chosen
SHELLS = 96  # places along a ray in the search for the surface; chosen


class TriPlanes(nn.Module):
    """w -> `Planes`: a styled CNN from 4x4, doubled up to the planes' resolution at most."""

    def __init__(self, w: int, resolution: int, channels: tuple[int, int, int]) -> None:
        super().__init__()
        first, second, third = channels
        self.start = nn.Parameter(normals(1, first, 4, 4))
        self.from_w = Linear(w, first * 16)
        widths = [first, first, second, third]
        levels = max(1, int(math.log2(resolution)) - 2)
        widths = (widths + [third] * levels)[: levels + 1]
        pairs = itertools.pairwise(widths)
        self.convs = nn.ModuleList([StyledConv(w, a, b, 3, around=False) for a, b in pairs])
        self.out = StyledConv(w, widths[-1], 3 * FEATURES, 1)
        self.first = Linear(FEATURES, HIDDEN)
        self.second = Linear(HIDDEN, 4)

    def forward(self, w: Tensor) -> Planes:
        x = self.start + self.from_w(w).view(len(w), *self.start.shape[1:])
        for conv in self.convs:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = leaky_conv(conv, x, w)
        maps = self.out(x, w).unflatten(1, (3, FEATURES))
        pairs = ((layer.scaled(), layer.bias * layer.rate) for layer in (self.first, self.second))
        return Planes(maps, *pairs)


def march(planes: Planes, viewmats: Tensor, Ks: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures by the quadrature of Max 1995 (NeRF's equation 3), within the unit sphere.

    The first sample of a ray is shifted by its pixel, always in the same way, so that steps do not
    show as shells and the same field gives the same picture.

    Args:
        viewmats: [B, 4, 4] world-to-camera. Ks: [B, 3, 3] pixels. size: pixels a side.

    Returns:
        colours [B, size, size, 3] summed by weight without a background, camera z summed by weight
        [B, size, size], alphas [B, size, size].
    """
    rays_o, rays_d = _rays(viewmats, Ks, size)
    pixel = torch.arange(size, dtype=torch.float32, device=Ks.device) + 0.5
    shifts = (pixel[:, None] * 0.5698402910 + pixel * 0.7548776662).remainder(1.0).flatten()
    images, alphas = march_planes(planes, rays_o, rays_d, shifts)
    images = images.unflatten(1, (size, size))
    return images[..., :3], images[..., 3], alphas.unflatten(1, (size, size))


def _rays(viewmats: Tensor, Ks: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """World space: the cameras' centres [B, 3] and directions [B, size^2, 3], camera z 1."""
    pixel = torch.arange(size, dtype=torch.float32, device=Ks.device) + 0.5
    x = (pixel - Ks[:, 0, 2:3]) / Ks[:, 0, 0:1]  # [B, size]
    y = (pixel - Ks[:, 1, 2:3]) / Ks[:, 1, 1:2]
    across = x[:, None].expand(-1, size, -1)
    down = y[:, :, None].expand(-1, -1, size)
    local = torch.stack([across, down, torch.ones_like(across)], dim=3).flatten(1, 2)
    rotations = viewmats[:, :3, :3]
    return -(viewmats[:, None, :3, 3] @ rotations)[:, 0], local @ rotations


def surface(planes: Planes, outward: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays from outside towards the origin meet the field, and its colour there.

    The outermost place at which half of the light is lost. A thing of which parts hide others from
    the origin keeps the outer ones; a ray that meets nothing ends close to the origin.

    Args:
        outward: [3, rows, columns] unit vectors.

    Returns:
        [B, 3, rows, columns] points, and colours of the same shape, sRGB 0..1.
    """
    rows, columns = outward.shape[1:]
    batch = len(planes.maps)
    directions = outward.flatten(1).T  # [N, 3]
    radii = torch.linspace(1.0, 0.02, SHELLS, device=outward.device)
    points = (radii[:, None, None] * directions).reshape(1, -1, 3).expand(batch, -1, 3)
    density, _ = look_up(planes, points)
    step = float(radii[0] - radii[1])
    lost = torch.cumsum(density.view(batch, SHELLS, -1) * step, dim=1) - math.log(2.0)
    after = (lost > 0).int().argmax(dim=1, keepdim=True)  # 0 where it never is
    after = torch.where(lost[:, -1:] > 0, after, SHELLS - 1).clamp_min(1)
    low, high = lost.gather(1, after - 1), lost.gather(1, after)
    share = (-low / (high - low).clamp_min(1e-6)).clamp(0.0, 1.0)
    found = radii[after[:, 0] - 1] - step * share[:, 0]  # [B, N]
    points = found[..., None] * directions
    _, colors = look_up(planes, points)
    return points.mT.reshape(batch, 3, rows, columns), colors.view(batch, 3, rows, columns)


class FieldTerms(NamedTuple):
    """What keeps a field real; each is small where all is well.

    Attributes:
        rough: mean squared difference of neighbours on the planes.
        haze: mean of o (1 - o), o the opacity of one cell of a coarse grid, relative to the mean
            opacity: fog can look right, and is no model.
        centring_loss: squared distance of the middle of what is opaque from the origin.
    """

    rough: Tensor
    haze: Tensor
    centring_loss: Tensor


def field_terms(planes: Planes) -> FieldTerms:
    """Regularisers of the fields, means over the batch."""
    maps = planes.maps
    rough = maps.diff(dim=3).square().mean() + maps.diff(dim=4).square().mean()
    even = (torch.arange(INSIDE, device=maps.device) + 0.5) * (2 / INSIDE) - 1
    grid = torch.stack(torch.meshgrid(even, even, even, indexing="ij"), dim=-1).view(-1, 3)
    grid = grid[grid.norm(dim=1) < 1]
    density, _ = look_up(planes, grid.expand(len(maps), -1, 3))
    opacity = -torch.expm1(-density * (2 / INSIDE))  # [B, N]
    total = opacity.sum(dim=1).clamp_min(1e-3)
    haze = (opacity * (1 - opacity)).sum(dim=1) / total
    middle = (opacity[..., None] * grid).sum(dim=1) / total[:, None]
    return FieldTerms(rough, haze.mean(), middle.square().sum(dim=1).mean())
