"""Exact depth pictures of a sphere and a torus, found by marching along the rays."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.data.views import View
from tondo.geometry.look_at import look_at

WIDTH, HEIGHT = 143, 106
SPHERE_CENTER = torch.tensor([0.2, -0.1, 0.05])
Distance = Callable[[Tensor], Tensor]


def sphere(points: Tensor) -> Tensor:
    """Distance to a sphere of radius 0.8."""
    return (points - SPHERE_CENTER).norm(dim=-1) - 0.8


def torus(points: Tensor) -> Tensor:
    """Distance to a torus of radii 0.7 and 0.25 around the z axis."""
    ring = points[..., :2].norm(dim=-1) - 0.7
    return torch.stack([ring, points[..., 2]], dim=-1).norm(dim=-1) - 0.25


def color_at(points: Tensor) -> Tensor:
    """A colour that says where a point is."""
    return ((points + 1.2) / 2.4).clamp(0, 1)


def view_of(shape: Distance, viewmat: Tensor, background: float | None = None) -> View:
    """The picture of `shape` with an off-centre principal point and f_x != f_y.

    background: depth of a flat wall behind, or None for nothing.
    """
    K = torch.tensor([[125.0, 0, 80.0], [0, 131.0, 46.5], [0, 0, 1]])
    v, u = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    rays = torch.stack([u, v, torch.ones_like(u)], dim=-1) @ torch.linalg.inv(K).T
    rotation = viewmat[:3, :3]
    origin, rays = -rotation.T @ viewmat[:3, 3], rays @ rotation
    depth = torch.full((HEIGHT, WIDTH), 1.2)
    for _ in range(70):
        distance = shape(origin + rays * depth[..., None])
        depth = depth + distance / rays.norm(dim=-1)
    hit = shape(origin + rays * depth[..., None]).abs() < 6e-3
    color = torch.where(hit[..., None], color_at(origin + rays * depth[..., None]), 1.0)
    alpha = hit.float() if background is None else torch.ones_like(depth)
    depth = torch.where(hit, depth, background or 0.0)
    return View(Camera(viewmat, K, WIDTH, HEIGHT), color, depth, alpha)


def viewmats(count: int, distance: float = 3.0) -> list[Tensor]:
    """World-to-camera matrices all around, looking a little beside the origin."""
    found = []
    for i in range(count):
        z = 1 - (2 * i + 1) / count
        turn = math.pi * (1 + math.sqrt(5)) * i
        flat = math.sqrt(1 - z * z)
        eye = distance * torch.tensor([flat * math.cos(turn), flat * math.sin(turn), z])
        found.append(look_at(eye, torch.tensor([0.05, 0.0, 0.02]), torch.tensor([0.0, 0.0, 1.0])))
    return found


@functools.cache
def views_around(shape: Distance, count: int = 24) -> tuple[View, ...]:
    """Pictures of `shape` from all around."""
    return tuple(view_of(shape, viewmat) for viewmat in viewmats(count))


def square_grid(n: int = 6) -> Mesh:
    """A flat open square of 2 n^2 faces in the plane z = 0, facing +z, with colours and normals."""
    y, x = torch.meshgrid(torch.arange(n + 1.0), torch.arange(n + 1.0), indexing="ij")
    vertices = torch.stack([x, y, torch.zeros_like(x)], dim=-1).reshape(-1, 3)
    corner = (torch.arange(n)[:, None] * (n + 1) + torch.arange(n)).flatten()
    lower = torch.stack([corner, corner + 1, corner + n + 2], dim=1)
    upper = torch.stack([corner, corner + n + 2, corner + n + 1], dim=1)
    colors = (vertices * 20).to(torch.uint8)
    normals = F.normalize(torch.tensor([0.0, 0.0, 1.0]).expand_as(vertices), dim=1)
    return Mesh(vertices, torch.cat([lower, upper]), colors, normals)
