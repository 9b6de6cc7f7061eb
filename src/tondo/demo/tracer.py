"""Sphere tracing and shading of things given by their distances, on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.demo.grid import CHUNK, DistanceGrid, interpolated, lower_bound
from tondo.demo.solid import RADIUS, Solid
from tondo.demo.surface import LANTERN
from tondo.geometry.cameras import camera_position

HIT = 1e-3  # world units from the surface; chosen, not measured
ROUNDS = 32  # of steps towards the surface at most; chosen, not measured
SLACK = 0.04  # world units; chosen, not measured

# Directions towards lights, world axes, and their colours, chosen by eye.
KEY_LIGHT = (0.52, 0.30, 0.80)
KEY_COLOR = (1.06, 1.00, 0.90)
FILL_LIGHT = (-0.55, -0.70, 0.45)
FILL_COLOR = (0.26, 0.29, 0.34)
SKY = (0.66, 0.72, 0.80)
GROUND = (0.34, 0.29, 0.25)
GLOW = (1.0, 0.52, 0.16)


@dataclass(frozen=True)
class Shot:
    """One traced picture, float32.

    Attributes:
        color: [H, W, 3] straight sRGB 0..1 (0 where alpha is 0).
        alpha: [H, W] share of each pixel that the object covers.
        depth: [H, W] nearest distance along the camera's z axis, infinite where nothing is.
    """

    color: Tensor
    alpha: Tensor
    depth: Tensor


def shoot(camera: Camera, grid: DistanceGrid, samples: int = 2, solid: Solid = LANTERN) -> Shot:
    """Photograph an object: samples x samples rays a pixel, averaged with their alpha.

    Args:
        grid: the distances of `solid`.
    """
    size = camera.height * camera.width
    total, hits = torch.zeros(size, 3), torch.zeros(size)
    depth = torch.full((size,), float("inf"))
    forward, origin = camera.viewmat[2, :3], camera_position(camera)
    start = None
    for sample in range(samples * samples):
        shift_x, shift_y = sample % samples, sample // samples
        directions = _directions(camera, (shift_x + 0.5) / samples, (shift_y + 0.5) / samples)
        index, reach = trace(origin, directions, grid, start)
        if start is None:
            start = _start_of_neighbours(camera, index, reach)
        for pixels, near in zip(index.split(CHUNK), reach.split(CHUNK), strict=True):
            rays = directions[pixels]
            total[pixels] += shade(origin + rays * near[:, None], rays, grid, solid)
            hits[pixels] += 1.0
            depth[pixels] = torch.minimum(depth[pixels], near * (rays @ forward))
    color = total / hits.clamp(min=1.0)[:, None]
    alpha = hits / (samples * samples)
    shape = (camera.height, camera.width)
    return Shot(color.view(*shape, 3), alpha.view(shape), depth.view(shape))


def _start_of_neighbours(camera: Camera, index: Tensor, reach: Tensor) -> Tensor:
    """[H * W], where the other rays of each pixel may start, from what the first ones met.

    No part of the object is thinner than a few pixels: a ray cannot meet what none of the 3 x 3
    rays around it has met, but for the slope of the surface, which `SLACK` allows for.
    """
    met = torch.full((camera.height * camera.width,), float("inf"))
    met[index] = reach
    picture = met.view(1, 1, camera.height, camera.width)
    nearest = -torch.nn.functional.max_pool2d(-picture, 3, stride=1, padding=1)
    return nearest.view(-1) - SLACK


def _directions(camera: Camera, shift_x: float, shift_y: float) -> Tensor:
    """[H * W, 3] unit directions in world space through the pixels at an offset of 0..1."""
    v, u = torch.meshgrid(
        torch.arange(camera.height) + shift_y, torch.arange(camera.width) + shift_x, indexing="ij"
    )
    K = camera.K
    local = torch.stack(((u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], torch.ones_like(u)), -1)
    return torch.nn.functional.normalize(local.view(-1, 3) @ camera.viewmat[:3, :3], dim=-1)


def trace(
    origin: Tensor, directions: Tensor, grid: DistanceGrid, start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Where rays first meet the object (sphere tracing, Hart 1996).

    Args:
        origin: [3], outside the ball of `RADIUS`. directions: [N, 3] unit vectors.
        start: [N] distances before which there is known to be nothing; infinite for rays that
            are known to miss.

    Returns:
        index [M] int64 of the rays that hit, in order, and their distance [M] along the ray.
    """
    middle = -(directions @ origin)
    inside = middle * middle - origin @ origin + RADIUS**2
    candidates = (inside > 0) & (middle > 0)
    if start is not None:
        candidates &= torch.isfinite(start)
    index = candidates.nonzero()[:, 0]
    chord = torch.sqrt(inside[index])
    middle = middle[index]
    near = middle - chord if start is None else torch.maximum(middle - chord, start[index])
    flight = Flight(index, directions[index].T, near, middle + chord)
    found = [Flight(index[:0], flight.rays[:, :0], chord[:0], chord[:0])]
    for _ in range(ROUNDS):
        going = []
        for part in _split(flight):
            hit, rest = _advance(origin[:, None], part, grid)
            found.append(hit)
            going.append(rest)
        flight = _join(going)
        if not len(flight.pixel):
            break
    hits = _join(found)
    order = torch.argsort(hits.pixel)
    return hits.pixel[order], hits.reach[order]


