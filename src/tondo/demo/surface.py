"""The colours of the demonstration object: procedural textures, fine enough to be a test."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tondo.demo.paint import band, flat, hash01, mix, noise, painted, speckles, step
from tondo.demo.shape import (
    BEADS,
    BODY_CENTER_Z,
    PLINTH_TOP_Z,
    Part,
    distance,
    part_distances,
)
from tondo.demo.solid import Solid

# sRGB of the materials, chosen by eye.
CELADON = (0.36, 0.62, 0.57)
DEEP_TEAL = (0.05, 0.24, 0.31)
IVORY = (0.93, 0.89, 0.78)
COBALT = (0.10, 0.18, 0.50)
AMBER = (1.00, 0.56, 0.13)
EMBER = (0.72, 0.16, 0.05)
BRASS = (0.93, 0.70, 0.30)
BRASS_DARK = (0.50, 0.31, 0.10)
IRON = (0.17, 0.18, 0.22)
WALNUT = (0.52, 0.31, 0.17)
WALNUT_DARK = (0.27, 0.14, 0.07)
CORAL = (0.80, 0.21, 0.17)
TURQUOISE = (0.16, 0.62, 0.66)


def albedo(part: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """[N, 3] float32 sRGB reflectance of surface points; `part` [N] int64 holds `Part` values."""
    textures = (_glaze, _core, _brass, _iron, _wood, _bead)  # as `Part` has them
    return painted(textures, part, x, y, z)


def _glyphs(u: Tensor, v: Tensor) -> Tensor:
    """[N] 0..1, invented letters: cells of 5 x 5 dots mirrored left to right, v in 0..1."""
    letter = torch.floor(u)
    column = torch.floor((u - letter) * 7.0)
    row = torch.floor(v * 7.0)
    mirrored = torch.minimum(column, 6.0 - column)
    ink = hash01(letter.long() + 91, mirrored.long(), row.long()) > 0.42
    return (ink & (mirrored > 0) & (row > 0) & (row < 6)).float()


def _glaze(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Celadon, teal below, cobalt lines, a lettered shoulder, ivory and cobalt lid, speckles."""
    phi, height = torch.atan2(y, x), z - BODY_CENTER_Z
    rho = torch.sqrt(x * x + y * y)
    cloud = noise(x * 5, y * 5, z * 5)
    color = mix(flat(CELADON, x), IVORY, 0.35 * cloud)
    color = mix(color, DEEP_TEAL, step(-0.20, -0.30, height + 0.03 * (cloud - 0.5)))
    on_pot = ((rho < 0.60) & (y < 0.57)).float()
    letters = _glyphs(phi * (40 / (2 * math.pi)), (height - 0.255) / 0.075)
    shoulder = band(height, 0.2925, 0.0375) * on_pot
    color = mix(color, IVORY, shoulder * 0.9)
    color = mix(color, COBALT, shoulder * letters)
    for level in (0.238, 0.347, 0.362, -0.205, -0.222):
        color = mix(color, COBALT, band(height, level, 0.0045, 0.002) * on_pot)
    lid = step(0.392, 0.400, z) * (rho < 0.40).float()
    leaves = 0.5 + 0.5 * torch.cos(phi * 16.0 + 60.0 * rho)
    lid_color = mix(flat(IVORY, x), COBALT, step(0.45, 0.6, leaves))
    lid_color = mix(lid_color, CORAL, band(rho, 0.115, 0.012))
    color = mix(color, lid_color, lid * (y < 0.5).float())
    rings = 0.5 + 0.5 * torch.sin(z * 150.0)
    spout = step(0.66, 0.72, y) * (rings > 0.55).float() * step(-0.05, 0.0, z)
    color = mix(color, COBALT, 0.85 * spout)
    inside = step(0.50, 0.47, rho / torch.sqrt((1 - (height / 0.46) ** 2).clamp(min=0.04)))
    color = mix(color, AMBER, inside * (torch.abs(height) < 0.3).float() * on_pot * 0.7)
    color = mix(color, DEEP_TEAL, 0.75 * speckles(x, y, z, 0.035, 0.30) * on_pot * (1 - lid))
    return mix(color, IVORY, 0.8 * speckles(x + 3, y + 5, z, 0.05, 0.2) * step(-0.3, -0.34, height))


