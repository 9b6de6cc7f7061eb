"""Which cells are looked at, and that none is lost that holds something."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tondo.data.field import Field, Heads, Marching, Space
from tondo.kernels.fields.occupancy import remember_, remember_samples_
from tondo.kernels.fields.occupancy_torch import MemoryRule, remember_torch_
from tondo.kernels.fields.rays import Tape, ends_of, render_rays
from tondo.kernels.fields.rays_torch import into_cube
from tondo.nerf.bounds import first_field
from tondo.nerf.occupancy import (
    MOST_STRIDE,
    forget_,
    look_again,
    out_of_cube,
    rule_of,
    rule_with,
)
from tondo.nerf.options import HashGrid, NerfOptions

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
    config = NerfOptions(hash=HashGrid(2, 4, log2_entries=8, coarsest=2, finest=4, hidden=8))
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


def half(contracted: bool = False) -> tuple[Field, torch.Tensor, Marching]:
    """`half_full` with room to remember, its densities, and steps."""
    field = half_full()
    occupied = torch.ones(CELLS, CELLS, CELLS, dtype=torch.uint8)
    where = replace(field.space, occupied=occupied, contracted=contracted)
    return replace(field, space=where), torch.zeros(CELLS, CELLS, CELLS), Marching(0.05)


def test_cells_are_empty_where_the_field_is() -> None:
    field, densities, marching = half()
    rng = torch.Generator().manual_seed(0)
    forget_(field, densities, rng)
    rule = MemoryRule(0.95, 0.2, 0.1, 1)
    look_again(field, marching, rule, densities, rng)
    assert bool((field.space.occupied[:, :, 5:] == 1).all())
    assert not bool(field.space.occupied[:, :, :3].any())


def test_what_rays_met_is_remembered_as_its_definition_says() -> None:
    for contracted in (False, True):
        rng = torch.Generator().manual_seed(1)
        field, densities, _ = half(contracted)
        marching = Marching(0.05, 0.04 if contracted else 0.0)
        densities.copy_(torch.rand(densities.shape, generator=rng))
        u = torch.rand(400, 3, generator=rng) * torch.tensor([0.5, 1.0, 0.7])
        sigmas = 4 * torch.rand(400, generator=rng).square()
        rule = MemoryRule(0.7, 0.3, 0.1, 5)
        twin = replace(field.space, occupied=field.space.occupied.clone())
        wanted = densities.clone()
        remember_(field.space, marching, rule, densities, u, sigmas)
        remember_torch_(twin, marching, rule, wanted, u, sigmas)
        torch.testing.assert_close(densities, wanted, rtol=1e-6, atol=0)
        assert torch.equal(field.space.occupied, twin.occupied)
        assert len(field.space.occupied.unique()) >= 4  # none, and strides of several lengths


def test_samples_of_a_pass_are_remembered_where_rays_went() -> None:
    field, densities, marching = half()
    field.heads.weights.requires_grad_(True)
    tape = Tape()
    rays_o = torch.tensor([[-4.0, -0.2, 0.1]])
    rays_d = torch.tensor([[1.0, 0.0, 0.0]])
    ends = ends_of(field.space, rays_o, rays_d, 0.1, 9.0)
    found = render_rays(field, rays_o, rays_d, ends, marching, tape=tape)
    remember_samples_(field.space, marching, MemoryRule(0.5, 0.2, 0.1, 1), densities, tape)
    assert float(found.opacities.detach()) > 0.9
    along = field.space.occupied[4, 4]
    assert along[:3].tolist() == [0, 0, 0]
    assert int(along[5]) == 1
    away = field.space.occupied.clone()
    away[4, 4] = 1
    assert bool((away == 1).all())


def test_thin_fog_everywhere_is_not_empty() -> None:
    """What is thinner than a hundredth a step still counts where it is more than half the mean."""
    marching = Marching(0.01)
    thin = torch.full((CELLS, CELLS, CELLS), 1e-4)
    assert rule_of(space(False), thin, marching).least == pytest.approx(0.5e-4)
    thin[3] = 1e4
    assert rule_of(space(False), thin, marching).least == pytest.approx(-math.log(0.99) / 0.01)


def test_only_spaces_without_bounds_take_steps_together() -> None:
    assert rule_with(space(False), 0.1).most == 1
    assert rule_with(space(True), 0.1).most == MOST_STRIDE > 1
    for contracted in (False, True):
        field, densities, _ = half(contracted)
        forget_(field, densities, torch.Generator().manual_seed(0))
        assert bool((field.space.occupied == rule_with(field.space, 0.1).most).all())
        assert bool((densities > 0).all()) == contracted
