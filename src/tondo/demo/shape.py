"""The shape of the demonstration object: a pierced lantern pot, as a signed distance function.

World: z up, the object stands around the origin and fits a ball of radius `solid.RADIUS`. Distances
are lower bounds close to the surface (scaled by `CAUTION` where a part is bent), so that sphere
tracing (Hart 1996) does not step through it.
"""

from __future__ import annotations

import math
from enum import IntEnum

import torch
from torch import Tensor

from tondo.demo.primitives import CAUTION, ellipsoid, fold, smooth_min, torus

# Places and sizes in world units, and counts; all chosen by eye.
BODY_CENTER_Z = -0.05
BODY_AXES = (0.58, 0.46)  # half axes across and up
HOLE_COLUMNS = 13
HOLE_ROW_HEIGHT = 0.13
PLINTH_TOP_Z = -0.70
SPOUT_RADIUS = 0.46
SPOUT_CENTER = (0.48, 0.33)  # (y, z)
HANDLE_RADIUS = 0.54
HANDLE_Z = 0.16
HANDLE_STRETCH = 1.3
BEADS = 30


class Part(IntEnum):
    """What a point of the surface is made of; the order of `part_distances`."""

    GLAZE = 0
    CORE = 1
    BRASS = 2
    IRON = 3
    WOOD = 4
    BEAD = 5


