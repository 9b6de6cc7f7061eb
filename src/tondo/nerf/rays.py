"""Rays through a field's scene, for whoever has rays and not a camera."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tondo.checks import check_finite, check_shape
from tondo.data.field import FieldScene, FrequencyField
from tondo.kernels.fields import rays
from tondo.kernels.fields.frequency import distances_at
from tondo.kernels.fields.rays import RayPictures
from tondo.kernels.fields.rays_torch import even_distances
from tondo.nerf.bounds import range_of

PARTS = 512  # of a ray through a field without steps of its own; chosen
UNIT = 1e-3  # how far from 1 the length of a direction may be; chosen


def render_rays(
    scene: FieldScene,
    rays_o: Tensor,
    rays_d: Tensor,
    *,
    near: float | None = None,
    far: float | None = None,
) -> RayPictures:
    """Colour, opacity and depth along rays; differentiable in the field's tables and weights.

    Args:
        rays_o: [R, 3] float32, world space. rays_d: [R, 3] unit length.
        near, far: distances between which the rays are followed, world units; None: as in
            pictures of the scene.

    Returns:
        `RayPictures` without a background: add (1 - opacities) times one. A ray that meets nothing
        has opacity 0.

    Raises:
        TypeError: a scene of splats.
        ValueError: other shapes, values that are not finite, directions of another length, or
            near >= far.

    Example:
        >>> import tondo, torch
        >>> scene = tondo.load_scene("field.safetensors")
        >>> rays_d = torch.nn.functional.normalize(scene.center[None])
        >>> found = tondo.render_rays(scene, torch.zeros(1, 3), rays_d)
        >>> found.colors.shape, bool(found.opacities[0] > 0.9)
        (torch.Size([1, 3]), True)
    """
    _check(scene, rays_o, rays_d)
    usual = range_of(scene.field.space)
    near = usual[0] if near is None else near
    far = usual[1] if far is None else far
    if not 0 <= near < far:
        raise ValueError(f"near must be at least 0 and less than far, got {near:g} and {far:g}")
    ends = rays.ends_of(scene.field.space, rays_o, rays_d, near, far)
    return rays.render_rays(scene.field, rays_o, rays_d, ends, scene.marching)


@torch.no_grad()
def opacity_along(scene: FieldScene, rays_o: Tensor, rays_d: Tensor, distances: Tensor) -> Tensor:
    """How much of the light is lost up to each distance: 1 - T(t), T as in Mildenhall et al. 2020,
    equation 1.

    Args:
        rays_o: [R, 3] float32, world space. rays_d: [R, 3] unit length.
        distances: [K] from the origins, world units, at least 0.

    Returns:
        [R, K] 0..1, growing with distance; a ray is followed until a share of `marching.stop` is
        left.

    Raises:
        TypeError: a scene of splats.
        ValueError: other shapes, values that are not finite, or negative distances.

    Example:
        >>> import tondo, torch
        >>> scene = tondo.load_scene("field.safetensors")
        >>> rays_d = torch.nn.functional.normalize(scene.center[None])
        >>> tondo.opacity_along(scene, torch.zeros(1, 3), rays_d, torch.tensor([0.0, 9.0])).shape
        torch.Size([1, 2])
    """
    _check(scene, rays_o, rays_d)
    count = check_shape("distances", distances, "K")["K"]
    check_finite("distances", distances)
    if bool((distances < 0).any()):
        raise ValueError(f"distances must be at least 0, got {float(distances.min()):g}")
    space = scene.field.space
    ends = rays.ends_of(space, rays_o, rays_d, *range_of(space))
    until = torch.minimum(ends[:, 1:], torch.maximum(ends[:, :1], distances.float()))  # [R, K]
    if isinstance(scene.field, FrequencyField):
        return _integrated(scene.field, rays_o, rays_d, ends, until)
    pairs = torch.stack([ends[:, :1].expand_as(until), until], dim=2).view(-1, 2)
    origins, directions = (x.repeat_interleave(count, dim=0) for x in (rays_o, rays_d))
    # Step by step: steps taken together would end elsewhere for each distance.
    single = replace(scene.field, space=replace(space, occupied=space.occupied > 0))
    found = rays.render_rays(single, origins, directions, pairs, scene.marching)
    return found.opacities.view(-1, count)


def _integrated(
    field: FrequencyField, rays_o: Tensor, rays_d: Tensor, ends: Tensor, until: Tensor
) -> Tensor:
    """[R, K] opacities up to distances `until`.

    A picture's samples lie elsewhere for every end of a ray. Here the density is summed over
    `PARTS` parts of the whole ray, even as the distortion measures distances.
    """
    space = field.space
    first, last = even_distances(space, ends).split(1, dim=1)
    shares = torch.linspace(0, 1, PARTS + 1, device=ends.device)
    edges = distances_at(space, first + (last - first) * shares)  # [R, P + 1]
    middle = 0.5 * (edges[:, 1:] + edges[:, :-1])
    points = rays_o[:, None] + rays_d[:, None] * middle[..., None]
    sigmas = rays.log_densities(field, points.view(-1, 3)).view_as(middle).exp()
    before = torch.nn.functional.pad((sigmas * edges.diff(dim=1)).cumsum(dim=1), (1, 0))
    part = (torch.searchsorted(edges, until, right=True) - 1).clamp(0, PARTS - 1)
    within = sigmas.gather(1, part) * (until - edges.gather(1, part))
    return -torch.expm1(-(before.gather(1, part) + within))


def _check(scene: FieldScene, rays_o: Tensor, rays_d: Tensor) -> None:
    if not isinstance(scene, FieldScene):
        raise TypeError(
            f"rays go through the scene of a radiance field, got {type(scene).__name__}"
        )
    check_shape("rays_d", rays_d, "R 3", check_shape("rays_o", rays_o, "R 3"))
    for name, tensor in (("rays_o", rays_o), ("rays_d", rays_d)):
        check_finite(name, tensor)
    lengths = rays_d.norm(dim=1)
    if len(lengths) and float((lengths - 1).abs().max()) > UNIT:
        raise ValueError(
            f"rays_d must have unit length, got lengths from {float(lengths.min()):g} to "
            f"{float(lengths.max()):g}"
        )
