"""The texels that lie on a mesh: which face each is of, and where on it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tondo.kernels.mesh_depth import mesh_depth


@dataclass(frozen=True)
class Texels:
    """T texels of a square picture whose centres lie on faces of a mesh.

    Attributes:
        size: texels along each side.
        index: [T] int64, row * size + column, rising.
        face: [T] int64.
        weights: [T, 3] float32 barycentric coordinates in the face.
    """

    size: int
    index: Tensor
    face: Tensor
    weights: Tensor

    def interpolated(self, values: Tensor, faces: Tensor) -> Tensor:
        """[T, X] of values [V, X] at the vertices of faces [F, 3]."""
        return interpolated(values, faces[self.face], self.weights)


def interpolated(values: Tensor, corners: Tensor, weights: Tensor) -> Tensor:
    """[T, X] of values [V, X] at corners [T, 3], by weights [T, 3]."""
    total = values[corners[:, 0]] * weights[:, :1]
    for k in (1, 2):
        total += values[corners[:, k]] * weights[:, k : k + 1]
    return total


def texels_of(uvs: Tensor, size: int) -> Texels:
    """The texels whose centres lie on faces with corners uvs [F, 3, 2]. Where faces overlap, the
    first counts."""
    faces = torch.arange(3 * len(uvs)).view(-1, 3)
    flat = torch.cat([uvs.reshape(-1, 2) * size, torch.ones(3 * len(uvs), 1)], dim=1)
    _, face = mesh_depth(flat, faces, torch.eye(4), torch.eye(3), size, size)
    index = (face.flatten() >= 0).nonzero()[:, 0]
    face = face.flatten()[index]
    return Texels(size, index, face, barycentric(uvs, face, centres(index, size)))


def centres(index: Tensor, size: int) -> Tensor:
    """[T, 2] float32 u, v of the texels `index` [T] of a picture of `size` x `size`."""
    column, row = index % size, index // size
    return (torch.stack([column, row], dim=1).float() + 0.5) / size


def barycentric(uvs: Tensor, face: Tensor, points: Tensor) -> Tensor:
    """[T, 3] float32 of points [T, 2] in the faces `face` [T] with corners uvs [F, 3, 2]; outside
    of a face they extrapolate it."""
    a, b, c = uvs[face].double().unbind(1)
    p, q, r = b - a, c - a, points.double() - a
    area = p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]
    of_b = (r[:, 0] * q[:, 1] - r[:, 1] * q[:, 0]) / area
    of_c = (p[:, 0] * r[:, 1] - p[:, 1] * r[:, 0]) / area
    return torch.stack([1 - of_b - of_c, of_b, of_c], dim=1).float()