class Flight(NamedTuple):
    """Rays under way: pixel [N] int64, rays [3, N], distance so far [N], where it ends [N]."""

    pixel: Tensor
    rays: Tensor
    reach: Tensor
    far: Tensor

    def select(self, which: Tensor) -> Flight:
        """Those at `which`, a mask or indices."""
        return Flight(self.pixel[which], self.rays[:, which], self.reach[which], self.far[which])


def _split(flight: Flight) -> Iterator[Flight]:
    blocks = zip(*(column.split(CHUNK, dim=-1) for column in flight), strict=True)
    return (Flight(index, rays.contiguous(), reach, far) for index, rays, reach, far in blocks)


def _join(flights: list[Flight]) -> Flight:
    return Flight(*(torch.cat(column, dim=-1) for column in zip(*flights, strict=True)))


def _advance(start: Tensor, flight: Flight, grid: DistanceGrid) -> tuple[Flight, Flight]:
    """(the rays that hit, those still under way) after a few coarse steps and some fine ones."""
    reach = flight.reach
    for _ in range(5):
        reach = reach + lower_bound(grid, *(start + flight.rays * reach)).clamp(min=0.0)
    moved = flight._replace(reach=reach).select(reach < flight.far)
    bound = lower_bound(grid, *(start + moved.rays * moved.reach))
    near, rest = moved.select(bound < grid.cell), moved.select(bound >= grid.cell)
    reach, gap = near.reach, near.reach
    for _ in range(3):
        gap = interpolated(grid, (start + near.rays * reach).T)
        reach = reach + gap
    near = near._replace(reach=reach)
    return near.select(gap < HIT), _join([near.select(gap >= HIT), rest])


def normals(points: Tensor, solid: Solid = LANTERN) -> Tensor:
    """[N, 3] outward unit normals: central differences on the corners of a tetrahedron."""
    corners = torch.tensor([[1.0, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]])
    slope = torch.zeros_like(points)
    for corner in corners:
        slope += corner * solid.distance(*(points + corner * 7e-4).T.contiguous())[:, None]
    return torch.nn.functional.normalize(slope, dim=-1)


