"""`render_rays`: rays through a radiance field, forwards and backwards in one native operation."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tondo import _native
from tondo.checks import check_one_device, check_shape
from tondo.data.field import (
    AnyField,
    DctEncoding,
    Field,
    FrequencyField,
    HashEncoding,
    Marching,
    Space,
    arrays_of,
)
from tondo.kernels.fields.frequency import log_density, render_frequency
from tondo.kernels.fields.rays_torch import expanded, log_densities_torch, render_rays_torch
from tondo.kernels.native import plain


class RayPictures(NamedTuple):
    """What rays see.

    Attributes:
        colors: [R, 3] sRGB summed by weight, no background.
        opacities: [R] 0..1.
        depths: [R] distance along the ray summed by weight, world units; divide by `opacities` for
            the mean.
        distortions: [R] how far apart along its ray the weight lies, 0 for one place.
        samples: [R] int32, at how many places something was added, 0 or more.
        coarse: [R, 3] and [R], colours and opacities by the coarse network of a field that has one.
    """

    colors: Tensor
    opacities: Tensor
    depths: Tensor
    distortions: Tensor
    samples: Tensor
    coarse: tuple[Tensor, Tensor] | None = None


class NativeRays(NamedTuple):
    """Rays as the native code takes them: contiguous, on the CPU; see `render_rays`."""

    origins: Tensor
    directions: Tensor
    ends: Tensor
    offsets: Tensor


class Tape:
    """Memory for the samples of one pass with gradients, and for the gradients themselves, to be
    used again by the next."""

    def __init__(self) -> None:
        self.native = _native.FieldRays()
        self.passes = 0
        self._gradients: dict[int, Tensor] = {}

    def gradient(self, place: int, shape: torch.Size) -> Tensor:
        """Memory for the gradient of the array at `place`, which holds what was there before: that
        of tables is as large as they are, and to be given it by the system at every step costs
        more than to write it."""
        kept = self._gradients.get(place)
        if kept is None or kept.shape != shape:
            kept = self._gradients[place] = large_zeros(shape)
        return kept


def render_rays(
    field: AnyField,
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

    A `FrequencyField` goes through `tondo.kernels.fields.frequency`, and `marching` and `tape` do
    not concern it. Of the others, float32 on the CPU takes the native path; elsewhere the twin in
    `tondo.kernels.fields.rays_torch` runs, which is the definition.

    Args:
        rays_o: [R, 3] world space. rays_d: [R, 3] unit length.
        ends: [R, 2] distances between which a ray is followed (`ends_of`).
        offsets: [R] 0..1, where in its steps a ray's samples are (None: 0.5).
        tape: memory to use again; a pass through it makes the gradients of the one before
            unavailable, and writes over those that `torch.autograd.grad` gave. None: new memory.

    Raises:
        ValueError: shapes or devices that do not fit each other; the space's occupancy may be on
            any device.
    """
    sizes = check_shape("rays_o", rays_o, "R 3")
    check_shape("rays_d", rays_d, "R 3", sizes)
    check_shape("ends", ends, "R 2", sizes)
    if offsets is None:
        offsets = torch.full_like(ends[:, 0], 0.5)
    check_shape("offsets", offsets, "R", sizes)
    check_one_device(rays_o=rays_o, rays_d=rays_d, ends=ends, offsets=offsets, **arrays_of(field))
    if isinstance(field, FrequencyField):
        *fine, color, opacity = render_frequency(field, rays_o, rays_d, ends, offsets)
        colors, opacities, depths, distortions, samples = fine
        return RayPictures(colors, opacities, depths, distortions, samples, (color, opacity))
    weights = field.heads.weights
    if weights.device.type != "cpu" or weights.dtype != torch.float32:
        return RayPictures(*render_rays_torch(field, rays_o, rays_d, ends, offsets, marching))
    rays = NativeRays(*plain(rays_o, rays_d, ends, offsets))
    first, second = _arrays(field.encoding)
    wanted = any(x is not None and x.requires_grad for x in (first, second, weights))
    if not (torch.is_grad_enabled() and wanted):
        return _pictures(None, _native_field(field, first, second, marching), rays)
    found = _Rays.apply(first, second, weights, field, marching, rays, tape or Tape())
    return RayPictures(*found)


