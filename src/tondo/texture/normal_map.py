"""Normal maps: what a coarse mesh lost of the dense one, as a picture over it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.kernels.threads import torch_threads
from tondo.texture.dense import on_dense, parts, search_of
from tondo.texture.fill import picture_of
from tondo.texture.tangents import corner_tangents, normals_of
from tondo.texture.texels import Texels, interpolated

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


@dataclass(frozen=True)
class Shading:
    """What the frames of a mesh are interpolated from.

    Attributes:
        mesh: with normals.
        tangents: [F, 3, 4] float32, as `corner_tangents`.
    """

    mesh: Mesh
    tangents: Tensor

    def frames(self, face: Tensor, weights: Tensor) -> Frames:
        """At places with barycentric coordinates [T, 3] in faces [T]."""
        normal = interpolated(normals_of(self.mesh), self.mesh.faces[face], weights)
        tangent = sum(self.tangents[face, k, :3] * weights[:, k : k + 1] for k in range(3))
        tangent = torch.as_tensor(tangent)
        bitangent = self.tangents[face, 0, 3:] * torch.linalg.cross(normal, tangent)
        return Frames(tangent, bitangent, normal)


def shading_of(mesh: Mesh, uvs: Tensor) -> Shading:
    """Of a mesh with corners uvs [F, 3, 2]."""
    whole = Mesh(mesh.vertices, mesh.faces, normals=normals_of(mesh))
    return Shading(whole, corner_tangents(whole, uvs))


def normal_map(low: Mesh, uvs: Tensor, texels: Texels, dense: Mesh, padding: int) -> Tensor:
    """[S, S, 3] uint8, as `Texture.normals`: the normals of a dense mesh over a coarse one.

    Those of the nearest places that look the same way. Within `padding` texels of a chart what lies
    across its seam, in the frame on this side; farther away nothing is lost.

    Args:
        low: the coarse mesh. uvs: [F, 3, 2] its corners in the picture. texels: those on it.
    """
    search, shading = search_of(dense), shading_of(low, uvs)
    normals = torch.empty(len(texels.face), 3)
    image = encoded(torch.tensor([0.0, 0.0, 1.0])).repeat(texels.size**2, 1)
    with torch_threads(1):  # the parts are too small for more
        for part in parts(len(normals)):
            face, weights = texels.face[part], texels.weights[part]
            frames = shading.frames(face, weights)
            points = interpolated(low.vertices, low.faces[face], weights)
            towards = F.normalize(frames.normals, dim=1, eps=1e-20)
            normals[part] = on_dense(search, points, towards).normals
            image[texels.index[part]] = encoded(frames.inside(normals[part]))
    around = picture_of(texels, normals, low, uvs, padding).view(-1, 3)
    gutter, owner = _gutter(texels, padding)
    with torch_threads(1):
        for part in parts(len(gutter)):
            beside = owner[part]
            frames = shading.frames(texels.face[beside], texels.weights[beside])
            image[gutter[part]] = encoded(frames.inside(around[gutter[part]]))
    return image.view(texels.size, texels.size, 3)


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
