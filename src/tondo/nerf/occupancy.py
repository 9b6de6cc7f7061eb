"""Which cells of a field's space may hold something, and how finely rays look there.

Müller et al. 2022 (appendix E.3) look at random places of the cells now and then. Here cells
remember what rays met in them, which costs nothing; other places are looked at only to find what
rays pass by because it counted as empty: beside cells that hold something, and anywhere.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from tondo.data.field import Field, Marching, Space
from tondo.kernels.fields.occupancy import remember_
from tondo.kernels.fields.occupancy_torch import MemoryRule
from tondo.kernels.fields.rays import log_densities
from tondo.kernels.fields.rays_torch import MOST_LOG

DECAY = 0.95  # of what a cell remembers, at each place seen; 0.6: 4 dB less (docs/notes/nerf.md)
YOUNG = 0.6  # of the mean density, in cells that were never seen (docs/notes/nerf.md)
LOOKS = 65_536  # places of an update at most, half beside full cells; chosen
TRIED = 8  # cells that are drawn to find one that does (docs/notes/nerf.md)
LEAST = 0.01  # optical depth of a step below which a cell counts as empty; chosen
NOTHING = 1e-5  # optical depth of the whole space; chosen
THIN, MOST_STRIDE = 0.15, 8  # optical depth of steps taken together; how many (docs/notes/nerf.md)


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


def rule_of(space: Space, densities: Tensor, marching: Marching) -> MemoryRule:
    """Cells count as empty where a step would lose less than one in a hundred of its light, or
    where they are thinner than half the mean, whichever is less: a young field is thin all
    over. What a ray across the whole space would not notice is nothing in any case."""
    least = min(-math.log1p(-LEAST) / marching.step, 0.5 * float(densities.mean()))
    return rule_with(space, max(least, NOTHING / (2 * space.radius)))


def rule_with(space: Space, least: float) -> MemoryRule:
    """The rule by which cells of densities up to `least` are empty."""
    return MemoryRule(DECAY, least, THIN, most_stride(space))


def forget_(field: Field, densities: Tensor, rng: Generator) -> None:
    """Let every cell remember nothing, or in a space without bounds, where rays are few beside
    cells, `YOUNG` of what a young field has on average: it then counts as empty only after it was
    found so some times. All are marked as occupied, with the longest stride."""
    densities.zero_()
    if field.space.contracted:
        u = torch.rand(4096, 3, generator=rng)
        densities.fill_(YOUNG * float(sigmas_at(field, u).mean()))
    field.space.occupied.fill_(most_stride(field.space))


def most_stride(space: Space) -> int:
    """How many steps a sample may stand for. Bounded spaces have few steps: each has its own."""
    return MOST_STRIDE if space.contracted else 1


def look_again(
    field: Field, marching: Marching, rule: MemoryRule, densities: Tensor, rng: Generator
) -> None:
    """Look at some cells, at a random place of each, and let them remember, in place."""
    cells, half = len(densities), LOOKS // 2
    rows = torch.randint(cells**3, (half + TRIED * half,), generator=rng)
    anywhere, tried = rows[:half], rows[half:]
    held = tried[field.space.occupied.view(-1)[tried] > 0][:half]
    beside = torch.randint(-1, 2, (len(held), 3), generator=rng)
    at = torch.cat([_corner(anywhere, cells), _corner(held, cells) + beside]).clamp(0, cells - 1)
    u = (at + torch.rand(len(at), 3, generator=rng)) / cells
    remember_(field.space, marching, rule, densities, u, sigmas_at(field, u))


def _corner(rows: Tensor, cells: int) -> Tensor:
    return torch.stack([rows % cells, rows // cells % cells, rows // cells**2], dim=1)


def sigmas_at(field: Field, u: Tensor) -> Tensor:
    """[N] densities per world unit at places [N, 3] of the unit cube."""
    most = MOST_LOG - math.log(field.space.radius)
    return log_densities(field, out_of_cube(field.space, u)).clamp_max(most).exp()
