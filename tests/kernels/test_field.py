"""Rays through a radiance field: the native operation against its twin, the twin against finite
differences."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tondo import _native
from tondo.data.field import Field, HashEncoding, Heads, Marching, Space, head_shapes
from tondo.kernels.field import (
    RayPictures,
    Tape,
    as_double,
    ends_of,
    log_densities,
    render_rays,
)
from tondo.kernels.field_torch import colors, densities, encode_hash, into_cube

TOLERANCE = 1e-4  # relative to the largest value (docs/conventions.md)
GRIDS = {"dense and hashed, 2": (2, (3, 5, 9, 30)), "dense and hashed, 4": (4, (2, 6, 13, 40))}


def field_of(
    features: int = 2,
    resolutions: tuple[int, ...] = (3, 5, 9, 30),
    hidden: int = 24,
    contracted: bool = False,
    seed: int = 0,
) -> Field:
    chance = torch.Generator().manual_seed(seed)
    tables = torch.randn(len(resolutions), 512, features, generator=chance)
    inputs = features * len(resolutions)
    count = sum(map(math.prod, head_shapes(inputs, hidden)))
    weights = 0.4 * torch.randn(count, generator=chance)
    occupied = torch.rand(7, 7, 7, generator=chance) < 0.7
    space = Space((0.2, -0.1, 0.3), 1.5, contracted, occupied)
    return Field(HashEncoding(tables, resolutions), Heads(weights, inputs, hidden), space)


def rays_of(field: Field, count: int = 150, seed: int = 1) -> tuple[Tensor, ...]:
    """Rays from around, some of which miss the space, and their ends and offsets."""
    chance = torch.Generator().manual_seed(seed)
    rays_o = 3 * torch.nn.functional.normalize(torch.randn(count, 3, generator=chance), dim=1)
    aim = torch.tensor(field.space.center) + 0.9 * torch.randn(count, 3, generator=chance)
    rays_d = torch.nn.functional.normalize(aim - rays_o, dim=1)
    ends = ends_of(field.space, rays_o, rays_d, 0.1, 9.0)
    return rays_o, rays_d, ends, torch.rand(count, generator=chance)


def marching_of(field: Field) -> Marching:
    return Marching(0.11, 0.05 if field.space.contracted else 0.0, 70, 1e-3)


def rendered(field: Field, rays: tuple[Tensor, ...], tape: Tape | None = None) -> RayPictures:
    *where, offsets = (x.to(field.heads.weights.dtype) for x in rays)
    return render_rays(field, *where, marching_of(field), offsets=offsets, tape=tape)


def with_grads(field: Field) -> Field:
    encoding = replace(field.encoding, tables=field.encoding.tables.clone().requires_grad_(True))
    heads = replace(field.heads, weights=field.heads.weights.clone().requires_grad_(True))
    return replace(field, encoding=encoding, heads=heads)


def close(got: Tensor, wanted: Tensor) -> None:
    limit = TOLERANCE * float(wanted.detach().abs().max())
    assert limit > 0
    torch.testing.assert_close(got.double(), wanted.double(), atol=limit, rtol=0)


@pytest.mark.parametrize("contracted", [False, True])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_pictures_and_gradients_are_the_twins(
    grid: tuple[int, tuple[int, ...]], contracted: bool
) -> None:
    field = field_of(*grid, contracted=contracted)
    rays = rays_of(field)
    chance = torch.Generator().manual_seed(2)
    fast, plain = with_grads(field), with_grads(as_double(field))
    for_each = [rendered(fast, rays), rendered(plain, rays)]
    assert torch.equal(for_each[0].samples.long(), for_each[1].samples)
    assert 0 < int((for_each[0].samples == 0).sum()) < 100 or contracted
    weights = [torch.randn(x.shape, generator=chance) for x in for_each[0][:4]]
    for got, wanted in zip(*(found[:4] for found in for_each), strict=True):
        close(got, wanted)
    for found in for_each:
        terms = zip(found[:4], weights, strict=True)
        sum((x * w.to(x.dtype)).sum() for x, w in terms).backward()  # type: ignore[union-attr]
    for got, wanted in (
        (fast.encoding.tables, plain.encoding.tables),
        *zip(grad_parts(fast.heads), grad_parts(plain.heads), strict=True),
    ):
        got, wanted = (x if x.grad is None else x.grad for x in (got, wanted))
        close(got, wanted)


def grad_parts(heads: Heads) -> tuple[Tensor, ...]:
    assert heads.weights.grad is not None
    return Heads(heads.weights.grad, heads.inputs, heads.hidden).parts()


def test_the_twin_is_the_gradient_of_finite_differences() -> None:
    field = as_double(field_of(hidden=8))
    rays = rays_of(field, 12)
    chance = torch.Generator().manual_seed(3)
    weights = [torch.randn(12, *rest, generator=chance).double() for rest in ((3,), (), (), ())]

    def loss(tables: Tensor, heads: Tensor) -> Tensor:
        changed = replace(
            field,
            encoding=replace(field.encoding, tables=tables),
            heads=replace(field.heads, weights=heads),
        )
        found = rendered(changed, rays)
        return sum((x * w).sum() for x, w in zip(found[:4], weights, strict=True))  # type: ignore[return-value]

    tables = field.encoding.tables.clone().requires_grad_(True)
    heads = field.heads.weights.clone().requires_grad_(True)
    loss(tables, heads).backward()
    assert tables.grad is not None
    assert heads.grad is not None
    for k in range(4):
        towards = [torch.randn(x.shape, generator=chance).double() for x in (tables, heads)]
        towards[k % 2].zero_()
        step = 1e-6
        with torch.no_grad():
            ahead = loss(tables + step * towards[0], heads + step * towards[1])
            behind = loss(tables - step * towards[0], heads - step * towards[1])
        slope = float((ahead - behind) / (2 * step))
        wanted = float((tables.grad * towards[0]).sum() + (heads.grad * towards[1]).sum())
        assert slope == pytest.approx(wanted, rel=1e-5)


def test_the_same_bits_for_any_number_of_threads() -> None:
    field = with_grads(field_of())
    rays = rays_of(field, 700)
    before = _native.num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            _native.set_num_threads(threads)
            field.encoding.tables.grad = field.heads.weights.grad = None
            pictures = rendered(field, rays)
            (pictures.colors.square().sum() + pictures.distortions.sum()).backward()
            found.append((pictures.colors, field.encoding.tables.grad, field.heads.weights.grad))
    finally:
        _native.set_num_threads(before)
    for other in found[1:]:
        for got, wanted in zip(other, found[0], strict=True):
            assert torch.equal(got, wanted)


def test_one_full_sample_is_worth_its_colour() -> None:
    """A ray through one dense cell sees the colour that the networks give there, at its depth."""
    field = field_of()
    occupied = torch.zeros(7, 7, 7, dtype=torch.bool)
    occupied[4, 3, 2] = True  # z, y, x
    space = replace(field.space, occupied=occupied)
    parts = [part.clone() for part in field.heads.parts()]
    parts[3][0] = 40.0  # log densities above 11 count as 11
    weights = torch.cat([part.flatten() for part in parts])
    field = replace(field, space=space, heads=replace(field.heads, weights=weights))
    middle = (torch.tensor([2.5, 3.5, 4.5]) / 7 * 2 - 1) * 1.5 + torch.tensor(space.center)
    rays_d = torch.nn.functional.normalize(torch.tensor([[0.3, -0.2, 0.9]]), dim=1)
    rays_o = middle - 2.0 * rays_d
    ends = torch.tensor([[2.0, 2.05]])
    found = render_rays(field, rays_o, rays_d, ends, Marching(0.02), offsets=torch.zeros(1))
    features = encode_hash(field.encoding, into_cube(space, middle[None]))
    wanted = colors(field.heads, densities(field.heads, features), rays_d)
    assert found.samples.item() == 1
    torch.testing.assert_close(found.colors, wanted, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.opacities, torch.ones(1))
    torch.testing.assert_close(found.depths, torch.full((1,), 2.0))


def test_densities_are_the_twins_also_outside() -> None:
    field = field_of()
    points = 2.5 * torch.randn(333, 3, generator=torch.Generator().manual_seed(4))
    close(log_densities(field, points), log_densities(as_double(field), points.double()))


def test_ends_are_where_a_ray_meets_the_cube() -> None:
    space = field_of().space
    rays_o = torch.tensor([[0.2, -0.1, -5.0], [0.2, -0.1, 0.3], [9.0, 9.0, 9.0]])
    rays_d = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    ends = ends_of(space, rays_o, rays_d, 0.5, 100.0)
    torch.testing.assert_close(ends[:2], torch.tensor([[3.8, 6.8], [0.5, 1.5]]))
    assert ends[2, 0] == ends[2, 1]
    contracted = replace(space, contracted=True)
    assert ends_of(contracted, rays_o, rays_d, 0.5, 100.0).tolist() == [[0.5, 100.0]] * 3


def test_contraction_keeps_the_ball_and_holds_everything() -> None:
    space = replace(field_of().space, contracted=True)
    center = torch.tensor(space.center)
    near = center + torch.tensor([[0.3, -0.6, 0.9]])
    torch.testing.assert_close(into_cube(space, near), (near - center) / 1.5 / 4 + 0.5)
    far = center + torch.tensor([[3e5, 1e5, -2e5]])
    u = into_cube(space, far)
    assert float((u - 0.5).norm()) == pytest.approx(0.5, abs=1e-4)
    direction = torch.nn.functional.normalize(far - center, dim=1)
    torch.testing.assert_close(torch.nn.functional.normalize(u - 0.5, dim=1), direction)


def test_no_rays_no_samples_and_a_used_tape() -> None:
    field = with_grads(field_of())
    nothing = rendered(field, tuple(x[:0] for x in rays_of(field)))
    assert nothing.colors.shape == (0, 3)
    empty = torch.zeros(7, 7, 7, dtype=torch.bool)
    blind = replace(field, space=replace(field.space, occupied=empty))
    found = rendered(blind, rays_of(field))
    assert float(found.opacities.detach().abs().max()) == 0 == int(found.samples.max())
    found.colors.sum().backward()
    assert field.encoding.tables.grad is not None
    assert float(field.encoding.tables.grad.abs().max()) == 0
    tape = Tape()
    first = rendered(field, rays_of(field), tape)
    rendered(field, rays_of(field), tape)
    with pytest.raises(RuntimeError, match="later pass"):
        first.colors.sum().backward()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tables": torch.zeros(4, 500, 2)}, "power of two"),
        ({"resolutions": (3, 4)}, "resolutions must be 4"),
        ({"resolutions": (3, 4, 5, 0)}, "positive"),
    ],
)
def test_wrong_encodings_are_refused(change: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(field_of().encoding, **change)


def test_wrong_fields_are_refused() -> None:
    field = field_of()
    with pytest.raises(ValueError, match="multiples of 8"):
        Heads(field.heads.weights, 8, 12)
    with pytest.raises(ValueError, match="weights must be"):
        Heads(field.heads.weights[1:], 8, 24)
    with pytest.raises(ValueError, match="heads take 8"):
        Field(HashEncoding(torch.zeros(4, 512, 4), (3, 5, 9, 30)), field.heads, field.space)
    with pytest.raises(ValueError, match="radius"):
        replace(field.space, radius=math.nan)
    rays_o, rays_d, ends, offsets = rays_of(field)
    with pytest.raises(ValueError, match="rays_d"):
        render_rays(field, rays_o, rays_d[:5], ends, Marching(0.1), offsets=offsets)
