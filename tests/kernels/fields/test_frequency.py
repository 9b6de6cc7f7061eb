"""The first NeRF's networks and rays: its equations, its gradients, and where it looks twice."""

from __future__ import annotations

import contextlib
import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tondo.data.field import FrequencyField, FrequencyShape, Marching, Space
from tondo.kernels.fields.frequency import (
    distances_at,
    even_distances,
    gamma,
    half_products,
    more_where,
    network,
)
from tondo.kernels.fields.rays import ends_of, log_densities, render_rays
from tondo.kernels.fields.rays_torch import into_cube

SHAPE = FrequencyShape(places=3, directions=2, width=12, depth=4, samples=(5, 7))
SPACE = Space((0.2, -0.1, 0.3), 1.5, False, torch.ones(2, 2, 2, dtype=torch.bool))


def small_field(
    dtype: torch.dtype = torch.float32, space: Space = SPACE, shape: FrequencyShape = SHAPE
) -> FrequencyField:
    rng = torch.Generator().manual_seed(3)
    count = sum(math.prod(size) for size in shape.parts())
    coarse, fine = (
        0.5 * torch.randn(count, generator=rng, dtype=torch.float64).to(dtype) for _ in range(2)
    )
    return FrequencyField(coarse, fine, space, shape)


def small_rays(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(4)
    origins = torch.tensor(SPACE.center) + torch.randn(4, 3, generator=rng)
    directions = torch.nn.functional.normalize(torch.randn(4, 3, generator=rng), dim=1)
    origins = origins - 4 * directions
    return origins.to(dtype), directions.to(dtype), torch.rand(4, generator=rng).to(dtype)


def test_gamma_by_hand() -> None:
    found = gamma(torch.tensor([[0.25, -0.5, 0.1]], dtype=torch.float64), 2)
    expected = [
        f(octave * math.pi * x)
        for x in (0.25, -0.5, 0.1)
        for f in (math.sin, math.cos)
        for octave in (1, 2)
    ]
    torch.testing.assert_close(found[0], torch.tensor(expected, dtype=torch.float64))


def test_the_first_papers_networks_have_its_layers() -> None:
    layers = FrequencyShape().parts()[::2]
    assert layers[:8] == ((256, 60), *((256, 256),) * 4, (256, 316), *((256, 256),) * 2)
    assert layers[8:] == ((1, 256), (256, 256), (128, 280), (3, 128))


def test_the_network_written_out() -> None:
    field = small_field(torch.float64)
    rng = torch.Generator().manual_seed(5)
    u = torch.rand(6, 3, generator=rng, dtype=torch.float64)
    directions = torch.nn.functional.normalize(torch.randn(6, 3, generator=rng), dim=1).double()
    sizes = SHAPE.parts()
    p = [x.view(s) for x, s in zip(field.fine.split([*map(math.prod, sizes)]), sizes, strict=True)]
    place = gamma(2 * u - 1, 3)
    x = (place @ p[0].T + p[1]).relu()
    x = (x @ p[2].T + p[3]).relu()
    x = (x @ p[4].T + p[5]).relu()
    x = (torch.cat([x, place], dim=1) @ p[6].T + p[7]).relu()
    wanted = torch.log1p(torch.exp((x @ p[8].T + p[9])[:, 0] - 1)) / 1.5
    told = torch.cat([x @ p[10].T + p[11], gamma(directions, 2)], dim=1)
    color = torch.sigmoid((told @ p[12].T + p[13]).relu() @ p[14].T + p[15])
    density, found = network(field, field.fine, u, directions)
    torch.testing.assert_close(density, wanted)
    assert found is not None
    torch.testing.assert_close(found, color)
    world = torch.tensor(SPACE.center, dtype=torch.float64) + 1.5 * (2 * u - 1)
    torch.testing.assert_close(log_densities(field, world), wanted.log())


@pytest.mark.parametrize("contracted", [False, True])
def test_rays_written_out(contracted: bool) -> None:
    space = replace(SPACE, contracted=contracted)
    field = small_field(torch.float64, space)
    origins, directions, offsets = small_rays(torch.float64)
    ends = torch.tensor([2.5, 6.0]).expand(4, 2).double()
    found = render_rays(field, origins, directions, ends, Marching(1.0), offsets=offsets)
    for r in range(4):
        low, high = (float(x) for x in even_distances(space, ends[r]))

        def seen(weights: Tensor, s: list[float], r: int = r, high: float = high) -> list[Tensor]:
            t = [float(distances_at(space, torch.tensor(x))) for x in [*s, high]]
            left, each = 1.0, []
            for now, after in itertools.pairwise(t):
                point = (origins[r] + now * directions[r])[None]
                density, color = network(
                    field, weights, into_cube(space, point), directions[r : r + 1]
                )
                assert color is not None
                share = 1 - math.exp(-float(density) * (after - now))
                each.append(torch.cat([torch.tensor([left * share, now]), color[0]]))
                left *= 1 - share
            return each

        s = [low + (high - low) * (k + float(offsets[r])) / 5 for k in range(5)]
        coarse = torch.stack(seen(field.coarse, s))
        assert found.coarse is not None
        torch.testing.assert_close(found.coarse[1][r], coarse[:, 0].sum(), rtol=1e-4, atol=1e-6)
        more = more_where(
            coarse[None, :, 0], torch.tensor([[low, high]]).double(), 7, offsets[r : r + 1]
        )
        fine = torch.stack(seen(field.fine, sorted([*s, *more[0].tolist()])))
        weights = fine[:, 0]
        torch.testing.assert_close(found.opacities[r], weights.sum(), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(
            found.colors[r], (weights[:, None] * fine[:, 2:]).sum(0), rtol=1e-4, atol=1e-6
        )
        torch.testing.assert_close(
            found.depths[r], (weights * fine[:, 1]).sum(), rtol=1e-4, atol=1e-6
        )
    assert found.samples.tolist() == [17] * 4


def test_more_places_where_the_weight_is() -> None:
    weights = torch.tensor([[0.0, 0.0, 3.0, 1.0]])
    found = more_where(weights, torch.tensor([[10.0, 14.0]]), 400, torch.tensor([0.5]))[0]
    assert bool((found.diff() >= 0).all())
    inside = [int(((found >= 10 + k) & (found < 11 + k)).sum()) for k in range(4)]
    assert inside[0] <= 1
    assert inside[1] <= 1
    assert inside[2] == pytest.approx(300, abs=2)
    assert inside[3] == pytest.approx(100, abs=2)


def test_gradients_are_those_of_finite_differences() -> None:
    """Where the fine network looks is held: what the coarse one says of it has no gradient."""
    shape = FrequencyShape(places=1, directions=1, width=4, depth=3, samples=(3, 4))
    field = small_field(torch.float64, shape=shape)
    origins, directions, offsets = (x[:3] for x in small_rays(torch.float64))
    ends = ends_of(SPACE, origins.float(), directions.float(), 0.1, math.inf).double()

    def pictures(fine: Tensor) -> tuple[Tensor, ...]:
        changed = replace(field, fine=fine)
        return render_rays(changed, origins, directions, ends, Marching(1.0), offsets=offsets)[:4]

    def coarse_pictures(coarse: Tensor) -> tuple[Tensor, ...]:
        changed = replace(field, coarse=coarse)
        found = render_rays(changed, origins, directions, ends, Marching(1.0), offsets=offsets)
        assert found.coarse is not None
        return found.coarse

    assert torch.autograd.gradcheck(pictures, field.fine.clone().requires_grad_(True))
    assert torch.autograd.gradcheck(coarse_pictures, field.coarse.clone().requires_grad_(True))
    found = render_rays(
        replace(field, coarse=field.coarse.clone().requires_grad_(True)),
        origins,
        directions,
        ends,
        Marching(1.0),
        offsets=offsets,
    )
    assert not found.colors.requires_grad


def test_a_ray_that_misses_sees_nothing_and_pieces_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    field = small_field()
    origins, directions, offsets = small_rays()
    origins[1] += 100.0
    ends = ends_of(SPACE, origins, directions, 0.1, math.inf)
    whole = render_rays(field, origins, directions, ends, Marching(1.0), offsets=offsets)
    assert float(whole.opacities[1]) == 0.0
    assert int(whole.samples[1]) == 0
    monkeypatch.setattr("tondo.kernels.fields.frequency.AT_ONCE", 40)
    pieces = render_rays(field, origins, directions, ends, Marching(1.0), offsets=offsets)
    torch.testing.assert_close(pieces.colors, whole.colors)


@pytest.mark.parametrize("able", [True, False])
def test_half_the_bits_are_nearly_the_same(able: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able})
    field = small_field()
    origins, directions, offsets = small_rays()
    ends = ends_of(SPACE, origins, directions, 0.1, 9.0)

    def seen(quick: bool, field: FrequencyField = field) -> tuple[Tensor, Tensor]:
        own = replace(field, fine=field.fine.clone().requires_grad_(True))
        with half_products(own) if quick else contextlib.nullcontext():
            found = render_rays(own, origins, directions, ends, Marching(1.0), offsets=offsets)
        assert found.colors.dtype == field.fine.dtype
        (gradient,) = torch.autograd.grad(found.colors.square().sum(), own.fine)
        assert not torch.is_autocast_enabled("cpu")
        return found.colors.detach(), gradient

    (colors, gradient), (wanted, right) = seen(True), seen(False)
    assert torch.equal(colors, wanted) != able
    torch.testing.assert_close(colors, wanted, atol=0.01, rtol=0)
    assert float(torch.cosine_similarity(gradient, right, dim=0)) > 0.99
    exact = small_field(torch.float64)
    origins, directions, offsets = small_rays(torch.float64)
    ends = ends.double()
    assert torch.equal(seen(True, exact)[0], seen(False, exact)[0])


def test_weights_of_another_shape_are_refused() -> None:
    field = small_field()
    with pytest.raises(ValueError, match="fine"):
        replace(field, fine=field.fine[1:])
