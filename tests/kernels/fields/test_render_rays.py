"""Rays through a radiance field: the native operation against its twin, the twin against finite
differences."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tondo import _native
from tondo.data.field import (
    DctEncoding,
    Field,
    HashEncoding,
    Heads,
    Marching,
    Space,
    arrays_of,
    head_shapes,
    with_arrays,
)
from tondo.kernels.fields.rays import (
    RayPictures,
    Tape,
    ends_of,
    log_densities,
    render_rays,
)
from tondo.kernels.fields.rays_torch import colors, densities, expanded, features_of, into_cube

TOLERANCE = 1e-4  # relative to the largest value (docs/conventions.md)


def hashed(features: int, resolutions: tuple[int, ...]) -> HashEncoding:
    rng = torch.Generator().manual_seed(5)
    return HashEncoding(torch.randn(len(resolutions), 512, features, generator=rng), resolutions)


def of_cosines(frequencies: int, features: int, cells: int, band: float = math.inf) -> DctEncoding:
    rng = torch.Generator().manual_seed(6)
    planes = torch.randn(3, frequencies, frequencies, features, generator=rng) / frequencies
    lines = torch.randn(3, frequencies, features, generator=rng) / frequencies**0.5
    return DctEncoding(planes, lines, cells, band)


# of levels some are dense, some hashed
ENCODINGS = {
    "hash, 2": hashed(2, (3, 5, 9, 30)),
    "hash, 4": hashed(4, (2, 6, 13, 40)),
    "cosines": of_cosines(7, 16, 11),
    "cosines in a band": of_cosines(5, 8, 9, 3.5),
}


def as_double(field: Field) -> Field:
    """The same field in float64, which only the twin takes."""
    wide = with_arrays(field, {name: x.double() for name, x in arrays_of(field).items()})
    assert isinstance(wide, Field)
    return wide


def field_of(
    encoding: HashEncoding | DctEncoding = ENCODINGS["hash, 2"],
    hidden: int = 24,
    contracted: bool = False,
    seed: int = 0,
) -> Field:
    rng = torch.Generator().manual_seed(seed)
    count = sum(map(math.prod, head_shapes(encoding.width, hidden)))
    weights = 0.4 * torch.randn(count, generator=rng)
    parts = Heads(weights, encoding.width, hidden).parts()
    for bias in (parts[1], parts[5]):
        bias.add_(bias.sign() * 2)  # few sums near 0, where rounding decides whether they count
    parts[2][0] *= 0.3  # densities that rays go through
    here = torch.rand(7, 7, 7, generator=rng) < 0.7
    occupied = here * torch.randint(1, 4, (7, 7, 7), generator=rng, dtype=torch.uint8)
    space = Space((0.2, -0.1, 0.3), 1.5, contracted, occupied)
    return Field(encoding, Heads(weights, encoding.width, hidden), space)


def rays_of(field: Field, count: int = 150, seed: int = 1) -> tuple[Tensor, ...]:
    """Rays from around, some of which miss the space, and their ends and offsets."""
    rng = torch.Generator().manual_seed(seed)
    rays_o = 3 * torch.nn.functional.normalize(torch.randn(count, 3, generator=rng), dim=1)
    aim = torch.tensor(field.space.center) + 0.9 * torch.randn(count, 3, generator=rng)
    rays_d = torch.nn.functional.normalize(aim - rays_o, dim=1)
    ends = ends_of(field.space, rays_o, rays_d, 0.1, 9.0)
    return rays_o, rays_d, ends, torch.rand(count, generator=rng)


def marching_of(field: Field) -> Marching:
    return Marching(0.11, 0.05 if field.space.contracted else 0.0, 70, 1e-3)


def rendered(field: Field, rays: tuple[Tensor, ...], tape: Tape | None = None) -> RayPictures:
    *where, offsets = (x.to(field.heads.weights.dtype) for x in rays)
    return render_rays(field, *where, marching_of(field), offsets=offsets, tape=tape)


def with_grads(field: Field) -> Field:
    learned = {name: x.clone().requires_grad_(True) for name, x in arrays_of(field).items()}
    return with_arrays(field, learned)


def grads(field: Field) -> list[Tensor]:
    """Of all arrays, the weights' part by part."""
    *own, weights = [x.grad for x in arrays_of(field).values() if x.grad is not None]
    return [*own, *replace(field.heads, weights=weights).parts()]


