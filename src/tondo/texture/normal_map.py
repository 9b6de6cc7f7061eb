"""Normal maps: what a coarse mesh lost of the dense one, as a picture over it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.texture.dense import on_dense
from tondo.texture.fill import picture_of
from tondo.texture.tangents import corner_tangents, normals_of
from tondo.texture.texels import Texels

LEAST_Z = 0.05  # of a unit normal in its frame; what looks farther away is turned back; chosen


@dataclass(frozen=True)
class Frames:
    """The frames of T places on a mesh in which a normal map's values are, as shaders make them:
    interpolated and not normalised (MikkTSpace's standard), the bitangent from the other two.

    Attributes:
        tangents, bitangents, normals: [T, 3] float32.
    """

    tangents: Tensor
    bitangents: Tensor
    normals: Tensor

    def outside(self, values: Tensor) -> Tensor:
        """[T, 3] unit vectors in space, of values [T, 3] in the frames."""
        parts = (self.tangents, self.bitangents, self.normals)
        total = sum(values[:, k : k + 1] * part for k, part in enumerate(parts))
        return F.normalize(torch.as_tensor(total), dim=1, eps=1e-20)

    def inside(self, normals: Tensor) -> Tensor:
        """[T, 3] unit vectors in the frames, of normals [T, 3] in space; the inverse of `outside`
        where they look outwards, and otherwise turned so that they do."""
        t, b, n = self.tangents, self.bitangents, self.normals
        of_b = (normals * b).sum(1) / (b * b).sum(1).clamp_min(1e-20)
        tt, tn, nn = (t * t).sum(1), (t * n).sum(1), (n * n).sum(1)
        to_t, to_n = (normals * t).sum(1), (normals * n).sum(1)
        whole = (tt * nn - tn * tn).clamp_min(1e-20)
        of_t, of_n = (nn * to_t - tn * to_n) / whole, (tt * to_n - tn * to_t) / whole
        flat = F.normalize(torch.stack([of_t, of_b, of_n], dim=1), dim=1, eps=1e-20)
        flat[:, 2].clamp_min_(LEAST_Z)
        return F.normalize(flat, dim=1, eps=1e-20)


def frames_at(mesh: Mesh, uvs: Tensor, face: Tensor, weights: Tensor) -> Frames:
    """The frames at places with barycentric coordinates [T, 3] in faces [T] of a mesh with corners
    uvs [F, 3, 2]."""
    tangents = corner_tangents(mesh, uvs)
    normals = normals_of(mesh)
    tangent, normal = torch.zeros(len(face), 3), torch.zeros(len(face), 3)
    for k in range(3):
        tangent += tangents[face, k, :3] * weights[:, k : k + 1]
        normal += normals[mesh.faces[face, k]] * weights[:, k : k + 1]
    sign = tangents[face, 0, 3:]
    return Frames(tangent, sign * torch.linalg.cross(normal, tangent), normal)


def normal_map(low: Mesh, uvs: Tensor, texels: Texels, dense: Mesh, padding: int) -> Tensor:
    """[S, S, 3] uint8, as `Texture.normals`: the normals of a dense mesh over a coarse one.

    Those of the nearest places that look the same way. Within `padding` texels of a chart what lies
    across its seam, in the frame on this side; farther away nothing is lost.

    Args:
        low: the coarse mesh. uvs: [F, 3, 2] its corners in the picture. texels: those on it.
    """
    frames = frames_at(low, uvs, texels.face, texels.weights)
    points = texels.interpolated(low.vertices, low.faces)
    found = on_dense(dense, points, F.normalize(frames.normals, dim=1, eps=1e-20))
    around = picture_of(texels, found.normals, low, uvs, padding).view(-1, 3)
    image = torch.tensor([0.0, 0.0, 1.0]).repeat(texels.size**2, 1)
    image[texels.index] = frames.inside(found.normals)
    gutter, owner = _gutter(texels, padding)
    beside = Frames(frames.tangents[owner], frames.bitangents[owner], frames.normals[owner])
    image[gutter] = beside.inside(around[gutter])
    return encoded(image).view(texels.size, texels.size, 3)


def encoded(values: Tensor) -> Tensor:
    """uint8 of numbers in -1..1."""
    return ((values + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def _gutter(texels: Texels, padding: int) -> tuple[Tensor, Tensor]:
    """The empty texels [G] within `padding` of a chart, and the rows [G] of `texels` nearest to
    them."""
    size = texels.size
    row_of = torch.full((size * size,), -1)
    row_of[texels.index] = torch.arange(len(texels.index))
    away, nearest = distance_transform_edt(
        (row_of < 0).view(size, size).numpy(), return_indices=True
    )
    away, nearest = torch.from_numpy(away).flatten(), torch.from_numpy(nearest).flatten(1).long()
    gutter = ((away > 0) & (away <= padding)).nonzero()[:, 0]
    return gutter, row_of[nearest[0, gutter] * size + nearest[1, gutter]]
