"""Generated objects as what the rest of the program works with: splats, meshes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.data.splats import Scene, Splats
from tondo.gan.generator import Skins

SH_C0 = 0.28209479177387814  # the constant harmonic
UP = (0.0, 1.0, 0.0)


def scene_of(skins: Skins, index: int) -> Scene:
    """Object `index` as a scene of splats, on white."""
    opacities = skins.opacities[index].clamp(1e-6, 1 - 1e-6)
    splats = Splats(
        means=skins.means[index].contiguous(),
        quats=skins.quats[index].contiguous(),
        log_scales=skins.scales[index].clamp_min(1e-8).log(),
        opacity_logits=torch.logit(opacities),
        sh=((skins.colors[index] - 0.5) / SH_C0)[:, None].contiguous(),
    )
    return Scene(splats, torch.ones(3), torch.tensor(UP), 1.0, torch.zeros(3))


def mesh_of(skins: Skins, index: int) -> Mesh:
    """Object `index` as a closed mesh: the skin's grid, with one vertex more at each pole.

    The splats are the vertices and lend them their colours; every edge belongs to two faces.
    """
    rows, columns = skins.grid.shape[2:]
    grid = skins.grid[index].permute(1, 2, 0)
    colors = skins.colors[index].view(rows, columns, 3)
    vertices = torch.cat([grid.flatten(0, 1), grid[:1].mean(dim=1), grid[-1:].mean(dim=1)])
    shades = torch.cat([colors.flatten(0, 1), colors[:1].mean(dim=1), colors[-1:].mean(dim=1)])
    faces = closed_faces(rows, columns)
    return Mesh(
        vertices.contiguous(),
        faces,
        (shades * 255).round().clamp(0, 255).to(torch.uint8),
        vertex_normals(vertices, faces),
    )


def closed_faces(rows: int, columns: int) -> Tensor:
    """[F, 3] int64, counter-clockwise from outside: the cells of a latitude-longitude grid, and
    fans from its two poles, which are the last two vertices."""
    index = torch.arange(rows * columns).view(rows, columns)
    east = torch.roll(index, -1, dims=1)
    a, b, c, d = index[:-1], index[1:], east[1:], east[:-1]
    cells = torch.stack([torch.stack([a, b, c], -1), torch.stack([a, c, d], -1)]).view(-1, 3)
    north, south = torch.tensor(rows * columns), torch.tensor(rows * columns + 1)
    top = torch.stack([north.expand(columns), index[0], east[0]], dim=1)
    bottom = torch.stack([south.expand(columns), east[-1], index[-1]], dim=1)
    return torch.cat([cells, top, bottom])


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """[V, 3] unit normals, faces weighted by their areas."""
    a, b, c = vertices[faces].unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(vertices)
    for corner in range(3):
        total.index_add_(0, faces[:, corner], normal)
    return F.normalize(total, dim=1, eps=1e-20)