def close(got: Tensor, wanted: Tensor) -> None:
    limit = TOLERANCE * float(wanted.detach().abs().max())
    assert limit > 0
    torch.testing.assert_close(got.double(), wanted.double(), atol=limit, rtol=0)


@pytest.mark.parametrize("contracted", [False, True])
@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_pictures_and_gradients_are_the_twins(
    encoding: HashEncoding | DctEncoding, contracted: bool
) -> None:
    field = field_of(encoding, contracted=contracted)
    rays = rays_of(field, 60)
    rng = torch.Generator().manual_seed(2)
    fast, plain = with_grads(field), with_grads(as_double(field))
    for_each = [rendered(fast, rays), rendered(plain, rays)]
    assert torch.equal(for_each[0].samples.long(), for_each[1].samples)
    assert 0 < int((for_each[0].samples == 0).sum()) < 40 or contracted
    weights = [torch.randn(x.shape, generator=rng) for x in for_each[0][:4]]
    for got, wanted in zip(*(found[:4] for found in for_each), strict=True):
        close(got, wanted)
    for found in for_each:
        terms = zip(found[:4], weights, strict=True)
        sum((x * w.to(x.dtype)).sum() for x, w in terms).backward()  # type: ignore[union-attr]
    for got, wanted in zip(grads(fast), grads(plain), strict=True):
        close(got, wanted)


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_the_twin_is_the_gradient_of_finite_differences(
    encoding: HashEncoding | DctEncoding,
) -> None:
    field = as_double(field_of(encoding, hidden=8))
    rays = rays_of(field, 12)
    rng = torch.Generator().manual_seed(3)
    weights = [torch.randn(12, *rest, generator=rng).double() for rest in ((3,), (), (), ())]

    def loss(values: dict[str, Tensor]) -> Tensor:
        found = rendered(with_arrays(field, values), rays)[:4]
        return sum((x * w).sum() for x, w in zip(found, weights, strict=True))  # type: ignore[return-value]

    values = arrays_of(with_grads(field))
    loss(values).backward()
    for name, value in values.items():
        for _ in range(2):
            towards, step = torch.randn(value.shape, generator=rng).double(), 1e-6
            with torch.no_grad():
                ahead = loss({**values, name: value + step * towards})
                behind = loss({**values, name: value - step * towards})
            assert value.grad is not None
            wanted = float((value.grad * towards).sum())
            assert float((ahead - behind) / (2 * step)) == pytest.approx(wanted, rel=1e-5), name