def log_densities(field: AnyField, points: Tensor) -> Tensor:
    """[N] natural logarithm of the density per world unit at points [N, 3] of the world, without
    gradients; what lies outside a bounded space gets the value at its border."""
    check_shape("points", points, "N 3")
    check_one_device(points=points, **arrays_of(field))
    if isinstance(field, FrequencyField):
        return log_density(field, points)
    if points.device.type != "cpu" or points.dtype != torch.float32:
        return log_densities_torch(field, points)
    found = torch.empty(len(points))
    native = _native_field(field, *_arrays(field.encoding), Marching(1.0))
    _native.field_density(native, points.detach().contiguous(), found)
    return found - math.log(field.space.radius)


def ends_of(space: Space, rays_o: Tensor, rays_d: Tensor, near: float, far: float) -> Tensor:
    """[R, 2] distances at which rays enter and leave a bounded space, within `near`..`far`; a ray
    that misses it has its end at its beginning. In a contracted one `near` and `far` themselves.
    """
    if space.contracted:
        return torch.tensor([near, far], device=rays_o.device).expand(len(rays_o), 2).contiguous()
    center = torch.tensor(space.center, device=rays_o.device)
    safe = torch.where(rays_d.abs() < 1e-9, 1e-9, rays_d)
    first = (center - space.radius - rays_o) / safe
    second = (center + space.radius - rays_o) / safe
    enter = torch.minimum(first, second).amax(dim=1).clamp_min(near)
    leave = torch.maximum(first, second).amin(dim=1).clamp_max(far)
    return torch.stack([enter, torch.maximum(enter, leave)], dim=1)


def _arrays(encoding: HashEncoding | DctEncoding) -> tuple[Tensor, Tensor | None]:
    """What the native code reads of an encoding: tables, or planes and lines."""
    if isinstance(encoding, HashEncoding):
        return encoding.tables, None
    return expanded(encoding)


def native_marching(marching: Marching) -> tuple[float, float, int, float]:
    """How rays are sampled as the native code takes it."""
    return marching.step, marching.cone, marching.max_steps, marching.stop


def _native_field(
    field: Field, first: Tensor, second: Tensor | None, marching: Marching
) -> _native.FieldArrays:
    """The native code's view of a field, whose arrays it shares."""
    space, encoding = field.space, field.encoding
    common = (
        field.heads.weights.detach().contiguous(),
        field.heads.hidden,
        (space.steps().contiguous().cpu(), space.center, space.radius, space.contracted),
        native_marching(marching),
    )
    first = first.detach().contiguous()
    if isinstance(encoding, HashEncoding):
        cells = torch.tensor(encoding.resolutions, dtype=torch.int32)
        return _native.hash_field(first, cells, *common)
    assert second is not None
    return _native.plane_field(first, second.detach().contiguous(), *common)


def _pictures(
    kept: _native.FieldRays | None, native: _native.FieldArrays, rays: NativeRays
) -> RayPictures:
    count = len(rays[0])
    opacities, depths, distortions = (torch.empty(count) for _ in range(3))
    samples = torch.empty(count, dtype=torch.int32)
    found = RayPictures(torch.empty(count, 3), opacities, depths, distortions, samples)
    _native.field_forward(kept, native, rays, found[:5])
    return found


def large_zeros(shape: torch.Size) -> Tensor:
    """Zeros [shape] float32 on large pages, where the system has them: entries of a hash grid lie
    at random, and each small page would have to be made, and looked up, by itself. numpy asks for
    them, torch does not."""
    return torch.from_numpy(np.zeros(shape, dtype=np.float32))


class _Rays(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        first, second, weights, field, marching, rays, tape = inputs
        ctx.native = _native_field(field, first, second, marching)
        ctx.shapes = [None if x is None else x.shape for x in (first, second, weights)]
        ctx.rays, ctx.tape = rays, tape
        tape.passes += 1
        ctx.now = tape.passes
        found = _pictures(tape.native, ctx.native, rays)
        ctx.mark_non_differentiable(found.samples)
        return found[:5]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.tape.passes != ctx.now:
            raise RuntimeError("the tape of these rays has been used by a later pass")
        first, second, weights = ctx.shapes
        v_first, v_weights = ctx.tape.gradient(0, first), ctx.tape.gradient(2, weights)
        v_second = None if second is None else ctx.tape.gradient(1, second)
        flat = None if v_second is None else v_second.view(-1)
        v_colors, v_opacities, v_depths, v_distortions = plain(*grads[:4])
        wanted = (v_colors, v_opacities, v_depths, v_distortions)
        _native.field_backward(
            ctx.tape.native, ctx.native, ctx.rays, wanted, v_first.view(-1), flat, v_weights
        )
        return v_first, v_second, v_weights, None, None, None, None
