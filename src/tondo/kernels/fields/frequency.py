"""The first NeRF's networks and rays, in plain PyTorch for any device and dtype.

Nearly all of its work is products of large matrices, which run at the processor's own rate as they
are: there is no native kernel beside it.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.field import AnyField, FrequencyField, Space
from tondo.kernels.fields.rays_torch import blended, even_distances, into_cube

AT_ONCE = 1 << 16  # samples in memory together where no gradients are wanted: bounds memory
LEAST_WEIGHT = 1e-5  # of a part of a ray, so that none is never looked at; as NeRF's code


def half_products(field: AnyField) -> AbstractContextManager[object]:
    """Within it the layers of a `FrequencyField` multiply bfloat16 and add float32, where the
    processor has instructions for that and the weights are float32; elsewhere nothing changes."""
    on_cpu = isinstance(field, FrequencyField) and field.fine.device.type == "cpu"
    able = torch.cpu.get_capabilities() if on_cpu else {}
    wanted = any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
    return torch.autocast("cpu", torch.bfloat16, enabled=wanted)


def gamma(x: Tensor, count: int) -> Tensor:
    """[..., 6 L] of [..., 3] in -1..1: sin(2^k pi x), cos(2^k pi x), k = 0..L - 1, of each
    coordinate (Mildenhall et al. 2020, equation 4)."""
    octaves = math.pi * 2.0 ** torch.arange(count, dtype=x.dtype, device=x.device)
    angles = x[..., None] * octaves
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)


def network(
    field: FrequencyField, weights: Tensor, u: Tensor, directions: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Density per world unit [N] and colours [N, 3] sRGB 0..1 (None without directions).

    The density is softplus(x - 1) over the space's radius (Barron et al. 2021, Mip-NeRF, section
    3.1): with the max(0, x) of the first paper some trainings never begin.

    Args:
        weights: [W], the field's coarse or fine ones. u: [N, 3] in the unit cube.
        directions: [N, 3] unit length.
    """
    shape = field.shape
    sizes = shape.parts()
    parts = [
        part.view(size)
        for part, size in zip(weights.split([*map(math.prod, sizes)]), sizes, strict=True)
    ]
    layers = list(zip(parts[::2], parts[1::2], strict=True))
    place = gamma(2 * u - 1, shape.places)
    x = place
    for k, (matrix, added) in enumerate(layers[: shape.depth]):
        if k == shape.again:
            x = torch.cat([x, place], dim=1)
        x = F.linear(x, matrix, added).relu_()
    density = F.softplus(F.linear(x, *layers[-4])[:, 0].to(u.dtype) - 1) / field.space.radius
    if directions is None:
        return density, None
    both = [F.linear(x, *layers[-3]), gamma(directions, shape.directions)]
    x = F.linear(torch.cat(both, dim=1), *layers[-2]).relu_()
    return density, torch.sigmoid(F.linear(x, *layers[-1]).to(u.dtype))


def distances_at(space: Space, s: Tensor) -> Tensor:
    """The inverse of `field_torch.even_distances`."""
    return s * space.radius / (1 - s) if space.contracted else s * (2 * space.radius)


def looked_at(
    field: FrequencyField, weights: Tensor, rays: tuple[Tensor, Tensor], s: Tensor, last: Tensor
) -> tuple[Tensor, Tensor]:
    """What a network says of places along rays: weights [R, K] and colours [R, K, 3].

    Args:
        rays: origins and unit directions [R, 3].
        s: [R, K] even distances, growing. last: [R, 1] where the last part ends.
    """
    origins, directions = rays
    t = distances_at(field.space, s)
    span = torch.diff(t, dim=1, append=distances_at(field.space, last))
    points = origins[:, None] + directions[:, None] * t[..., None]
    u = into_cube(field.space, points).view(-1, 3)
    every = directions[:, None].expand_as(points).reshape(-1, 3)
    density, color = network(field, weights, u, every)
    assert color is not None
    optical = density.view_as(t) * span
    left = torch.exp(optical - optical.cumsum(dim=1))
    return left * -torch.expm1(-optical), color.view(*t.shape, 3)


def more_where(weights: Tensor, ends: Tensor, count: int, offsets: Tensor) -> Tensor:
    """[R, count] even distances, many where `weights` [R, K] of equal parts of a ray are large: the
    inverse of their sum (Mildenhall et al. 2020, section 5.2), at even steps from `offsets` [R]."""
    shares = weights.detach() + LEAST_WEIGHT
    upto = F.pad((shares / shares.sum(dim=1, keepdim=True)).cumsum(dim=1), (1, 0))
    places = torch.arange(count, dtype=upto.dtype, device=upto.device)
    wanted = (places + offsets[:, None]) / count
    part = (torch.searchsorted(upto, wanted, right=True) - 1).clamp(0, weights.shape[1] - 1)
    low, high = upto.gather(1, part), upto.gather(1, part + 1)
    within = (wanted - low) / (high - low).clamp_min(1e-12)
    share = (part + within.clamp(0, 1)) / weights.shape[1]
    return ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * share


def render_frequency(
    field: FrequencyField, rays_o: Tensor, rays_d: Tensor, ends: Tensor, offsets: Tensor
) -> tuple[Tensor, ...]:
    """Colours [R, 3], opacities, depths, distortions and numbers of samples [R] of the fine
    network, and colours and opacities of the coarse one. Arguments: `kernels.field.render_rays`.

    `offsets` say where in its part of the ray each sample is, the same for all parts of a ray.
    """
    most = max(1, AT_ONCE // (2 * field.shape.samples[0] + field.shape.samples[1]))
    if torch.is_grad_enabled() or len(rays_o) <= most:
        return _render(field, rays_o, rays_d, ends, offsets)
    pieces = zip(*(x.split(most) for x in (rays_o, rays_d, ends, offsets)), strict=True)
    found = [_render(field, *piece) for piece in pieces]
    return tuple(torch.cat(one) for one in zip(*found, strict=True))


def _render(
    field: FrequencyField, rays_o: Tensor, rays_d: Tensor, ends: Tensor, offsets: Tensor
) -> tuple[Tensor, ...]:
    space, rays = field.space, (rays_o, rays_d)
    first, more = field.shape.samples
    s_ends = even_distances(space, ends)
    places = torch.arange(first, dtype=ends.dtype, device=ends.device)
    share = (places + offsets[:, None]) / first
    s = s_ends[:, :1] + (s_ends[:, 1:] - s_ends[:, :1]) * share
    weights, color = looked_at(field, field.coarse, rays, s, s_ends[:, 1:])
    coarse = ((weights[..., None] * color).sum(dim=1), weights.sum(dim=1))
    s = torch.cat([s, more_where(weights, s_ends, more, offsets)], dim=1).sort(dim=1).values
    weights, color = looked_at(field, field.fine, rays, s, s_ends[:, 1:])
    length = torch.diff(s, dim=1, append=s_ends[:, 1:])
    met = (ends[:, 1] > ends[:, 0]).to(torch.int32)
    fine = blended(weights, color, distances_at(space, s), s, length)
    return (*fine, met * (2 * first + more), *coarse)


@torch.no_grad()
def log_density(field: FrequencyField, points: Tensor) -> Tensor:
    """[N] natural logarithm of the fine network's density per world unit at world points [N, 3]."""
    u = into_cube(field.space, points).clamp(0, 1)
    found = [network(field, field.fine, some, None)[0] for some in u.split(AT_ONCE)]
    return torch.cat(found).clamp_min(1e-30).log()
