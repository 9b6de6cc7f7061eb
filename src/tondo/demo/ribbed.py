"""A second object made by code: fine relief, thin walls, a hole and gloss.

What it is for is to be measured: its relief is 0.5 % of its size, so a mesh that is smooth where it
should be ribbed is wrong by the angle and by little else. Some of its paint looks like relief and
is none, and its highlights move with the camera. A cup with a handle, two domes and a pierced wall
stand on a slab; the closed surface is of one piece and has two holes through it (the handle's and
the wall's), a genus of 2.
"""

from __future__ import annotations

import math
from enum import IntEnum

import torch
from torch import Tensor

from tondo.demo.paint import band, flat, mix, noise, painted, speckles, step
from tondo.demo.primitives import CAUTION, torus
from tondo.demo.solid import Solid

RELIEF = 0.010  # from crest to valley, world units; the object's bounding box is 2.1 across
GENUS = 2  # the holes through it

# Places and sizes in world units, and counts; all chosen by eye.
SLAB_AXES = (0.74, 0.50, 0.045)  # half sides
SLAB_Z, SLAB_ROUND = -0.57, 0.02
SLAB_RIB = 0.06  # from crest to crest
CUP_CENTER = (-0.28, 0.0)  # (x, y)
CUP_RADIUS, CUP_WALL, CUP_TOP_Z = 0.33, 0.032, 0.36
FLUTES, FLUTES_Z = 32, (-0.50, -0.14)
RINGS, RINGS_Z = 0.05, (0.08, 0.33)  # from crest to crest; where they are
WALL_X, WALL_HALF = 0.42, 0.016  # its middle, and half of its thickness
WALL_AXES, WALL_ROUND = (0.42, 0.50), 0.10  # half sides (y, z), the radius of its corners
WALL_Z = -0.08
WALL_HOLE, WALL_RIB, BOSSES = 0.15, 0.07, 0.10  # radius; from crest to crest; from boss to boss
HANDLE_X, HANDLE_Z, HANDLE_RING, HANDLE_TUBE = -0.61, -0.02, 0.15, 0.032
DOME_PLACES, DOME_RADIUS, DOME_RIBS = ((0.16, 0.30), (0.16, -0.30)), 0.12, 14

# sRGB of the materials, chosen by eye.
SLATE, CHALK = (0.36, 0.38, 0.42), (0.86, 0.84, 0.80)
GLAZE, INK = (0.70, 0.78, 0.74), (0.08, 0.12, 0.24)
BRONZE, PATINA = (0.62, 0.40, 0.20), (0.22, 0.36, 0.32)
BRASS, BRASS_DARK = (0.88, 0.68, 0.30), (0.48, 0.31, 0.11)
PORCELAIN, ROSE = (0.90, 0.87, 0.82), (0.64, 0.22, 0.26)


class Part(IntEnum):
    """What a point of the surface is made of; the order of `part_distances`."""

    SLAB = 0
    CUP = 1
    WALL = 2
    HANDLE = 3
    DOME = 4


