"""`render_rays`: rays through a radiance field, forwards and backwards in one native operation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tondo import _native
from tondo.checks import check_shape
from tondo.data.field import Field, HashEncoding, Heads, Marching, Space
from tondo.kernels.field_torch import densities, encode_hash, into_cube, render_rays_torch


class RayPictures(NamedTuple):
    """What rays see.

    Attributes:
        colors: [R, 3] sRGB summed by weight, no background.
        opacities: [R] 0..1.
        depths: [R] distance along the ray summed by weight, world units; divide by `opacities` for
            the mean.
        distortions: [R] how far apart along its ray the weight lies, 0 for one place.
        samples: [R] int32, at how many places something was added, 0 or more.
    """

    colors: Tensor
    opacities: Tensor
    depths: Tensor
    distortions: Tensor
    samples: Tensor


class Tape:
    """Memory for the samples of one pass with gradients, to be used again by the next."""

    def __init__(self) -> None:
        self.native = _native.FieldRays()
        self.passes = 0


def render_rays(
    field: Field,
    rays_o: Tensor,
    rays_d: Tensor,
    ends: Tensor,
    marching: Marching,
    *,
    offsets: Tensor | None = None,
    tape: Tape | None = None,
) -> RayPictures:
    """Colour, opacity, depth and distortion along rays; differentiable in the field's tables and
    weights, not in the rays.

    float32 on the CPU takes the native path; elsewhere the twin in `tondo.kernels.field_torch`
    runs, which is the definition.

    Args:
        rays_o: [R, 3] world space. rays_d: [R, 3] unit length.
        ends: [R, 2] distances between which a ray is followed (`ends_of`).
        offsets: [R] 0..1, where in its first step a ray's first sample is (None: 0.5).
        tape: memory to use again; a pass through it makes the gradients of the one before
            unavailable. None: new memory.

    Raises:
        ValueError: shapes that do not fit each other.
    """
    sizes = check_shape("rays_o", rays_o, "R 3")
    check_shape("rays_d", rays_d, "R 3", sizes)
    check_shape("ends", ends, "R 2", sizes)
    if offsets is None:
        offsets = torch.full_like(ends[:, 0], 0.5)
    check_shape("offsets", offsets, "R", sizes)
    tables, weights = field.encoding.tables, field.heads.weights
    if tables.device.type != "cpu" or tables.dtype != torch.float32:
        steps = torch.tensor(
            [marching.step, marching.cone, marching.max_steps], dtype=torch.float64
        )
        found = render_rays_torch(field, rays_o, rays_d, ends, offsets, steps, marching.stop)
        return RayPictures(*found)
    rays = tuple(x.detach().contiguous() for x in (rays_o, rays_d, ends, offsets))
    if not (torch.is_grad_enabled() and (tables.requires_grad or weights.requires_grad)):
        return RayPictures(*_pictures(None, _model(field, marching), rays))
    return RayPictures(*_Rays.apply(tables, weights, field, marching, rays, tape or Tape()))


def log_densities(field: Field, points: Tensor) -> Tensor:
    """[N] natural logarithm of the density per world unit at points [N, 3] of the world, without
    gradients; what lies outside a bounded space gets the value at its border."""
    check_shape("points", points, "N 3")
    if points.device.type != "cpu" or points.dtype != torch.float32:
        with torch.no_grad():
            u = into_cube(field.space, points)
            return densities(field.heads, encode_hash(field.encoding, u))[:, 0]
    found = torch.empty(len(points))
    model = _model(field, Marching(1.0))
    _native.field_density(*model, points.detach().contiguous(), found)
    return found


def ends_of(space: Space, rays_o: Tensor, rays_d: Tensor, near: float, far: float) -> Tensor:
    """[R, 2] distances at which rays enter and leave a bounded space, within `near`..`far`; a ray
    that misses it has its end at its beginning. In a contracted one `near` and `far` themselves.
    """
    if space.contracted:
        return torch.tensor([near, far]).expand(len(rays_o), 2).contiguous()
    center = torch.tensor(space.center)
    safe = torch.where(rays_d.abs() < 1e-9, 1e-9, rays_d)
    first = (center - space.radius - rays_o) / safe
    second = (center + space.radius - rays_o) / safe
    enter = torch.minimum(first, second).amax(dim=1).clamp_min(near)
    leave = torch.maximum(first, second).amin(dim=1).clamp_max(far)
    return torch.stack([enter, torch.maximum(enter, leave)], dim=1)


def _model(field: Field, marching: Marching) -> tuple[Any, ...]:
    """What the native functions take for a field, in their order."""
    space = field.space
    flat = space.occupied.flatten()
    bits = torch.nn.functional.pad(flat, (0, -len(flat) % 8)).view(-1, 8).to(torch.uint8)
    occupied = (bits << torch.arange(8, dtype=torch.uint8)).sum(dim=1, dtype=torch.uint8)
    return (
        field.encoding.tables.detach().contiguous(),
        torch.tensor(field.encoding.resolutions, dtype=torch.int32),
        field.heads.weights.detach().contiguous(),
        field.heads.hidden,
        occupied,
        len(space.occupied),
        torch.tensor([*space.center, space.radius]),
        torch.tensor([marching.step, marching.cone, marching.stop]),
        space.contracted,
        marching.max_steps,
    )


def _pictures(kept: Any, model: tuple[Any, ...], rays: tuple[Tensor, ...]) -> list[Tensor]:
    count = len(rays[0])
    out = [torch.empty(count, 3), *(torch.empty(count) for _ in range(3))]
    samples = torch.empty(count, dtype=torch.int32)
    _native.field_forward(kept, *model, *rays, *out, samples)
    return [*out, samples]


class _Rays(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        _, _, field, marching, rays, tape = inputs
        ctx.model = _model(field, marching)
        ctx.rays, ctx.tape = rays, tape
        tape.passes += 1
        ctx.now = tape.passes
        *out, samples = _pictures(tape.native, ctx.model, rays)
        ctx.mark_non_differentiable(samples)
        return (*out, samples)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.tape.passes != ctx.now:
            raise RuntimeError("the tape of these rays has been used by a later pass")
        tables, _, weights = ctx.model[:3]
        v_tables, v_weights = torch.zeros_like(tables), torch.zeros_like(weights)
        wanted = [grad.contiguous() for grad in grads[:4]]
        _native.field_backward(ctx.tape.native, *ctx.model, *ctx.rays, *wanted, v_tables, v_weights)
        return v_tables, v_weights, None, None, None, None


def as_double(field: Field) -> Field:
    """The same field in float64, which only the twin takes."""
    encoding, heads = field.encoding, field.heads
    return replace(
        field,
        encoding=HashEncoding(encoding.tables.double(), encoding.resolutions),
        heads=Heads(heads.weights.double(), heads.inputs, heads.hidden),
    )
