"""Rays through radiance fields in plain PyTorch, for any device and dtype: the definition."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tondo.data.field import (
    GEOMETRY,
    DctEncoding,
    Field,
    HashEncoding,
    Heads,
    Marching,
    Space,
    in_band,
)
from tondo.geometry.spherical_harmonics import harmonics_basis

PRIMES = (1, 2654435761, 805459861)  # Mueller et al. 2022 (Instant NGP), equation 4
MOST_LOG = 11.0  # log densities above count as this; keeps gradients finite; chosen


def into_cube(space: Space, points: Tensor) -> Tensor:
    """World points [..., 3] to the unit cube."""
    y = (points - points.new_tensor(space.center)) / space.radius
    if not space.contracted:
        return 0.5 * y + 0.5
    norm = y.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    return torch.where(norm > 1, (2 - 1 / norm) / norm, 1.0) * y * 0.25 + 0.5


def encode_hash(encoding: HashEncoding, u: Tensor) -> Tensor:
    """Features [N, L * F] of points [N, 3] of the unit cube: on each level those of a cell's
    corners, interpolated trilinearly. A level whose vertices all fit its table is indexed, others
    are hashed: the exclusive or of the coordinates times `PRIMES`, modulo T."""
    count = encoding.tables.shape[1]
    found = []
    for table, cells in zip(encoding.tables, encoding.resolutions, strict=True):
        scaled = u.clamp(0, 1) * cells
        first = scaled.floor().clamp_max(cells - 1)
        into = scaled - first
        vertex = first.long()
        total = table.new_zeros(len(u), table.shape[1])
        for corner in range(8):
            shift = torch.tensor([corner & 1, corner >> 1 & 1, corner >> 2], device=u.device)
            at = _row(vertex + shift, cells, count)
            weight = torch.where(shift.bool(), into, 1 - into).prod(dim=1)
            total = total + weight[:, None] * table[at]
        found.append(total)
    return torch.cat(found, dim=1)


def _row(vertex: Tensor, cells: int, count: int) -> Tensor:
    x, y, z = vertex.unbind(1)
    side = cells + 1
    if side**3 <= count:
        return x + side * (y + side * z)
    return (x ^ (y * PRIMES[1]) ^ (z * PRIMES[2])) & (count - 1)


def expanded(encoding: DctEncoding) -> tuple[Tensor, Tensor]:
    """Planes [3, R, R, C] and lines [3, R, C] at the nodes u = (i + 1/2) / R; differentiable."""
    planes, lines = in_band(encoding)
    k = torch.arange(lines.shape[1], dtype=lines.dtype, device=lines.device)
    nodes = torch.arange(encoding.cells, dtype=lines.dtype, device=lines.device) + 0.5
    cosines = torch.cos(torch.pi / encoding.cells * nodes[:, None] * k)
    cosines = torch.cat([cosines[:, :1], 2**0.5 * cosines[:, 1:]], dim=1)  # [R, K]
    rows = torch.einsum("ik,aklc->ailc", cosines, planes)
    return torch.einsum("jl,ailc->aijc", cosines, rows), torch.einsum("ik,akc->aic", cosines, lines)


def encode_planes(planes: Tensor, lines: Tensor, u: Tensor) -> Tensor:
    """Features [N, 3 C] of points [N, 3] of the unit cube: plane times line of each axis, linearly
    between nodes, at the border the border's own."""
    cells = lines.shape[1]
    x = (u * cells - 0.5).clamp(0, cells - 1)
    first = x.floor().clamp(0, max(cells - 2, 0))
    share = x - first
    low = first.long()
    high = (low + 1).clamp_max(cells - 1)
    found = []
    for axis, (across, down) in enumerate(((1, 2), (0, 2), (0, 1))):
        a, d, s = share[:, across, None], share[:, down, None], share[:, axis, None]
        plane, line = planes[axis], lines[axis]
        upper = (1 - a) * plane[low[:, down], low[:, across]]
        upper = upper + a * plane[low[:, down], high[:, across]]
        lower = (1 - a) * plane[high[:, down], low[:, across]]
        lower = lower + a * plane[high[:, down], high[:, across]]
        on_line = (1 - s) * line[low[:, axis]] + s * line[high[:, axis]]
        found.append(((1 - d) * upper + d * lower) * on_line)
    return torch.cat(found, dim=1)


def features_of(encoding: HashEncoding | DctEncoding, u: Tensor) -> Tensor:
    """Features [N, E] of points [N, 3] of the unit cube."""
    if isinstance(encoding, HashEncoding):
        return encode_hash(encoding, u)
    return encode_planes(*expanded(encoding), u)


def densities(heads: Heads, features: Tensor) -> Tensor:
    """[N, 16] of features [N, E]: log density per radius of the space, and what the colour network
    is told."""
    w1, b1, w2, b2, *_ = heads.parts()
    return (features @ w1.T + b1).relu() @ w2.T + b2


def sigmas_of(space: Space, log_densities: Tensor) -> Tensor:
    """Densities per world unit of log densities per radius of the space, so that nothing depends on
    the world's unit; none above exp(`MOST_LOG`) per radius. Gradients are those of exp at the
    capped value, so that what is above may come back."""
    capped = log_densities + (log_densities.clamp_max(MOST_LOG) - log_densities).detach()
    return capped.exp() / space.radius


