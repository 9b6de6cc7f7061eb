from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bumpy import ball
from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.geometry.mesh import vertex_normals
from tondo.mesh.render import sampled, surface_samples
from tondo.mesh.simplify import simplify
from tondo.scenes.to_mesh import cameras_around
from tondo.texture.normal_map import Frames, encoded, normal_map, shading_of
from tondo.texture.texels import texels_of
from tondo.texture.unwrap import padding_of, unwrap

SIZE = 256


def shaded_normals(
    mesh: Mesh, camera: Camera, uvs: Tensor | None = None, map_: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """[H, W, 3] unit normals that a shader has, with a normal map or without, and [H, W] bool: the
    mesh is there."""
    found = surface_samples(mesh, camera, 1)
    covered = found.face[..., 0] >= 0
    face, weights = found.face[..., 0][covered], found.weights[..., 0, :][covered]
    if uvs is None or map_ is None:
        normals = vertex_normals(mesh.vertices, mesh.faces)
        values = (normals[mesh.faces[face]] * weights[..., None]).sum(dim=1)
    else:
        at = (uvs[face] * weights[..., None]).sum(dim=1)
        values = shading_of(mesh, uvs).frames(face, weights).outside(2 * sampled(map_, at) - 1)
    image = torch.zeros(*covered.shape, 3)
    image[covered] = F.normalize(values, dim=1)
    return image, covered


def angles(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> Tensor:
    """Degrees between two pictures' normals, where both meshes are."""
    both = a[1] & b[1]
    return (a[0][both] * b[0][both]).sum(dim=1).clamp(-1, 1).arccos().rad2deg()


def test_it_halves_what_the_coarse_mesh_is_off() -> None:
    dense = ball(6, 0.06)
    low = simplify(dense, 2000)
    uvs = unwrap(low, SIZE).uvs
    found = normal_map(low, uvs, texels_of(uvs, SIZE), dense, padding_of(SIZE))
    assert found.shape == (SIZE, SIZE, 3)
    assert found.dtype == torch.uint8
    without, with_map = [], []
    for camera in cameras_around(torch.zeros(3), 1.0, 24, 120):
        true = shaded_normals(dense, camera)
        without.append(angles(shaded_normals(low, camera), true))
        with_map.append(angles(shaded_normals(low, camera, uvs, found), true))
    plain, mapped = (float(torch.cat(one).median()) for one in (without, with_map))
    assert plain > 2
    assert mapped < 0.35 * plain


def test_seams_do_not_show() -> None:
    """Of a smooth ball all normals are known; a texel of the wrong frame would be far off."""
    dense, low = ball(5), ball(2)
    uvs = unwrap(low, SIZE).uvs
    found = normal_map(low, uvs, texels_of(uvs, SIZE), dense, padding_of(SIZE))
    generator = torch.Generator().manual_seed(2)
    weights = torch.rand(len(low.faces), 3, 3, generator=generator)
    weights[:, :, 2] = 0.0  # on the edges, seams or not
    weights = torch.cat([weights, weights.roll(1, dims=2), weights.roll(2, dims=2)], dim=1)
    weights = (weights / weights.sum(dim=2, keepdim=True)).view(-1, 3)
    face = torch.arange(len(low.faces)).repeat_interleave(9)
    at = (uvs[face] * weights[..., None]).sum(dim=1)
    values = shading_of(low, uvs).frames(face, weights).outside(2 * sampled(found, at) - 1)
    points = (low.vertices[low.faces[face]] * weights[..., None]).sum(dim=1)
    off = (F.normalize(points, dim=1) * values).sum(dim=1).clamp(-1, 1).arccos().rad2deg()
    assert float(off.median()) < 0.4  # 8 bits are half of that
    assert float(off.max()) < 2.5


def test_red_is_right_and_green_is_up() -> None:
    """A flat square whose dense mesh slopes: what looks right is red, what looks up is green."""
    points = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    uvs = torch.tensor([[0.0, 1], [1, 1], [1, 0], [0, 0]])[faces]
    low = Mesh(points, faces, normals=torch.tensor([0.0, 0, 1]).repeat(4, 1))
    for axis, channel in ((0, 0), (1, 1)):
        normal = F.normalize(torch.eye(3)[axis] + torch.tensor([0.0, 0, 1]), dim=0)
        dense = Mesh(points, faces, normals=normal.repeat(4, 1))
        found = normal_map(low, uvs, texels_of(uvs, 16), dense, 1)[8, 5]
        expected = encoded(torch.eye(3)[channel] * 0.5**0.5 + torch.tensor([0.0, 0, 0.5**0.5]))
        assert (found.int() - expected.int()).abs().max() <= 1


def test_frames_there_and_back() -> None:
    generator = torch.Generator().manual_seed(5)
    normals = F.normalize(torch.randn(400, 3, generator=generator), dim=1)
    tangents = F.normalize(torch.randn(400, 3, generator=generator), dim=1)
    frames = Frames(tangents, torch.linalg.cross(normals, tangents), 0.8 * normals)
    values = F.normalize(torch.randn(400, 3, generator=generator), dim=1)
    values = F.normalize(torch.cat([values[:, :2], values[:, 2:].abs() + 0.2], dim=1), dim=1)
    usable = (tangents * normals).sum(dim=1).abs() < 0.9
    back = frames.inside(frames.outside(values))
    assert (back - values)[usable].abs().max() < 1e-3
    away = frames.inside(-normals)
    assert (away[:, 2] > 0).all()