def test_planes_are_sums_of_cosines_below_the_band() -> None:
    encoding = of_cosines(4, 8, 32)
    planes, lines = expanded(encoding)
    u = (torch.arange(32) + 0.5) / 32
    basis = torch.stack(
        [torch.ones(32), *(2**0.5 * torch.cos(torch.pi * k * u) for k in (1, 2, 3))]
    )
    wanted = torch.einsum("ki,klc,lj->ijc", basis, encoding.planes[1], basis)
    torch.testing.assert_close(planes[1], wanted, atol=1e-5, rtol=0)
    torch.testing.assert_close(lines[2], basis.T @ encoding.lines[2], atol=1e-5, rtol=0)
    limited, _ = expanded(replace(encoding, band=2.3))
    back = torch.einsum("ki,aijc,lj->aklc", basis, limited, basis) / 32**2
    k = torch.arange(4.0)
    above = (k[:, None].square() + k.square()).sqrt() > 2.3
    assert float(back[:, above].abs().max()) < 1e-6
    torch.testing.assert_close(back[:, ~above], encoding.planes[:, ~above], atol=1e-5, rtol=0)


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_the_same_bits_for_any_number_of_threads(encoding: HashEncoding | DctEncoding) -> None:
    field = with_grads(field_of(encoding))
    rays = rays_of(field, 700)
    before = _native.num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            _native.set_num_threads(threads)
            for one in arrays_of(field).values():
                one.grad = None
            pictures = rendered(field, rays)
            (pictures.colors.square().sum() + pictures.distortions.sum()).backward()
            found.append([pictures.colors, *grads(field)])
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
    parts[3][0] = 40.0  # far above the bound
    weights = torch.cat([part.flatten() for part in parts])
    field = replace(field, space=space, heads=replace(field.heads, weights=weights))
    middle = (torch.tensor([2.5, 3.5, 4.5]) / 7 * 2 - 1) * 1.5 + torch.tensor(space.center)
    rays_d = torch.nn.functional.normalize(torch.tensor([[0.3, -0.2, 0.9]]), dim=1)
    rays_o = middle - 2.0 * rays_d
    ends = torch.tensor([[2.0, 2.05]])
    found = render_rays(field, rays_o, rays_d, ends, Marching(0.02), offsets=torch.zeros(1))
    features = features_of(field.encoding, into_cube(space, middle[None]))
    wanted = colors(field.heads, densities(field.heads, features), rays_d)
    assert found.samples.item() == 1
    torch.testing.assert_close(found.colors, wanted, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.opacities, torch.ones(1))
    torch.testing.assert_close(found.depths, torch.full((1,), 2.0))


def test_densities_above_the_bound_count_as_it_and_can_come_back() -> None:
    """In steps so short that light comes through: pictures and gradients are the twin's, which are
    those of a density at the bound."""
    field = field_of()
    for shift, above in ((0.0, False), (30.0, True)):
        parts = [part.clone() for part in field.heads.parts()]
        parts[2][0] = 0
        parts[3][0] = 11 + shift
        weights = torch.cat([part.flatten() for part in parts])
        dense = replace(field, heads=replace(field.heads, weights=weights))
        dense = replace(dense, space=replace(dense.space, occupied=torch.ones(7, 7, 7).byte()))
        rays_d = torch.nn.functional.normalize(torch.tensor([[0.3, -0.2, 0.9]]), dim=1)
        ends = torch.tensor([[0.0, 6e-5]])
        fast, plain = with_grads(dense), with_grads(as_double(dense))
        found = []
        for one in (fast, plain):
            dtype = one.heads.weights.dtype
            rays = (torch.tensor([field.space.center]), rays_d, ends, torch.zeros(1))
            pictures = render_rays(
                one, *(x.to(dtype) for x in rays[:3]), Marching(2e-5), offsets=rays[3].to(dtype)
            )
            pictures.opacities.sum().backward()
            found.append(pictures.opacities.detach())
        close(*found)
        optical = math.exp(11) / field.space.radius * 6e-5
        assert float(found[1]) == pytest.approx(-math.expm1(-optical), rel=1e-3)
        for got, wanted in zip(grads(fast), grads(plain), strict=True):
            if float(wanted.abs().max()) > 0:
                close(got, wanted)
        bias = float(grads(plain)[4][0])
        assert bias == pytest.approx(optical * math.exp(-optical), rel=1e-3), above


