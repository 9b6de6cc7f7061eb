"""What keeps a generator's geometry real: terms of G's loss on the splats or fields."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tondo.gan.networks.skin import Skins
from tondo.gan.networks.tri_planes import field_terms
from tondo.gan.options import Geometry
from tondo.kernels.fields.tri_planes_torch import Planes
from tondo.kernels.sphere.sphere_maps import padded
from tondo.kernels.sphere.sphere_maps_torch import crossed

SIDEWAYS = 0.5  # cosine of normal and outwards below which walls cost (docs/notes/gan.md)
SMALLEST_RING = 0.02  # object radii: what is nearer to the axis may be as rough as it likes; chosen


def geometry_loss(
    objects: Skins | Planes, weights: Geometry, one_side: Tensor | None = None
) -> Tensor:
    """The weighted sum of the terms that belong to this representation. `one_side` [3]: the
    direction from which all unknown cameras look, if they do."""
    if isinstance(objects, Planes):
        rough, haze, middle = field_terms(objects)
        return weights.laplacian * rough + weights.haze * haze + weights.centring * middle
    total = (
        weights.laplacian * laplacian_loss(objects)
        + weights.normal_orientation * normal_orientation_loss(objects)
        + weights.centring * centring_loss(objects)
    )
    if objects.axial:
        total = total + weights.radial_slope * radial_slope_loss(objects)
        total = total + weights.overhang * overhang_loss(objects)
    if one_side is None:
        return total
    return total + weights.depth_prior * depth_prior_loss(objects, one_side)


def laplacian_loss(skins: Skins) -> Tensor:
    """Creases and lobes: the same measure near by and over an eighth of the grid's rows."""
    return _bend(skins.grid[:, :, ::2, ::2]) + _bend(skins.grid[:, :, ::8, ::8])


def _bend(grid: Tensor) -> Tensor:
    """Mean squared difference of each grid point from the mean of its four neighbours (the umbrella
    operator of Taubin 1995), relative to the squared cell size: creases cost, size does not."""
    wide = padded(grid)
    around = 0.25 * (
        wide[:, :, 2:, 1:-1] + wide[:, :, :-2, 1:-1] + wide[:, :, 1:-1, 2:] + wide[:, :, 1:-1, :-2]
    )
    cell = (wide[:, :, 2:, 1:-1] - grid).square().sum(dim=1)
    cell = cell + (wide[:, :, 1:-1, 2:] - grid).square().sum(dim=1)
    bend = (grid - around).square().sum(dim=1)
    return (bend / cell.detach().mean(dim=(1, 2), keepdim=True).clamp_min(1e-8)).mean()


def normal_orientation_loss(skins: Skins) -> Tensor:
    """How far the skin turns from outwards: mean of max(0, 0.1 - n . d)^2, n the unit normal of a
    cell and d its direction from the object's middle. Above 0 everywhere, the skin is
    star-shaped: it cannot fold, turn inside out or be one flat card."""
    cells, away = _cells(skins.grid[:, :, ::2, ::2])
    return torch.relu(0.1 - (_unit(cells) * away).sum(dim=1)).square().mean()


def radial_slope_loss(skins: Skins) -> Tensor:
    """How much steeper than 45 degrees the rings of a radial skin run towards the axis: the mean of
    max(0, |step of the distance from it| / spacing - 1)^2, of neighbours in a ring and its mean
    spacing. Rings may be of any size: stems, cavities and necks are free."""
    away = skins.grid[:, ::2].square().sum(dim=1).clamp_min(1e-12).sqrt()
    step = (away.roll(-1, dims=2) - away).abs()
    mean = away.detach().mean(dim=2, keepdim=True)
    spacing = (2 * math.pi / away.shape[2]) * (mean + SMALLEST_RING)
    return torch.relu(step / spacing - 1.0).square().mean()


def overhang_loss(skins: Skins) -> Tensor:
    """How much of a radial skin looks sideways or inwards, as the walls of deep cavities do and
    teeth that no picture shows: the mean over its area of max(0, 0.5 - n . d), n and d as in
    `normal_orientation_loss`. By area, so that what pictures do not ask for goes flat."""
    cells, away = _cells(skins.grid)
    area = cells.square().sum(dim=1).clamp_min(1e-16).sqrt()
    steep = torch.relu(SIDEWAYS * area - (cells * away).sum(dim=1))
    return (steep.mean(dim=(1, 2)) / area.mean(dim=(1, 2))).mean()


def _cells(grid: Tensor) -> tuple[Tensor, Tensor]:
    """Of each cell of a grid [B, 3, H, W] the normal, as long as the cell is large, and the unit
    direction from the object's middle."""
    wide = padded(grid)
    south = wide[:, :, 2:, 1:-1] - wide[:, :, :-2, 1:-1]
    east = wide[:, :, 1:-1, 2:] - wide[:, :, 1:-1, :-2]
    return crossed(south, east), _unit(grid - grid.mean(dim=(2, 3), keepdim=True))


def _unit(x: Tensor) -> Tensor:
    """Vectors [B, 3, H, W] at length 1 (torch's own normalize over channels is slow)."""
    return x * torch.rsqrt(x.square().sum(dim=1, keepdim=True) + 1e-16)


def depth_prior_loss(skins: Skins, direction: Tensor) -> Tensor:
    """Mean squared displacement of the skin from its first, round body along `direction` [3].

    Where all cameras look from one side and nobody knows from where exactly, a hollow mask that
    turns the wrong way looks like a face: depth that pictures do not ask for stays that of the
    body.
    """
    assert skins.offset is not None
    return torch.einsum("bchw,c->bhw", skins.offset, direction.to(skins.offset)).square().mean()


def centring_loss(skins: Skins) -> Tensor:
    """Squared distance of the objects' middles from the origin, and of what leaves the unit
    sphere: position and size belong to the object, not to luck."""
    middle = skins.means.mean(dim=1).square().sum(dim=1)
    away = skins.grid.square().sum(dim=1).clamp_min(1e-12).sqrt()  # norm() is slow there
    outside = torch.relu(away - 1.0).square().mean(dim=(1, 2))
    return (middle + 10.0 * outside).mean()