def colors(heads: Heads, geometry: Tensor, directions: Tensor) -> Tensor:
    """[N, 3] sRGB 0..1 of what `densities` gave, seen along unit directions [N, 3]."""
    *_, w3, b3, w4, b4 = heads.parts()
    both = torch.cat([geometry, harmonics_basis(3, directions)], dim=1)
    return torch.sigmoid((both @ w3.T + b3).relu() @ w4.T + b4)


def even_distances(space: Space, t: Tensor) -> Tensor:
    """Distances as the distortion measures them: in diameters of a bounded space, otherwise
    t / (t + radius)."""
    return t / (t + space.radius) if space.contracted else t / (2 * space.radius)


def samples_of(
    space: Space, rays_o: Tensor, rays_d: Tensor, ends: Tensor, offsets: Tensor, marching: Marching
) -> tuple[Tensor, Tensor, Tensor]:
    """Distances [R, K], lengths [R, K] and which of them count: within the ray's ends, in cells
    that may hold something. A sample lies at its ray's offset within its step. Where that is in a
    cell of a longer stride, steps are taken together, so many at most, as long as the next one lies
    in a cell of such a stride, too."""
    steps, end = space.steps().to(ends.device), ends[:, 1]
    begin, taken = ends[:, 0], torch.zeros_like(ends[:, 0], dtype=torch.long)
    ts, spans, found = [], [], []

    def look(begin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where a step ends, the stride of its sample, and whether the ray goes so far."""
        span = (marching.cone * begin).clamp_min(marching.step)
        t = begin + offsets * span
        return begin + span, _stride_at(space, steps, rays_o + rays_d * t[:, None]), t < end

    for _ in range(marching.max_steps):
        after, stride, within = look(begin)
        within, taken = within & (taken < marching.max_steps), taken + 1
        further = stride > 1
        for k in range(1, max(stride.tolist(), default=0)):
            beyond, there, inside = look(after)
            further = further & (k < stride) & (there >= stride) & inside
            further = further & (taken < marching.max_steps)
            after, taken = torch.where(further, beyond, after), taken + further
        span = after - begin
        ts.append(begin + offsets * span)
        spans.append(span)
        found.append((stride > 0) & within)
        begin = after
        if not bool(within.any()):
            break
    return torch.stack(ts, dim=1), torch.stack(spans, dim=1), torch.stack(found, dim=1)


def _stride_at(space: Space, steps: Tensor, points: Tensor) -> Tensor:
    """[R] of world points [R, 3]; 0 outside the space."""
    u = into_cube(space, points)
    cells = len(steps)
    x, y, z = (u * cells).long().clamp(0, cells - 1).unbind(-1)
    inside = ((u >= 0) & (u < 1)).all(dim=-1)
    return torch.where(inside, steps[z, y, x], 0)


def render_rays_torch(
    field: Field,
    rays_o: Tensor,
    rays_d: Tensor,
    ends: Tensor,
    offsets: Tensor,
    marching: Marching,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Colours [R, 3], opacities, depths, distortions and numbers of samples [R].

    Mildenhall et al. 2020, equation 3: w_i = T_i (1 - exp(-sigma_i d_i)), T_i the product of
    exp(-sigma_j d_j) over the samples before. Samples with T_i below `marching.stop` do not count.
    Distortion: Barron et al. 2022, equation 15, over `even_distances`.
    """
    space = field.space
    t, span, counts = samples_of(space, rays_o, rays_d, ends, offsets, marching)
    ray, k = counts.nonzero(as_tuple=True)
    points = rays_o[ray] + rays_d[ray] * t[ray, k][:, None]
    geometry = densities(field.heads, features_of(field.encoding, into_cube(space, points)))
    assert geometry.shape[1] == GEOMETRY
    color = colors(field.heads, geometry, rays_d[ray])
    sigma = sigmas_of(space, geometry[:, 0])
    optical = torch.zeros_like(t).index_put((ray, k), sigma * span[ray, k])
    left = torch.exp(-(optical.cumsum(dim=1) - optical))
    weights = torch.where(left >= marching.stop, left * -torch.expm1(-optical), 0.0)
    every = torch.zeros(*t.shape, 3, dtype=t.dtype, device=t.device).index_put((ray, k), color)
    s = even_distances(space, t)
    length = even_distances(space, t + 0.5 * span) - even_distances(space, t - 0.5 * span)
    samples = (counts & (left >= marching.stop)).sum(dim=1)
    return (*blended(weights, every, t, s, length), samples)


def blended(
    weights: Tensor, colors: Tensor, t: Tensor, s: Tensor, length: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Colours [R, 3], opacities, depths and distortions [R] of samples [R, S] with `weights`, at
    distances `t` and even distances `s`, each for a `length` of these.

    The distortion is that of Barron et al. 2022 (mip-NeRF 360, equation 15).
    """
    before, before_s = weights.cumsum(dim=1) - weights, (weights * s).cumsum(dim=1) - weights * s
    distortion = 2 * weights * (s * before - before_s) + weights.square() * length / 3
    color = (weights[..., None] * colors).sum(dim=1)
    return color, weights.sum(dim=1), (weights * t).sum(dim=1), distortion.sum(dim=1)


@torch.no_grad()
def log_densities_torch(field: Field, points: Tensor) -> Tensor:
    """`log_densities`."""
    u = into_cube(field.space, points)
    found = densities(field.heads, features_of(field.encoding, u))[:, 0]
    return found - math.log(field.space.radius)