def test_a_longer_stride_takes_fewer_samples_of_the_same_fog() -> None:
    field = field_of()
    parts = [torch.zeros_like(part) for part in field.heads.parts()]
    parts[3][0] = math.log(0.2 * field.space.radius)  # everywhere, 0.2 a world unit
    heads = replace(field.heads, weights=torch.cat([part.flatten() for part in parts]))
    spaces = [
        replace(field.space, occupied=torch.full((7, 7, 7), n, dtype=torch.uint8)) for n in (1, 3)
    ]
    rays_o, rays_d, ends, offsets = rays_of(field)
    one, three = (
        render_rays(
            replace(field, heads=heads, space=space),
            rays_o,
            rays_d,
            ends,
            Marching(0.01),
            offsets=offsets,
        )
        for space in spaces
    )
    assert int(one.samples.sum()) > 2.8 * int(three.samples.sum()) > 0
    through = torch.exp(-0.2 * (ends[:, 1] - ends[:, 0]))
    torch.testing.assert_close(three.opacities, 1 - through, atol=0.005, rtol=0)
    torch.testing.assert_close(three.depths, one.depths, atol=0.02, rtol=0)


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
    wide = rendered(as_double(field), tuple(x[:0] for x in rays_of(field)))
    assert wide.colors.shape == (0, 3)
    empty = torch.zeros(7, 7, 7, dtype=torch.bool)
    blind = replace(field, space=replace(field.space, occupied=empty))
    found = rendered(blind, rays_of(field))
    assert float(found.opacities.detach().abs().max()) == 0 == int(found.samples.max())
    found.colors.sum().backward()
    assert all(float(one.abs().max()) == 0 for one in grads(field))
    tape = Tape()
    first = rendered(field, rays_of(field), tape)
    rendered(field, rays_of(field), tape)
    with pytest.raises(RuntimeError, match="later pass"):
        first.colors.sum().backward()


@pytest.mark.parametrize("kind", ENCODINGS)
def test_a_used_tapes_gradients_are_those_of_a_new_one(kind: str) -> None:
    """Its memory holds the gradients of the pass before, some of them where the next has none."""
    field, other = (with_grads(field_of(ENCODINGS[kind], seed=seed)) for seed in (0, 3))
    tape = Tape()
    rays, few = rays_of(field), rays_of(field, 9, seed=4)

    def gradients(of: Field, where: tuple[Tensor, ...], by: Tape) -> list[Tensor]:
        found = rendered(of, where, by)
        seen = found.colors.sum() + found.depths.square().sum() + found.distortions.sum()
        return [x.clone() for x in torch.autograd.grad(seen, list(arrays_of(of).values()))]

    gradients(other, rays, tape)
    again = gradients(field, few, tape)
    for got, wanted in zip(again, gradients(field, few, Tape()), strict=True):
        assert bool((wanted == 0).any()) or kind.startswith("cosines")
        assert float(wanted.abs().max()) > 0
        torch.testing.assert_close(got, wanted, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("hash, 2", {"tables": torch.zeros(4, 500, 2)}, "power of two"),
        ("hash, 2", {"tables": torch.zeros(4, 512, 3)}, "2 or 4 features"),
        ("hash, 2", {"resolutions": (3, 4)}, "resolutions must be 4"),
        ("hash, 2", {"resolutions": (3, 4, 5, 0)}, "positive"),
        ("cosines", {"cells": 6}, "cells must be from the 7"),
        ("cosines", {"band": 0.0}, "band above 0"),
        ("cosines", {"lines": torch.zeros(3, 6, 16)}, "lines must be"),
    ],
)
def test_wrong_encodings_are_refused(kind: str, change: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(ENCODINGS[kind], **change)


def test_wrong_fields_are_refused() -> None:
    field = field_of()
    with pytest.raises(ValueError, match="multiples of 8"):
        Heads(field.heads.weights, 8, 12)
    with pytest.raises(ValueError, match="weights must be"):
        Heads(field.heads.weights[1:], 8, 24)
    with pytest.raises(ValueError, match="heads take 8"):
        Field(ENCODINGS["hash, 4"], field.heads, field.space)
    with pytest.raises(ValueError, match="radius"):
        replace(field.space, radius=math.nan)
    rays_o, rays_d, ends, offsets = rays_of(field)
    with pytest.raises(ValueError, match="rays_d"):
        render_rays(field, rays_o, rays_d[:5], ends, Marching(0.1), offsets=offsets)
