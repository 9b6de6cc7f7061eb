"""A cube whose six sides have a colour each, as a mesh with a texture."""

from __future__ import annotations

import torch

from tondo.data.mesh import Mesh
from tondo.data.similarity import IDENTITY, Similarity
from tondo.data.textured import Texture, TexturedMesh

WIDTH, HEIGHT = 48, 32  # of the texture: three sides beside each other, in two rows
SIDES = torch.tensor(  # colours of the sides -x, +x, -y, +y, -z, +z
    [[200, 40, 40], [40, 200, 40], [40, 40, 200], [200, 200, 40], [200, 40, 200], [40, 200, 200]],
    dtype=torch.uint8,
)


def quads() -> torch.Tensor:
    """[6, 4] the corners of the sides, counter-clockwise from outside; vertex 4 i + 2 j + k is at
    (i, j, k)."""
    return torch.tensor(
        [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    )


def textured_cube(
    *,
    maps: bool = False,
    place: Similarity = IDENTITY,
    size: tuple[float, float, float] = (1, 2, 3),
) -> TexturedMesh:
    """With one corner at the origin; with `maps`, normals that are flat and occlusion too."""
    grid = torch.cartesian_prod(*(torch.tensor([0.0, 1.0]),) * 3)
    corners = torch.tensor([[0, 1, 2], [0, 2, 3]])
    faces = quads()[:, corners].reshape(-1, 3)
    square = torch.tensor([[0.1, 0.1], [0.1, 0.9], [0.9, 0.9], [0.9, 0.1]])[corners]
    cells = torch.tensor([[k % 3, k // 3] for k in range(6)])
    uvs = (cells[:, None, None] + square[None]) / torch.tensor([3.0, 2.0])
    color = SIDES.view(2, 3, 3).repeat_interleave(16, 0).repeat_interleave(16, 1)
    texture = Texture(color.contiguous())
    if maps:
        flat = torch.tensor([128, 128, 255], dtype=torch.uint8).expand(HEIGHT, WIDTH, 3)
        occlusion = torch.arange(HEIGHT * WIDTH).view(HEIGHT, WIDTH) % 256
        texture = Texture(color, flat.contiguous(), occlusion.to(torch.uint8))
    mesh = Mesh(grid * torch.tensor(size), faces, None, None, place)
    return TexturedMesh(mesh, uvs.reshape(-1, 3, 2).contiguous(), texture)


def flat_tangents(mesh: Mesh, uvs: torch.Tensor) -> torch.Tensor:
    """[F, 3, 4] along each face's own side of the texture, for a cube."""
    a, b, c = mesh.vertices[mesh.faces].unbind(1)
    p, q, r = uvs.unbind(1)
    du, dv = (q - p), (r - p)
    area = du[:, 0] * dv[:, 1] - du[:, 1] * dv[:, 0]
    along = ((b - a) * dv[:, 1:] - (c - a) * du[:, 1:]) / area[:, None]
    unit = torch.nn.functional.normalize(along, dim=1)
    # glTF's v runs down the picture, so the bitangent turns with the other sign
    return torch.cat([unit, -torch.sign(area)[:, None]], dim=1)[:, None].expand(-1, 3, 4)
