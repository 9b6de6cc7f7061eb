"""Radiance fields and fields on three planes on a GPU."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import chain

import pytest
import torch
from torch import Tensor

import kernels.fields.test_tri_planes as planar
from kernels.fields.test_frequency import SPACE, small_field, small_rays
from kernels.fields.test_render_rays import (
    ENCODINGS,
    as_double,
    field_of,
    grads,
    marching_of,
    rays_of,
    rendered,
    with_grads,
)
from tondo.data.field import (
    AnyField,
    DctEncoding,
    Field,
    FrequencyField,
    HashEncoding,
    Marching,
    arrays_of,
    with_arrays,
)
from tondo.kernels.fields.rays import ends_of, log_densities, render_rays
from tondo.kernels.fields.tri_planes import march_planes
from tondo.kernels.fields.tri_planes_torch import Planes, march_planes_torch

TOLERANCE = 1e-4  # relative to the largest value (docs/conventions.md)


def moved(field: AnyField, device: torch.device) -> AnyField:
    """Everything but the occupancy, which may stay where it is."""
    return with_arrays(field, {name: x.to(device) for name, x in arrays_of(field).items()})


def close(got: Tensor, wanted: Tensor) -> None:
    limit = TOLERANCE * float(wanted.detach().abs().max())
    assert limit > 0
    torch.testing.assert_close(got.cpu().double(), wanted.double(), atol=limit, rtol=0)


@pytest.mark.parametrize("contracted", [False, True])
@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_rays_and_gradients(
    cuda: torch.device, encoding: HashEncoding | DctEncoding, contracted: bool
) -> None:
    field = field_of(encoding, contracted=contracted)
    rays = rays_of(field, 60)
    there, here = with_grads(moved(field, cuda)), with_grads(as_double(field))  # type: ignore[arg-type]
    rng = torch.Generator().manual_seed(2)
    found, wanted = rendered(there, tuple(x.to(cuda) for x in rays)), rendered(here, rays)
    assert found.colors.device == cuda
    assert torch.equal(found.samples.cpu(), wanted.samples)
    totals = [torch.zeros(()), torch.zeros(())]
    for one, other in zip(found[:4], wanted[:4], strict=True):
        close(one, other)  # type: ignore[arg-type]
        weight = torch.randn(other.shape, generator=rng)  # type: ignore[union-attr]
        totals = [t + (x.cpu() * weight).sum() for t, x in zip(totals, (one, other), strict=True)]  # type: ignore[union-attr]
    for total in totals:
        total.backward()
    for one, other in zip(grads(there), grads(here), strict=True):
        close(one, other)


def test_the_occupancy_may_be_anywhere(cuda: torch.device) -> None:
    field = field_of()
    rays = rays_of(field, 60)
    wanted = rendered(field, rays).colors
    arrays = {name: x.to(cuda) for name, x in vars(field.space).items() if isinstance(x, Tensor)}
    there = replace(field, space=replace(field.space, **arrays))
    close(rendered(there, rays).colors, wanted)
    rays = tuple(x.to(cuda) for x in rays)
    for one in (field, there):
        close(rendered(moved(one, cuda), rays).colors, wanted)  # type: ignore[arg-type]


def test_densities(cuda: torch.device) -> None:
    points = 2.5 * torch.randn(333, 3, generator=torch.Generator().manual_seed(4))
    for field in (field_of(), field_of(ENCODINGS["cosines"]), small_field()):
        found = log_densities(moved(field, cuda), points.to(cuda))
        close(found, log_densities(field, points))


@pytest.mark.parametrize("contracted", [False, True])
def test_ends(cuda: torch.device, contracted: bool) -> None:
    field = field_of(contracted=contracted)
    rays_o, rays_d, ends, _ = rays_of(field)
    found = ends_of(field.space, rays_o.to(cuda), rays_d.to(cuda), 0.1, 9.0)
    torch.testing.assert_close(found.cpu(), ends)


def test_the_first_nerfs_rays_and_gradients(cuda: torch.device) -> None:
    rays_o, rays_d, offsets = small_rays()
    ends = ends_of(SPACE, rays_o, rays_d, 0.1, math.inf)
    fields = [with_grads(f) for f in (moved(small_field(), cuda), small_field(torch.float64))]  # type: ignore[arg-type]
    seen = []
    for field, rays in zip(
        fields,
        [[x.to(cuda) for x in (rays_o, rays_d, ends, offsets)],
         [x.double() for x in (rays_o, rays_d, ends, offsets)]],
        strict=True,
    ):  # fmt: skip
        found = render_rays(field, *rays[:3], Marching(1.0), offsets=rays[3])
        assert found.coarse is not None
        seen.append([*found[:4], *found.coarse])
        sum((k + 1) * x.cpu().sum() for k, x in enumerate(seen[-1])).backward()  # type: ignore[union-attr]
    for one, other in zip(*seen, strict=True):
        close(one, other)
    for one, other in zip(*(arrays_of(field).values() for field in fields), strict=True):
        close(one.grad, other.grad)  # type: ignore[arg-type]


def test_fields_and_rays_on_two_devices_are_refused(cuda: torch.device) -> None:
    field = field_of()
    rays = rays_of(field, 5)
    there = tuple(x.to(cuda) for x in rays)
    fields: tuple[Field | FrequencyField, ...] = (field, small_field())
    for one in fields:
        for which, where in ((one, there), (moved(one, cuda), rays)):
            with pytest.raises(ValueError, match="on one device"):
                render_rays(which, *where[:3], marching_of(field), offsets=where[3])
            with pytest.raises(ValueError, match="on one device"):
                log_densities(which, where[0])


def planes_on(device: torch.device, planes: Planes) -> Planes:
    first, second = (tuple(x.to(device) for x in pair) for pair in planes[1:])
    return Planes(planes.maps.to(device), first, second)  # type: ignore[arg-type]


@pytest.mark.parametrize("features", [8, 5])
def test_fields_on_three_planes(cuda: torch.device, features: int) -> None:
    planes, sight = planar.fields(features), planar.rays()
    there = planes_on(cuda, planes)
    judged = planar.clear(*sight[:2])
    leaves = [[p.maps, *p.first, *p.second] for p in (there, planes)]
    for leaf in chain(*leaves):
        leaf.requires_grad_()
    images, alphas = march_planes(there, *(x.to(cuda) for x in sight))
    wanted, covered = march_planes_torch(planes, *sight)
    assert images.device == cuda
    close(images[judged.to(cuda)], wanted[judged])
    close(alphas[judged.to(cuda)], covered[judged])
    weight = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(5))
    weight = weight * judged[..., None]
    (images.cpu() * weight).sum().backward()
    (wanted * weight).sum().backward()
    for one, other in zip(*leaves, strict=True):
        close(one.grad, other.grad)  # type: ignore[arg-type]


def test_planes_and_rays_on_two_devices_are_refused(cuda: torch.device) -> None:
    planes, (rays_o, *rest) = planar.fields(), planar.rays()
    with pytest.raises(ValueError, match="rays_o is on cuda:0, maps on cpu"):
        march_planes(planes, rays_o.to(cuda), *rest)
    with pytest.raises(ValueError, match="on one device"):
        march_planes(planes_on(cuda, planes), rays_o, *rest)