def distance(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """[N] float32, the signed distance (negative inside) of points (x, y, z), each [N]."""
    parts = part_distances(x, y, z)
    nearest = parts[0]
    for part in parts[1:]:
        nearest = torch.minimum(nearest, part)
    return nearest


def part_distances(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, ...]:
    """The distance to each `Part` by itself, each [N] float32."""
    rho = torch.sqrt(x * x + y * y)
    phi = torch.atan2(y, x)
    lidded = torch.minimum(_lid(rho, phi, z), _neck(rho, z))
    spout, bore = _spout(x, y, z)
    pot = smooth_min(_body(rho, phi, z), spout, 0.05)
    glaze = torch.minimum(torch.maximum(pot, -bore), lidded)
    core = torch.sqrt(x * x + y * y + (z - BODY_CENTER_Z) ** 2) - 0.24
    brass = torch.minimum(_handle(x, y, z), _finial(rho, phi, z))
    brass = torch.minimum(brass, _legs(rho, phi, z))
    return glaze, core, brass, _scroll(x, y, z), _plinth(rho, z), _beads(rho, phi, z)


def _body(rho: Tensor, phi: Tensor, z: Tensor) -> Tensor:
    """A hollow pot with three staggered rows of holes and gadroons below them."""
    height = z - BODY_CENTER_Z
    low = torch.clamp(-height - 0.22, 0.0, 0.12) * (1 / 0.12)
    gadroons = torch.abs(torch.cos(phi * 11.0)) * low * 0.022
    solid = ellipsoid(rho, height, *BODY_AXES) - gadroons
    shell = torch.abs(solid + 0.03) - 0.03
    row = torch.round(height / HOLE_ROW_HEIGHT).clamp(-1.0, 1.0)
    u = rho * torch.sin(fold(phi, HOLE_COLUMNS, row * 0.5))
    v = height - row * HOLE_ROW_HEIGHT
    # A hole is an octagonal-round opening; the term in rho keeps it away from the far wall.
    hole = torch.sqrt(u * u + v * v) - 0.062 + 0.012 * torch.abs(row)
    rim = torch.abs(hole - 0.008) - 0.008
    raised = torch.maximum(torch.abs(solid) - 0.010, rim)
    mouth = torch.maximum(torch.minimum(shell, raised - 0.004), -hole)
    return mouth * CAUTION


def _neck(rho: Tensor, z: Tensor) -> Tensor:
    collar = torus(rho, z - 0.385, 0.235, 0.032)
    foot = torus(rho, z + 0.475, 0.22, 0.04)
    return torch.minimum(collar, foot)


def _lid(rho: Tensor, phi: Tensor, z: Tensor) -> Tensor:
    """A melon-ribbed dome."""
    ribs = torch.abs(torch.sin(phi * 8.0)) * (rho * 0.10)
    return (ellipsoid(rho, z - 0.41, 0.23, 0.12) - ribs * 0.6) * CAUTION


def _finial(rho: Tensor, phi: Tensor, z: Tensor) -> Tensor:
    """A twisted stem with a ball on top, on the lid."""
    height = z - 0.605
    waist = 0.040 + 0.9 * height * height
    lobes = waist * (1.0 + 0.28 * torch.cos(5.0 * phi + 34.0 * z))
    stem = torch.maximum(rho - lobes, torch.abs(height) - 0.10) * 0.6
    ball = torch.sqrt(rho * rho + (z - 0.745) ** 2) - 0.055
    return torch.minimum(stem, torch.minimum(ball, torus(rho, z - 0.695, 0.052, 0.014)))


def _spout(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """A quarter of a bent, tapering tube, and the bore that hollows it (to be subtracted)."""
    dy, dz = y - SPOUT_CENTER[0], z - SPOUT_CENTER[1]
    along = ((torch.atan2(dz, dy) + math.pi / 2) * (2 / math.pi)).clamp(0.0, 1.0)
    angle = (along - 1.0) * (math.pi / 2)
    ay = dy - SPOUT_RADIUS * torch.cos(angle)
    az = dz - SPOUT_RADIUS * torch.sin(angle)
    reach = torch.sqrt(x * x + ay * ay + az * az)
    thick = 0.115 - 0.065 * along + 0.022 * torch.clamp(along - 0.88, min=0.0) * (1 / 0.12)
    tube = torch.maximum(reach - thick, dz - 0.012)
    # The half-space stops the rounded end of the sweep: an open mouth instead of a knob.
    sideways = torch.sqrt(x * x + (dy - SPOUT_RADIUS) ** 2)
    bore = torch.maximum(sideways - 0.042, -(dz + 0.08))
    return tube * CAUTION, bore


def _handle(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Two strands twisted around a stretched half ring over the pot, ending in balls."""
    height = (z - HANDLE_Z) * (1 / HANDLE_STRETCH)
    angle = torch.atan2(height, x)
    out = torch.sqrt(x * x + height * height) - HANDLE_RADIUS
    twist = angle * 17.0
    cos, sin = torch.cos(twist), torch.sin(twist)
    a, b = torch.abs(cos * out + sin * y) - 0.026, cos * y - sin * out
    strands = torch.maximum(torch.sqrt(a * a + b * b) - 0.025, -height) * 0.65
    side = torch.abs(x) - HANDLE_RADIUS
    ball = torch.sqrt(side * side + y * y + (z - HANDLE_Z) ** 2) - 0.072
    return torch.minimum(strands, ball)


def _scroll(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """A thin spiral of wire on the side away from the spout."""
    sy, sz = -(y + 0.745), z - 0.06
    out = torch.sqrt(sy * sy + sz * sz)
    pitch = 0.085
    turn = torch.atan2(sz, sy) * (1 / (2 * math.pi))
    ring = torch.round(out / pitch - turn).clamp(1.0, 2.0)
    gap = out - (ring + turn) * pitch
    return (torch.sqrt(gap * gap + x * x) - 0.021) * CAUTION


def _legs(rho: Tensor, phi: Tensor, z: Tensor) -> Tensor:
    """Three bowed legs with ball feet."""
    bend = fold(phi, 3, 0.25)
    side = rho * torch.sin(bend)
    out = rho * torch.cos(bend)
    t = ((z + 0.40) * (-1 / 0.27)).clamp(0.0, 1.0)
    center = 0.36 + 0.14 * t + 0.16 * t * (1 - t)
    rise = z + 0.40 + 0.27 * t
    leg = torch.sqrt((out - center) ** 2 + side * side + rise * rise) - (0.048 - 0.020 * t)
    foot = torch.sqrt((out - 0.50) ** 2 + side * side + (z + 0.665) ** 2) - 0.044
    return torch.minimum(leg * 0.8, foot)


def _plinth(rho: Tensor, z: Tensor) -> Tensor:
    """A turned disc with a groove around its edge."""
    dr, dz = rho - 0.66, torch.abs(z - (PLINTH_TOP_Z - 0.075)) - 0.055
    outside = torch.sqrt(dr.clamp(min=0.0) ** 2 + dz.clamp(min=0.0) ** 2)
    disc = outside + torch.maximum(dr, dz).clamp(max=0.0) - 0.02
    return torch.maximum(disc, -torus(rho, z - PLINTH_TOP_Z, 0.60, 0.018))


def _beads(rho: Tensor, phi: Tensor, z: Tensor) -> Tensor:
    """A ring of beads standing free of each other around the plinth."""
    bend = fold(phi, BEADS)
    side, out = rho * torch.sin(bend), rho * torch.cos(bend) - 0.605
    return torch.sqrt(side * side + out * out + (z - (PLINTH_TOP_Z + 0.012)) ** 2) - 0.034
