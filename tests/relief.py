"""A ball with relief and a pattern, photographed by code."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.geometry.look_at import look_at
from tondo.mesh.render import render_mesh
from tondo.texture.bake import Picture

WIDTH, HEIGHT = 150, 130
K = torch.tensor([[190.0, 0.0, 71.0], [0.0, 190.0, 67.5], [0.0, 0.0, 1.0]])
PIXEL = 2.6 / 190  # about so many units on the nearest of the ball


def patterned(mesh: Mesh, contrast: float = 1.0) -> Mesh:
    """With colours that change within about four pixels."""
    grid = torch.rand(1, 3, 48, 48, 48, generator=torch.Generator().manual_seed(3))
    colors = F.grid_sample(grid, mesh.vertices[None, None, None] / 1.2, align_corners=False)
    values = 0.5 + contrast * (colors[0, :, 0, 0].T - 0.5)
    return replace(mesh, colors=(255 * values).round().to(torch.uint8))


def photographed(mesh: Mesh, count: int = 24) -> list[Picture]:
    """From all around, the pixels beside the mesh outside of the masks."""
    found = []
    for i in range(count):
        camera = Camera(look_at(3.6 * _direction(i, count), torch.zeros(3), UP), K, WIDTH, HEIGHT)
        view = render_mesh(mesh, camera, torch.ones(3))
        image = (255 * view.color).round().to(torch.uint8)
        found.append(Picture(camera, image, (view.alpha > 0.99).float()))
    return found


UP = torch.tensor([0.0, 0.0, 1.0])


def _direction(i: int, count: int) -> Tensor:
    """Of a spiral around the sphere."""
    z = torch.tensor(1 - (2 * i + 1) / count)
    turn, flat = torch.tensor(2.4 * i), (1 - z * z).sqrt()
    return torch.stack([flat * turn.cos(), flat * turn.sin(), z])
