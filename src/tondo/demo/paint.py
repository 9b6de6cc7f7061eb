"""What procedural textures are mixed of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Texture = Callable[[Tensor, Tensor, Tensor], Tensor]


def painted(textures: Sequence[Texture], part: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """[N, 3] float32 sRGB of points, each by the texture of its `part` [N] int64."""
    color = torch.zeros(len(x), 3)
    for which, texture in enumerate(textures):
        chosen = (part == which).nonzero()[:, 0]
        if len(chosen):
            color[chosen] = texture(x[chosen], y[chosen], z[chosen])
    return color


def mix(a: Tensor, b: Tensor | tuple[float, float, float], t: Tensor) -> Tensor:
    """`a` [N, 3] towards `b` by t [N] in 0..1."""
    target = b if isinstance(b, Tensor) else a.new_tensor(b)
    return a + (target - a) * t[:, None]


def flat(color: tuple[float, float, float], like: Tensor) -> Tensor:
    """[N, 3], one colour for as many points as `like` [N] has."""
    return like.new_tensor(color).expand(len(like), 3)


def step(low: float, high: float, value: Tensor) -> Tensor:
    """Smooth 0..1 ramp between two values."""
    t = ((value - low) / (high - low)).clamp(0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def band(value: Tensor, middle: float, half: float, soft: float = 0.004) -> Tensor:
    """1 within `half` of `middle`, 0 outside, with a soft edge."""
    return 1.0 - step(half - soft, half + soft, torch.abs(value - middle))


def hash01(*cells: Tensor) -> Tensor:
    """[N] in 0..1, a fixed pseudo-random number for each integer cell (int64 tensors)."""
    mixed = torch.zeros_like(cells[0])
    for cell, prime in zip(cells, (374761393, 668265263, 1442695041), strict=False):
        mixed = mixed + cell * prime
    mixed = (mixed ^ (mixed >> 13)) * 1274126177
    return ((mixed ^ (mixed >> 16)) & 0xFFFF).float() / 0xFFFF


def noise(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """[N] in 0..1, value noise: trilinear with smooth weights between the hashes of cells."""
    coordinates = torch.stack((x, y, z))
    floor = torch.floor(coordinates)
    part = coordinates - floor
    weight = part * part * (3.0 - 2.0 * part)
    ix, iy, iz = floor.long()
    total = torch.zeros_like(x)
    for corner in range(8):
        dx, dy, dz = corner & 1, corner >> 1 & 1, corner >> 2
        w = (weight[0] if dx else 1 - weight[0]) * (weight[1] if dy else 1 - weight[1])
        w = w * (weight[2] if dz else 1 - weight[2])
        total = total + w * hash01(ix + dx, iy + dy, iz + dz)
    return total


def speckles(x: Tensor, y: Tensor, z: Tensor, size: float, share: float) -> Tensor:
    """[N] 0..1, round spots of radius about size / 4 in a `share` of the cells of `size`."""
    cells = [torch.floor(c / size).long() for c in (x, y, z)]
    away = torch.zeros_like(x)
    for axis, (c, cell) in enumerate(zip((x, y, z), cells, strict=True)):
        shift = 0.3 + 0.4 * hash01(cells[0] + 17 * axis, cells[1], cells[2])
        away = away + (c / size - cell - shift) ** 2
    there = hash01(cells[0] + 101, cells[1] + 7, cells[2] + 53) < share
    return there * (1.0 - step(0.05, 0.09, away))
