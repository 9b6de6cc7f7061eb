"""Which cells of a field's space may hold something (Müller et al. 2022, appendix E.3)."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from tondo.data.field import Field, Marching, Space
from tondo.kernels.field import log_densities

DECAY = 0.5  # of a cell's remembered density, at each update that looks at it
SHARE = 4  # one in so many cells is looked at in an update
LEAST = 0.01  # optical depth of a step below which a cell counts as empty
THIN, MOST_STRIDE = 0.1, 4  # optical depth up to which steps are taken together, and how many


def out_of_cube(space: Space, u: Tensor) -> Tensor:
    """World points of points [N, 3] of the unit cube: the inverse of `field_torch.into_cube`; what
    lies outside a contracted space's ball is drawn onto its border."""
    y = 2 * (u - 0.5)
    if space.contracted:
        y = 2 * y
        norm = y.norm(dim=1, keepdim=True).clamp_min(1e-9)
        far = 1 / (2 - norm.clamp_max(1.999))
        y = torch.where(norm > 1, y / norm * far, y)
    return torch.tensor(space.center) + space.radius * y


def look_again(field: Field, densities: Tensor, chance: Generator, *, all_cells: bool) -> Tensor:
    """[C, C, C] the remembered densities after one more look, at a random place of each cell.

    Args:
        densities: [C, C, C] per world unit, as remembered so far.
        all_cells: look at every cell, not at one in `SHARE`.
    """
    cells = len(densities)
    flat = densities.flatten().clone()
    rows = torch.arange(len(flat))
    if not all_cells:
        rows = torch.randint(len(flat), (len(flat) // SHARE,), generator=chance)
    corner = torch.stack([rows % cells, rows // cells % cells, rows // cells**2], dim=1)
    u = (corner + torch.rand(len(rows), 3, generator=chance)) / cells
    found = log_densities(field, out_of_cube(field.space, u)).clamp_max(11.0).exp()
    flat[rows] = torch.maximum(flat[rows] * DECAY, found)
    return flat.view(cells, cells, cells)


def occupied_where(densities: Tensor, step: float) -> Tensor:
    """[C, C, C] bool. Cells count as empty where a step would lose less than one in a hundred of
    its light, or where they are thinner than the mean, whichever is less."""
    least = min(-math.log1p(-LEAST) / step, float(densities.mean()))
    return densities > least


def strides_where(densities: Tensor, space: Space, marching: Marching) -> Tensor:
    """[C, C, C] uint8: how many steps of a ray a sample may stand for, so that it takes `THIN` of
    optical depth at most. A young field is fog nearly everywhere; there a sample for every step
    tells hardly more than one for four.
    """
    optical = densities * _step_lengths(space, marching)
    return (THIN / optical.clamp_min(1e-9)).clamp(1, MOST_STRIDE).to(torch.uint8)


def _step_lengths(space: Space, marching: Marching) -> Tensor:
    """[C, C, C] of steps in each cell, world units, seen from the space's centre."""
    cells = len(space.occupied)
    middle = (torch.arange(cells) + 0.5) / cells
    z, y, x = torch.meshgrid(middle, middle, middle, indexing="ij")
    places = out_of_cube(space, torch.stack([x, y, z], dim=-1).view(-1, 3))
    distances = (places - torch.tensor(space.center)).norm(dim=1).view(cells, cells, cells)
    return (marching.cone * distances).clamp_min(marching.step)
