"""Made-up shapes: a ball with bumps, and a bowl."""

from __future__ import annotations

import torch
import torch.nn.functional as F
import trimesh

from tondo.data.mesh import Mesh


def ball(subdivisions: int, height: float = 0.0) -> Mesh:
    """A ball of radius 1 around the origin, with bumps about a third wide."""
    model = trimesh.creation.icosphere(subdivisions=subdivisions)
    unit = F.normalize(torch.tensor(model.vertices, dtype=torch.float32), dim=1)
    bumps = torch.sin(11 * unit[:, 0] + 1) * torch.sin(12 * unit[:, 1]) * torch.cos(10 * unit[:, 2])
    return Mesh(unit * (1 + height * bumps[:, None]), torch.tensor(model.faces))


def bowl() -> Mesh:
    """The inner side of half a ball of radius 1, open upwards (+z)."""
    rows, columns = 24, 90
    polar = torch.linspace(torch.pi / 2, torch.pi, rows)[:, None]
    around = torch.arange(columns) * (2 * torch.pi / columns)
    x, y = polar.sin() * around.cos(), polar.sin() * around.sin()
    vertices = torch.stack([x, y, polar.cos().expand_as(x)], dim=-1).view(-1, 3)
    index = torch.arange(rows * columns).view(rows, columns)
    a, b = index[:-1], index[1:]
    c, d = b.roll(-1, dims=1), a.roll(-1, dims=1)
    faces = torch.cat([torch.stack([a, c, b], -1), torch.stack([a, d, c], -1)]).view(-1, 3)
    whole = vertices[faces].unbind(1)
    area = torch.linalg.cross(whole[1] - whole[0], whole[2] - whole[0]).norm(dim=1)
    return Mesh(vertices, faces[area > 1e-6])
