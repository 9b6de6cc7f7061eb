"""Regularisers of the skin: what costs, and what is free."""

from __future__ import annotations

import torch
from torch import Tensor

from tondo.gan.networks.skin import Skins, sphere_map
from tondo.gan.objects.geometry_loss import (
    centring_loss,
    depth_prior_loss,
    geometry_loss,
    laplacian_loss,
    normal_orientation_loss,
    overhang_loss,
    radial_slope_loss,
)
from tondo.gan.options import Geometry


def skins_of(grid: Tensor) -> Skins:
    """Skins with the grid [3, rows, columns]."""
    means = grid[None].flatten(2).mT
    count = means.shape[1]
    return Skins(
        means,
        torch.zeros(1, count, 4),
        torch.full((1, count, 3), 0.01),
        torch.ones(1, count),
        torch.zeros(1, count, 3),
        grid[None],
    )


def test_creases_cost_and_size_does_not() -> None:
    sphere = sphere_map(32, 64)
    noise = 0.05 * torch.randn(sphere.shape, generator=torch.Generator().manual_seed(0))
    smooth, rough = laplacian_loss(skins_of(sphere)), laplacian_loss(skins_of(sphere + noise))
    assert float(rough) > 2 * float(smooth)
    torch.testing.assert_close(laplacian_loss(skins_of(0.3 * sphere)), smooth, rtol=1e-3, atol=0)


def test_a_ball_has_no_folds_one_inside_out_has_nothing_else() -> None:
    sphere = sphere_map(32, 64)
    assert float(normal_orientation_loss(skins_of(sphere))) == 0.0
    assert float(normal_orientation_loss(skins_of(sphere.flip(2)))) > 1.0
    flat = sphere * torch.tensor([1.0, 1.0, 0.001])[:, None, None]
    assert 0.001 < float(normal_orientation_loss(skins_of(flat))) < 1.0


def test_grooves_down_the_side_cost_and_rings_of_any_size_do_not() -> None:
    sphere = 0.8 * sphere_map(32, 64)
    rows, columns = torch.arange(32)[:, None], torch.arange(64)
    waisted = sphere * (1 - 0.8 * torch.exp(-(((rows - 15.5) / 2.0) ** 2)))
    assert float(radial_slope_loss(skins_of(waisted))) == 0.0
    oval = sphere * torch.tensor([1.0, 1.0, 0.6])[:, None, None]
    assert float(radial_slope_loss(skins_of(oval))) == 0.0
    grooved = sphere * (1 - 0.5 * torch.exp(-(((columns - 0.5) / 2.0) ** 2)))
    assert float(radial_slope_loss(skins_of(grooved))) > 0.02
    rolled = grooved.roll(20, dims=2)  # wherever it is, also across the map's seam
    torch.testing.assert_close(
        radial_slope_loss(skins_of(rolled)), radial_slope_loss(skins_of(grooved))
    )
    config = Geometry()
    apart = [
        geometry_loss(skins_of(grooved)._replace(axial=axial), config) for axial in (False, True)
    ]
    ours = config.radial_slope * radial_slope_loss(skins_of(grooved))
    ours = ours + config.overhang * overhang_loss(skins_of(grooved))
    torch.testing.assert_close(apart[1] - apart[0], ours)


def test_walls_and_teeth_cost_by_their_area_and_gentle_dimples_do_not() -> None:
    sphere = 0.8 * sphere_map(64, 128)
    assert float(overhang_loss(skins_of(sphere))) == 0.0

    def sunk(depth: float) -> Tensor:
        """A cone as wide as a third of the sphere, its tip `depth` below the rim."""
        across = sphere[::2].norm(dim=0)
        inside = (across < 0.27) & (sphere[1] > 0)
        grid = sphere.clone()
        grid[1] -= inside * depth * (1 - across / 0.27)
        return grid

    assert float(overhang_loss(skins_of(sunk(0.1)))) < 1e-4
    shallow, deep = overhang_loss(skins_of(sunk(0.4))), overhang_loss(skins_of(sunk(0.6)))
    assert 0.001 < float(shallow) < 0.7 * float(deep)
    torch.testing.assert_close(overhang_loss(skins_of(0.5 * sunk(0.4))), shallow)
    rows = torch.arange(64)
    teeth = sphere.clone()
    teeth[1] += 0.1 * (sphere[1] > 0.7) * (-1.0) ** (rows // 2)[:, None]
    assert float(overhang_loss(skins_of(teeth))) > 0.001
    config = Geometry()
    apart = [
        geometry_loss(skins_of(sunk(0.4))._replace(axial=axial), config) for axial in (False, True)
    ]
    ours = config.overhang * shallow + config.radial_slope * radial_slope_loss(skins_of(sunk(0.4)))
    torch.testing.assert_close(apart[1] - apart[0], ours)


def test_the_middle_and_the_unit_sphere_are_kept() -> None:
    sphere = 0.7 * sphere_map(16, 32)
    assert float(centring_loss(skins_of(sphere))) < 1e-9
    aside = sphere + torch.tensor([0.0, 0.2, 0.0])[:, None, None]
    torch.testing.assert_close(
        centring_loss(skins_of(aside)), torch.tensor(0.04), rtol=1e-3, atol=0
    )
    assert float(centring_loss(skins_of(2.0 * sphere))) > 1.0


def test_every_term_has_a_gradient_that_lowers_it() -> None:
    noise = 0.1 * torch.randn(3, 16, 32, generator=torch.Generator().manual_seed(1))
    start = 1.1 * sphere_map(16, 32) + noise
    for term in (
        laplacian_loss,
        normal_orientation_loss,
        radial_slope_loss,
        overhang_loss,
        centring_loss,
    ):
        grid = start.clone().requires_grad_()
        before = term(skins_of(grid))
        before.backward()
        assert grid.grad is not None
        step = 1e-3 * grid.grad / grid.grad.norm()
        assert float(term(skins_of((grid - step).detach()))) < float(before.detach()), term.__name__


def test_depth_along_the_line_of_sight_costs_and_nothing_across_it() -> None:
    sphere = sphere_map(16, 32)
    ahead = torch.tensor([0.6, 0.0, 0.8])
    across = torch.tensor([0.8, 0.0, -0.6])
    for direction, cost in ((ahead, 0.04), (across, 0.0)):
        offset = (0.2 * direction)[:, None, None].expand_as(sphere)
        skins = skins_of(sphere + offset)._replace(offset=offset[None])
        torch.testing.assert_close(
            depth_prior_loss(skins, ahead), torch.tensor(cost), rtol=1e-3, atol=1e-7
        )
        added = geometry_loss(skins, Geometry(depth_prior=5.0), ahead) - geometry_loss(
            skins, Geometry(depth_prior=5.0)
        )
        torch.testing.assert_close(added, torch.tensor(5 * cost), rtol=1e-2, atol=1e-4)
