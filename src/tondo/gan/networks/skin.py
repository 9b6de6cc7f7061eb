"""Splats on a deformed sphere: what a generator makes."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from tondo.gan.networks.tri_planes import surface
from tondo.kernels.fields.tri_planes_torch import Planes
from tondo.kernels.sphere.sphere_maps import frames

# A splat's standard deviation relative to its cell, and how far its logarithm may go from there: at
# 2/3 of a cell neighbours still close the skin, below it shows the inside: as far as
# `MOST_SHRINK` they go only where an inner layer hides that.
SPREAD, MOST_STRETCH, MOST_SHRINK = 0.8, 0.4, 0.9
NEAR_AXIS = 0.1  # object radii from the axis within which cells are held back from it; chosen
# Radians round the axis by a displacement of 1 across, of a radial one: cells that are as far apart
# as the coarsest ones then keep their order, whatever G wants.
TURN = 0.15
OPAQUE = 3.0  # logit: 0.88 to 0.98, so that the skin is solid wherever it shows (docs/notes/gan.md)
THICKNESS = 0.3  # across the skin, relative to the smaller of the other two; chosen


class Skins(NamedTuple):
    """Splats of B objects, N = rows * columns of each, in rows from the north pole.

    Attributes:
        means: [B, N, 3], +y up, within about the unit sphere.
        quats: [B, N, 4] (w, x, y, z): along the meridian, along the parallel, outwards.
        scales: [B, N, 3]. opacities: [B, N] 0..1. colors: [B, N, 3] sRGB 0..1.
        grid: [B, 3, rows, columns] the means as a map.
        matcap: [B, 2, LIGHT, LIGHT] over the x and y (right and down, -1..1) of normals in camera
            space: log gain of the colours, zero on average, and what is added to them; or None.
        offset: [B, 3, rows, columns] how far `grid` is from G's first body, or None.
        has_inner_layer: pictures of these and splats for viewers have a second layer inside
            (`tondo.gan.objects.inner_layer`).
        axial: the rows are rings round the upright axis (`GeneratorShape.axial`).
    """

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor
    grid: Tensor
    matcap: Tensor | None = None
    offset: Tensor | None = None
    has_inner_layer: bool = False
    axial: bool = False


def field_surface(planes: Planes, template: Tensor) -> Skins:
    """Opaque splats on the surface of fields."""
    grid, colors = surface(planes, template)
    shade = torch.logit(colors.clamp(1e-3, 1 - 1e-3))
    sizes = torch.zeros_like(grid)
    return skin_of(grid, torch.cat([sizes, torch.full_like(grid[:, :1], 5.0), shade], dim=1))


def sphere_map(rows: int, columns: int) -> Tensor:
    """[3, rows, columns] points of the unit sphere, +y at the north, even in latitude; on the CPU,
    also where networks are described on the meta device (`normals`)."""
    polar = (torch.arange(rows, device="cpu") + 0.5) * (math.pi / rows)
    around = (torch.arange(columns, device="cpu") + 0.5) * (2 * math.pi / columns)
    sin, cos = polar.sin()[:, None], polar.cos()[:, None].expand(rows, columns)
    return torch.stack([sin * around.sin(), cos, sin * around.cos()])


def mirror_symmetric(x: Tensor, signs: Tensor) -> Tensor:
    """Maps [B, C, rows, columns] made the same at x < 0 and x > 0 by their mean; `signs`
    [C] is -1 for what points along x, and so turns round in a mirror."""
    return 0.5 * (x + signs[:, None, None] * x.flip(3))


def radial_displacement(offset: Tensor, sphere: Tensor, radius: Tensor) -> Tensor:
    """Displacements [B, 3, rows, columns] across, up and outward, to x, y, z, such that every ring
    of a body with half axes `radius` [3] goes once round the upright axis. `sphere`
    [3, rows, columns] is `sphere_map`.

    With r the smaller half axis across, q = r + outward becomes (q + sqrt(q^2 + NEAR_AXIS^2)) / 2 >
    0, so no cell crosses the axis; across turns cells round it, too little to pass each other.
    """
    across, up, outward = offset.unbind(1)
    least = torch.minimum(radius[0], radius[2])
    wanted = least + outward
    kept = 0.5 * (wanted + (wanted.square() + NEAR_AXIS**2).sqrt()) - least
    x, z = ((radius[axis] + kept) * sphere[axis] for axis in (0, 2))
    sin, cos = (TURN * across).sin(), (TURN * across).cos()
    body = radius[:, None, None] * sphere
    return torch.stack([x * cos + z * sin - body[0], up, z * cos - x * sin - body[2]], dim=1)


def slowly_bounded(x: Tensor) -> Tensor:
    """-1..1, with slope 1/8 at 0: the body changes slower than its colours, or the first, aimless
    steps of training crumple it."""
    return torch.tanh(0.125 * x)


def _bounded(x: Tensor) -> Tensor:
    """-1..1, with slope 1/2 at 0."""
    return torch.tanh(0.5 * x)


def skin_of(grid: Tensor, raw: Tensor, has_inner_layer: bool = False) -> Skins:
    """Splats that cover the cells of `grid`, from the maps raw [B, 7, rows, columns]."""
    batch = len(grid)
    # The cells' own directions say how the splats lie: as data, or the skin would be bent to
    # turn its splats.
    quats, reach = frames(grid, THICKNESS)
    size = _bounded(raw[:, :3])
    shrink = MOST_SHRINK if has_inner_layer else MOST_STRETCH
    scales = SPREAD * reach * torch.exp(torch.where(size < 0, shrink, MOST_STRETCH) * size)
    return Skins(
        means=_rows(grid),
        quats=quats,
        scales=_rows(scales),
        opacities=torch.sigmoid(OPAQUE + _bounded(raw[:, 3])).view(batch, -1),
        colors=torch.sigmoid(_rows(raw[:, 4:7])),
        grid=grid,
        has_inner_layer=has_inner_layer,
    )


def _rows(maps: Tensor) -> Tensor:
    """[B, C, rows, columns] to [B, N, C]."""
    return maps.flatten(2).transpose(1, 2)
