"""Which cells are looked at, and that none is lost that holds something."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tondo.data.field import Field, Heads, Marching, Space
from tondo.kernels.field_torch import into_cube
from tondo.nerf.config import NerfConfig
from tondo.nerf.first import first_field
from tondo.nerf.occupancy import (
    MOST_STRIDE,
    THIN,
    look_again,
    occupied_where,
    out_of_cube,
    strides_where,
)

CELLS = 9


def space(contracted: bool) -> Space:
    return Space((0.3, -0.2, 0.1), 1.7, contracted, torch.ones(CELLS, CELLS, CELLS) > 0)


@pytest.mark.parametrize("contracted", [False, True])
def test_out_of_the_cube_is_the_inverse_of_into_it(contracted: bool) -> None:
    reach = 40.0 if contracted else 1.6
    points = reach * torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    u = into_cube(space(contracted), points)
    torch.testing.assert_close(out_of_cube(space(contracted), u), points, rtol=1e-3, atol=1e-3)


def half_full() -> Field:
    """Dense where x of the unit cube is above about one half, empty elsewhere."""
    config = NerfConfig(
        levels=2, features=4, log2_entries=8, coarsest=2, finest=4, hidden=8, cells=CELLS
    )
    field = first_field(space(False), config, torch.Generator().manual_seed(0))
    tables = torch.zeros_like(field.encoding.tables)
    for z in range(3):
        for y in range(3):
            for x in range(3):
                tables[0, x + 3 * (y + 3 * z), 0] = (x - 1) * 10.0
    parts = [torch.zeros_like(part) for part in field.heads.parts()]
    parts[0][0, 0], parts[0][1, 0] = 1.0, -1.0  # max(0, f) and max(0, -f)
    parts[2][0, 0], parts[2][0, 1] = 1.0, -1.0
    heads = Heads(torch.cat([part.flatten() for part in parts]), 8, 8)
    return replace(field, encoding=replace(field.encoding, tables=tables), heads=heads)


def test_cells_are_empty_where_the_field_is() -> None:
    chance = torch.Generator().manual_seed(0)
    densities = torch.zeros(CELLS, CELLS, CELLS)
    for _ in range(4):
        densities = look_again(half_full(), densities, chance, all_cells=True)
    occupied = occupied_where(densities, step=0.05)
    assert bool(occupied[:, :, 5:].all())
    assert not bool(occupied[:, :, :3].any())


def test_some_cells_at_a_time_and_old_densities_fade() -> None:
    chance = torch.Generator().manual_seed(0)
    before = torch.full((CELLS, CELLS, CELLS), 1e6)
    after = look_again(half_full(), before, chance, all_cells=False)
    changed = after != before
    assert 0.1 < float(changed.float().mean()) < 0.26
    assert float(after[changed].max()) == pytest.approx(0.5e6)


def test_thin_fog_everywhere_is_not_empty() -> None:
    """What is thinner than a hundredth a step still counts where it is more than the mean."""
    densities = torch.full((CELLS, CELLS, CELLS), 1e-4)
    densities[3] = 2e-4
    occupied = occupied_where(densities, step=0.01)
    assert bool(occupied[3].all())
    assert not bool(occupied[4].any())
    least = -math.log1p(-0.01) / 0.01
    densities[3], densities[5] = 100.0, least * 1.01
    assert bool(occupied_where(densities, 0.01)[5].all())


@pytest.mark.parametrize("contracted", [False, True])
def test_strides_are_long_in_thin_fog_and_not_in_a_surface(contracted: bool) -> None:
    densities = torch.full((CELLS, CELLS, CELLS), 1e-3)
    densities[:, :, 6] = 50.0
    marching = Marching(0.05, 0.01 if contracted else 0.0)
    strides = strides_where(densities, space(contracted), marching)
    assert bool((strides[:, :, 6] == 1).all())
    assert bool((strides[:, :, :6] == MOST_STRIDE).all())
    densities[:] = THIN / 0.05 / 2.5  # two steps take less than `THIN`, three more
    assert int(strides_where(densities, space(contracted), marching)[4, 4, 4]) == 2
    if contracted:  # steps are longer far away
        assert int(strides_where(densities, space(True), Marching(0.05, 0.05))[4, 4, 0]) == 1
