"""`march_planes`: pictures of many fields on three planes, each by its own rays."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tondo import _native
from tondo.checks import check_one_device, check_shape
from tondo.kernels.fields.tri_planes_torch import (
    DENSITY,
    EDGE,
    FIRST_RADIUS,
    SAMPLES,
    Planes,
    march_planes_torch,
)
from tondo.kernels.native import plain

FEATURES, MOST_HIDDEN = 8, 64  # what the native kernel is made for
QUADRATURE = (SAMPLES, DENSITY, FIRST_RADIUS, EDGE)


def march_planes(
    planes: Planes, rays_o: Tensor, rays_d: Tensor, shifts: Tensor
) -> tuple[Tensor, Tensor]:
    """Render B fields by P rays each; differentiable.

    The quadrature of Max 1995 (NeRF's equation 3) over `SAMPLES` places within the unit sphere.
    float32 on the CPU with 8 features takes the native path, unless rays need a gradient; it leaves
    a ray when 1e-5 of its light is left. Everything else takes the twin in torch.

    Args:
        planes: fields of B objects, maps [B, 3, C, R, R].
        rays_o: [B, 3] the cameras' centres, in the space of the fields.
        rays_d: [B, P, 3] directions whose length is that of camera z 1.
        shifts: [P] 0..1: of the first sample, in steps; no gradient.

    Returns:
        [B, P, 4] colour and camera z, summed by weight without a background, and [B, P] alphas.

    Raises:
        ValueError: shapes or devices that do not fit each other.
    """
    sizes = check_shape("planes.maps", planes.maps, "B 3 C R R")
    check_shape("planes.first", planes.first[0], "H C", sizes)
    check_shape("rays_o", rays_o, "B 3", sizes)
    check_shape("rays_d", rays_d, "B P 3", sizes)
    check_shape("shifts", shifts, "P", sizes)
    check_one_device(
        maps=planes.maps,
        first=planes.first[0],
        second=planes.second[0],
        rays_o=rays_o,
        rays_d=rays_d,
        shifts=shifts,
    )
    native = (
        planes.maps.device.type == "cpu"
        and planes.maps.dtype == torch.float32
        and planes.maps.shape[2] == FEATURES
        and len(planes.first[0]) <= MOST_HIDDEN
    )
    if not native or (torch.is_grad_enabled() and (rays_o.requires_grad or rays_d.requires_grad)):
        return march_planes_torch(planes, rays_o, rays_d, shifts)
    maps = planes.maps.permute(0, 1, 3, 4, 2)
    images, alphas = _March.apply(maps, *planes.first, *planes.second, rays_o, rays_d, shifts)
    return images, alphas


class _FlatPlanes(NamedTuple):
    """`Planes` as the native code takes them, channels last; or their gradients."""

    maps: Tensor
    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor


class _Sight(NamedTuple):
    """Rays, see `march_planes`."""

    origins: Tensor
    directions: Tensor
    shifts: Tensor


class _March(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        kept = plain(*inputs)
        planes, sight = _FlatPlanes(*kept[:5]), _Sight(*kept[5:])
        batch, rays = sight.directions.shape[:2]
        images, alphas = torch.empty(batch, rays, 4), torch.empty(batch, rays)
        _native.tri_planes_forward(planes, sight, QUADRATURE, images, alphas)
        ctx.save_for_backward(*kept)
        return images, alphas

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_images: Tensor, v_alphas: Tensor) -> tuple[Tensor | None, ...]:
        kept = ctx.saved_tensors
        planes, sight = _FlatPlanes(*kept[:5]), _Sight(*kept[5:])
        grads = _FlatPlanes(*map(torch.empty_like, planes))
        v_images, v_alphas = plain(v_images, v_alphas)
        _native.tri_planes_backward(planes, sight, QUADRATURE, v_images, v_alphas, grads)
        return (*grads, None, None, None)