def _core(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """A glowing ball with spiral stripes."""
    phi = torch.atan2(y, x)
    stripes = 0.5 + 0.5 * torch.sin(phi * 6.0 + (z - BODY_CENTER_Z) * 40.0)
    color = mix(flat(AMBER, x), EMBER, step(0.45, 0.6, stripes))
    return mix(color, IVORY, 0.6 * noise(x * 24, y * 24, z * 24) ** 2)


def _brass(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    worn = noise(x * 22, y * 22, z * 22)
    color = mix(flat(BRASS, x), BRASS_DARK, 0.55 * worn * worn)
    notches = (torch.sin(torch.atan2(z - 0.16, x) * 120.0) > 0.55).float() * (z > 0.2).float()
    away = (torch.sqrt(x * x + y * y) > 0.12).float()
    return mix(color, BRASS_DARK, 0.55 * notches * away)


def _iron(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    rust = noise(x * 30, y * 30, z * 30)
    color = mix(flat(IRON, x), EMBER, 0.5 * step(0.6, 0.9, rust))
    wound = (torch.sin(torch.atan2(z - 0.06, -(y + 0.745)) * 28.0) > 0.7).float()
    return mix(color, BRASS, 0.8 * wound)


def _wood(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Walnut with grain, an ivory inlay of letters on top and of checks around the edge."""
    rho, phi = torch.sqrt(x * x + y * y), torch.atan2(y, x)
    wavy = x + 0.05 * noise(x * 4, y * 4, z * 4) + 0.01 * noise(x * 3, y * 40, z * 40)
    grain = 0.5 + 0.5 * torch.sin(wavy * 95.0)
    fibre = noise(x * 160, y * 7, z * 160)
    color = mix(flat(WALNUT, x), WALNUT_DARK, 0.65 * grain * grain + 0.3 * fibre * (1 - grain))
    side = (rho > 0.665).float()
    across, up = phi * (96 / (2 * math.pi)), (z - (PLINTH_TOP_Z - 0.075)) / 0.022
    checks = torch.remainder(torch.floor(across) + torch.floor(up), 2.0)
    color = mix(color, IVORY, side * checks * (torch.abs(up) < 2.0).float() * 0.95)
    top = (z > PLINTH_TOP_Z - 0.01).float()
    letters = _glyphs(phi * (36 / (2 * math.pi)), (rho - 0.39) / 0.085)
    ring = band(rho, 0.4325, 0.0425)
    return mix(color, IVORY, 0.9 * top * ring * letters)


def _bead(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    turns = torch.atan2(y, x) * (BEADS / (2 * math.pi))
    kind = torch.remainder(torch.round(turns), 3.0)
    color = mix(flat(CORAL, x), TURQUOISE, (kind == 1).float())
    color = mix(color, IVORY, (kind == 2).float())
    return mix(color, COBALT, 0.7 * speckles(x, y, z, 0.018, 0.35))


def glow(points: Tensor, normal: Tensor, part: Tensor) -> Tensor:
    """[N] light of the glowing core: on itself, and on the pot's inner wall."""
    center = points.new_tensor((0.0, 0.0, BODY_CENTER_Z))
    towards = center - points
    away = torch.sqrt((towards * towards).sum(-1)).clamp(min=1e-3)
    received = ((normal * towards).sum(-1) / away).clamp(min=0.0)
    falloff = (0.30 / away) ** 2 * (away < 0.62)
    return torch.where(
        part == int(Part.CORE), torch.full_like(away, 0.62), 1.6 * received * falloff
    )


POLISH = (0.30, 0.05, 0.42, 0.22, 0.10, 0.35)  # of each `Part`, chosen by eye
SHINE = 36  # chosen by eye
LANTERN = Solid(distance, part_distances, albedo, POLISH, SHINE, glow)