def seen_normals(camera: Camera, grid: DistanceGrid, solid: Solid = LANTERN) -> Tensor:
    """[H, W, 3] outward unit normals, world axes, of what the middle of each pixel shows; 0 where
    nothing is."""
    directions, origin = _directions(camera, 0.5, 0.5), camera_position(camera)
    index, reach = trace(origin, directions, grid)
    found = torch.zeros(len(directions), 3)
    for pixels, near in zip(index.split(CHUNK), reach.split(CHUNK), strict=True):
        found[pixels] = normals(origin + directions[pixels] * near[:, None], solid)
    return found.view(camera.height, camera.width, 3)


def shade(points: Tensor, rays: Tensor, grid: DistanceGrid, solid: Solid) -> Tensor:
    """[N, 3] sRGB 0..1 of surface points [N, 3] seen along unit rays [N, 3].

    Wrapped key light with a soft shadow, sky and ground light, ambient occlusion from distances
    along the normal, a soft Blinn-Phong highlight, a reflected sky, and the object's own glow.
    """
    normal = normals(points, solid)
    key = torch.nn.functional.normalize(points.new_tensor(KEY_LIGHT), dim=0)
    x, y, z = points.T.contiguous()
    part = torch.stack(solid.parts(x, y, z)).argmin(0)
    base = solid.albedo(part, x, y, z)
    open_sky = _occlusion(points, normal, grid)
    lit = (normal @ key).clamp(min=0.0)
    bright = (lit > 0).nonzero()[:, 0]
    lit[bright] *= _shadow(points[bright] + normal[bright] * 0.01, key, grid)
    half = torch.nn.functional.normalize(key - rays, dim=-1)
    polish = points.new_tensor(solid.polish)[part]
    spark = polish * (normal * half).sum(-1).clamp(min=0.0) ** solid.shine * lit.sqrt()
    facing = -(normal * rays).sum(-1).clamp(max=0.0)
    mirrored = rays + 2 * facing[:, None] * normal
    fresnel = polish * (0.25 + 0.75 * (1 - facing).clamp(0, 1) ** 4) * open_sky
    sky_seen = torch.sigmoid(mirrored[:, 2] * 5.0) * fresnel * 0.55
    ambient = _between(GROUND, SKY, 0.5 + 0.5 * normal[:, 2]) * (open_sky * 0.72)[:, None]
    light = ambient + lit[:, None] * points.new_tensor(KEY_COLOR) * 0.72
    fill = torch.nn.functional.normalize(points.new_tensor(FILL_LIGHT), dim=0)
    soft = (0.3 + 0.7 * (normal @ fill)).clamp(min=0.0) * open_sky
    light = light + soft[:, None] * points.new_tensor(FILL_COLOR)
    if solid.glow is not None:
        light = light + solid.glow(points, normal, part)[:, None] * points.new_tensor(GLOW)
    color = base * light + (spark + sky_seen)[:, None]
    return color.clamp(0.0, 1.0)


def _between(low: tuple[float, ...], high: tuple[float, ...], t: Tensor) -> Tensor:
    a, b = t.new_tensor(low), t.new_tensor(high)
    return a + (b - a) * t[:, None]


def _occlusion(points: Tensor, normal: Tensor, grid: DistanceGrid) -> Tensor:
    """[N] 0..1, how open the surroundings are: distances met along the normal."""
    closed = torch.zeros(len(points))
    for reach, weight in ((0.025, 7.0), (0.06, 4.0), (0.14, 1.8)):
        closed += (reach - interpolated(grid, points + normal * reach)) * weight
    return (1.0 - closed).clamp(0.12, 1.0)


def _shadow(points: Tensor, light: Tensor, grid: DistanceGrid) -> Tensor:
    """[N] 0..1, soft shadow: the narrowest passage on the way to the light (Quilez)."""
    open_share = torch.ones(len(points))
    reach = torch.full((len(points),), 0.02)
    for _ in range(10):
        gap = interpolated(grid, points + light * reach[:, None])
        open_share = torch.minimum(open_share, 12.0 * gap / reach)
        reach = reach + gap.clamp(0.03, 0.25)
    return open_share.clamp(0.0, 1.0)