def distance(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """[N] float32, the signed distance (negative inside) of points (x, y, z), each [N]."""
    return torch.stack(part_distances(x, y, z)).amin(0)


def part_distances(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, ...]:
    """The distance to each `Part` by itself, each [N] float32."""
    cup = _cup(x, y, z)
    return _slab(x, y, z), cup, _wall(x, y, z), _handle(x, y, z), _domes(x, y, z)


def wave(along: Tensor, length: float) -> Tensor:
    """Ribs of `RELIEF`: a sine from 0 to `RELIEF`, 0 at `along` 0."""
    return RELIEF * (0.5 - 0.5 * torch.cos(along * (2 * math.pi / length)))


def _window(value: Tensor, ends: tuple[float, float], soft: float = 0.02) -> Tensor:
    """1 between two values, 0 outside, with ramps inside them."""
    return step(ends[0], ends[0] + soft, value) * step(ends[1], ends[1] - soft, value)


def _around_cup(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(distance from the cup's axis, angle around it)."""
    dx, dy = x - CUP_CENTER[0], y - CUP_CENTER[1]
    return torch.sqrt(dx * dx + dy * dy), torch.atan2(dy, dx)


def _slab(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """A rounded slab with straight ribs on top."""
    away = [
        c.abs() - half + SLAB_ROUND for c, half in zip((x, y, z - SLAB_Z), SLAB_AXES, strict=True)
    ]
    outside = torch.sqrt(sum((a.clamp(min=0.0) ** 2 for a in away), torch.zeros_like(x)))
    box = outside + torch.stack(away).amax(0).clamp(max=0.0) - SLAB_ROUND
    rim = step(0.0, -0.06, torch.maximum(away[0], away[1]))  # ribs end before the edge
    return (box - wave(x, SLAB_RIB) * rim * step(SLAB_Z, SLAB_Z + 0.03, z)) * CAUTION


def _cup(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """An open cup of a thin wall: flutes below, rings above, a smooth band between them."""
    rho, phi = _around_cup(x, y)
    relief = wave(phi, 2 * math.pi / FLUTES) * _window(z, FLUTES_Z)
    relief = relief + wave(z - RINGS_Z[0], RINGS) * _window(z, RINGS_Z)
    wall = torch.maximum(rho - CUP_RADIUS - relief, CUP_RADIUS - CUP_WALL - rho)
    return torch.maximum(wall, torch.maximum(z - CUP_TOP_Z, SLAB_Z - z)) * CAUTION


def _wall(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """A thin upright wall with a round hole in a raised ring; slanting ribs on the one side, bosses
    on the other."""
    height = z - WALL_Z
    out = torch.sqrt(y * y + height * height)
    away = [c.abs() - half + WALL_ROUND for c, half in zip((y, height), WALL_AXES, strict=True)]
    corner = torch.sqrt(away[0].clamp(min=0.0) ** 2 + away[1].clamp(min=0.0) ** 2)
    outline = corner + torch.maximum(*away).clamp(max=0.0) - WALL_ROUND
    inner = step(0.0, -0.04, outline) * step(WALL_HOLE + 0.05, WALL_HOLE + 0.09, out)
    ribs = wave((y + z) * math.sqrt(0.5), WALL_RIB)
    u, v = (c - BOSSES * torch.round(c / BOSSES) for c in (y, height))
    bosses = RELIEF * step(0.035, 0.010, torch.sqrt(u * u + v * v))
    relief = torch.where(x > WALL_X, ribs, bosses) * inner
    panel = torch.maximum((x - WALL_X).abs() - WALL_HALF - relief, outline)
    pierced = torch.maximum(panel, WALL_HOLE - out)
    ring = torus(out, x - WALL_X, WALL_HOLE + 0.02, 0.028)
    return torch.minimum(pierced, ring) * CAUTION


def _handle(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """A ring on the cup's side, cut off in the middle of the cup's wall."""
    out = torch.sqrt((x - HANDLE_X) ** 2 + (z - HANDLE_Z) ** 2)
    rho, _ = _around_cup(x, y)
    ring = torus(out, y, HANDLE_RING, HANDLE_TUBE)
    return torch.maximum(ring, CUP_RADIUS - 0.5 * CUP_WALL - rho)


def _domes(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Two balls sunk halfway into the slab, one smooth, one with ribs from its top down."""
    found = []
    for k, (x0, y0) in enumerate(DOME_PLACES):
        dx, dy, dz = x - x0, y - y0, z - (SLAB_Z + SLAB_AXES[2])
        out = torch.sqrt(dx * dx + dy * dy + dz * dz)
        ball = out - DOME_RADIUS
        if k:
            low = step(0.2, 0.5, torch.sqrt(dx * dx + dy * dy) / DOME_RADIUS)
            ball = ball - wave(torch.atan2(dy, dx), 2 * math.pi / DOME_RIBS) * low
        found.append(ball)
    return torch.maximum(torch.minimum(*found), SLAB_Z - z) * CAUTION


def albedo(part: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """[N, 3] float32 sRGB reflectance of surface points; `part` [N] int64 holds `Part` values."""
    return painted((_slate, _glaze, _bronze, _brass, _porcelain), part, x, y, z)


def _slate(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Stone with painted stripes across its ribs."""
    color = mix(flat(SLATE, x), CHALK, 0.5 * noise(x * 30, y * 30, z * 30) ** 2)
    stripes = step(0.55, 0.65, 0.5 + 0.5 * torch.sin((y + 0.35 * x) * 44.0))
    color = mix(color, CHALK, 0.75 * stripes * step(0.10, 0.14, x) * step(-0.05, 0.0, z - SLAB_Z))
    return mix(color, INK, 0.7 * speckles(x, y, z, 0.05, 0.35))


def _glaze(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """A pale glaze, and on the smooth band dark stripes that look like flutes."""
    _, phi = _around_cup(x, y)
    color = mix(flat(GLAZE, x), INK, 0.25 * noise(x * 9, y * 9, z * 9))
    painted_flutes = step(0.35, 0.65, 0.5 + 0.5 * torch.cos(phi * FLUTES))
    color = mix(color, INK, 0.85 * painted_flutes * band(z, -0.03, 0.08))
    for level in (-0.125, 0.065):
        color = mix(color, ROSE, band(z, level, 0.008, 0.003))
    return mix(color, INK, 0.5 * speckles(x, y, z, 0.03, 0.25))


def _bronze(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Bronze with patina in clouds that do not follow its ribs."""
    cloud = noise(x * 7, y * 7 + 3, z * 7) * 0.7 + noise(x * 28, y * 28, z * 28) * 0.3
    color = mix(flat(BRONZE, x), PATINA, step(0.40, 0.75, cloud))
    return mix(color, BRASS, 0.4 * noise(x * 60, y * 60, z * 60) ** 2)


def _brass(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    worn = noise(x * 22, y * 22, z * 22)
    return mix(flat(BRASS, x), BRASS_DARK, 0.7 * worn * worn)


def _porcelain(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """White, with a painted net."""
    net = torch.maximum(torch.sin(x * 70 + z * 50), torch.sin(y * 70 - z * 50))
    return mix(flat(PORCELAIN, x), ROSE, 0.7 * step(0.85, 0.97, net))


POLISH = (0.06, 0.60, 0.80, 0.60, 0.80)  # of each `Part`, chosen by eye
SHINE = 50  # chosen by eye
RIBBED = Solid(distance, part_distances, albedo, POLISH, SHINE)
