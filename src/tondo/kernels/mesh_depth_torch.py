"""Depth pictures of a triangle mesh in plain PyTorch: the definition."""

from __future__ import annotations

import torch
from torch import Tensor

NEAR = 1e-6  # faces that come nearer to the camera's plane than this are left out; chosen
_FACES = 256  # at a time; bounds memory


def mesh_depth_torch(
    vertices: Tensor, faces: Tensor, viewmat: Tensor, K: Tensor, width: int, height: int
) -> tuple[Tensor, Tensor]:
    """`mesh_depth`."""
    device = vertices.device
    rows, columns = (torch.arange(size, device=device) + 0.5 for size in (height, width))
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    nearest = torch.full((height, width), torch.inf, dtype=torch.float64, device=device)
    face = torch.full((height, width), -1, device=device)
    projected = projected_vertices(vertices, viewmat, K).double()
    for first in range(0, len(faces), _FACES):
        a, b, c = projected[faces[first : first + _FACES]].unbind(1)
        front = torch.minimum(torch.minimum(a[:, 2], b[:, 2]), c[:, 2]) > NEAR
        area = _area(a[:, :2], b[:, :2], c[:, :2])
        point = torch.stack([u, v], dim=-1).double()[..., None, :]
        of_b = _area(a[:, :2], point, c[:, :2]) / area
        of_c = _area(a[:, :2], b[:, :2], point) / area
        of_a = 1 - of_b - of_c
        inside = front & (area != 0) & (of_a >= 0) & (of_b >= 0) & (of_c >= 0)
        # 1/z, unlike z, is linear over the picture
        z = 1 / (of_a / a[:, 2] + of_b / b[:, 2] + of_c / c[:, 2])
        found, which = torch.where(inside, z, torch.inf).min(dim=-1)
        face = torch.where(found < nearest, which + first, face)
        nearest = torch.minimum(nearest, found)
    return torch.where(face >= 0, nearest, 0.0).float(), face


def projected_vertices(vertices: Tensor, viewmat: Tensor, K: Tensor) -> Tensor:
    """[V, 3]: pixel coordinates u, v and depth z."""
    local = vertices @ viewmat[:3, :3].T + viewmat[:3, 3]
    z = local[:, 2:]
    return torch.cat([(local @ K.T)[:, :2] / z, z], dim=1)


def _area(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Twice the signed area of triangles whose corners are [..., 2]."""
    p, q = b - a, c - a
    return p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]
