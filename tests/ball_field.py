"""A radiance field that is a ball, as a file or a training would give it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tondo.data.field import Field, FieldScene, HashEncoding, Heads, Marching, Space, head_shapes

CELLS, HIDDEN = 16, 8
CENTER, HALF = (0.2, -0.1, 0.3), 1.5  # of the space
RADIUS = 0.6
COLOR = (0.8, 0.5, 0.2)


def log_density(points: Tensor, slope: float, density: float) -> Tensor:
    """[...] that `density` is at the ball's surface, of points [..., 3]."""
    away = (points - torch.tensor(CENTER)).norm(dim=-1)
    return torch.log(torch.tensor(density)) + slope * (RADIUS - away)


def ball_scene(slope: float = 60.0, density: float = 10.0) -> FieldScene:
    """Its log density falls linearly with the distance from the middle, through `density` at
    `RADIUS`, between the vertices of a grid; every cell of its occupancy counts."""
    side = CELLS + 1
    index = torch.arange(side**3)
    corner = torch.stack([index % side, index // side % side, index // side**2], dim=1)
    points = torch.tensor(CENTER) + HALF * (2 * corner / CELLS - 1)
    tables = torch.zeros(4, 8192, 2)
    tables[0, : side**3, 0] = log_density(points, slope, density)
    weights = torch.zeros(sum(torch.Size(shape).numel() for shape in head_shapes(8, HIDDEN)))
    heads = Heads(weights, 8, HIDDEN)
    w1, _, w2, b2, _, _, _, b4 = heads.parts()
    b2[0] = math.log(HALF)  # the networks' densities are per radius of the space
    w1[0, 0], w1[1, 0], w2[0, 0], w2[0, 1] = 1.0, -1.0, 1.0, -1.0  # max(0, x) - max(0, -x)
    b4.copy_(torch.logit(torch.tensor(COLOR)))
    space = Space(CENTER, HALF, False, torch.ones(8, 8, 8, dtype=torch.bool))
    return FieldScene(
        Field(HashEncoding(tables, (CELLS,) * 4), heads, space),
        Marching(0.01, max_steps=2000),
        torch.ones(3),
        torch.tensor([0.0, 0.0, 1.0]),
        1.0,
        torch.tensor(CENTER),
    )
