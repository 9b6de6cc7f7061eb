"""How good places in a texture are, where it is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import trimesh
from skimage.measure import marching_cubes
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.demo.shape import distance
from tondo.evaluation.uv_quality import chart_of, overlapping, uv_quality
from tondo.texture.unwrap import unwrap


def grid(count: int = 4) -> tuple[Mesh, Tensor]:
    """The unit square in the plane z = 0 in count x count x 2 faces, and its places in the middle
    half of the texture, y upwards."""
    line = torch.arange(count + 1) / count
    y, x = torch.meshgrid(line, line, indexing="ij")
    vertices = torch.stack([x, y, torch.zeros_like(x)], dim=-1).reshape(-1, 3)
    faces = []
    for i in range(count):
        for j in range(count):
            a = i * (count + 1) + j
            faces += [[a, a + 1, a + count + 2], [a, a + count + 2, a + count + 1]]
    mesh = Mesh(vertices, torch.tensor(faces))
    flat = torch.stack([0.25 + 0.5 * vertices[:, 0], 0.75 - 0.5 * vertices[:, 1]], dim=1)
    return mesh, flat[mesh.faces]


def test_a_flat_square_is_kept() -> None:
    found = uv_quality(*grid())
    assert (found.charts, found.overlaps, found.mirrored, found.flat) == (1, 0, 0, 0)
    assert found.use == pytest.approx(0.25)
    assert found.stretch == pytest.approx(1)
    assert found.angle == pytest.approx(1)
    assert found.even == 1


def test_one_direction_is_squeezed() -> None:
    mesh, uvs = grid()
    squeezed = torch.stack([uvs[..., 0], 0.5 * uvs[..., 1]], dim=-1)
    found = uv_quality(mesh, squeezed)
    # singular values 2 and 4 of the map to the surface; a texel is 8 times its area
    assert found.stretch == pytest.approx(math.sqrt((4 + 16) / 2 / 8))
    assert found.angle == pytest.approx((2 + 0.5) / 2)
    assert found.use == pytest.approx(0.125)


def test_half_of_the_surface_has_nearly_all_texels() -> None:
    mesh, uvs = grid()
    small = uvs.clone()
    small[16:] = 0.9 + 0.02 * uvs[16:]
    found = uv_quality(mesh, small)
    assert found.charts == 2
    assert found.even == pytest.approx(0.5)
    assert found.stretch > 3


def test_mirrored_and_flat_faces_are_counted() -> None:
    mesh, uvs = grid()
    other = uvs.clone()
    other[3] = uvs[3][:, [1, 0]]  # u and v exchanged, elsewhere in the square
    other[3] = other[3] * 0.1
    other[5] = 0.01
    found = uv_quality(mesh, other)
    assert (found.mirrored, found.flat) == (1, 1)
    assert found.charts == 3
    with pytest.raises(ValueError, match="no face has an area"):
        uv_quality(mesh, torch.full_like(uvs, 0.5))


def test_overlaps_are_those_of_all_pairs() -> None:
    generator = torch.Generator().manual_seed(5)
    middle = torch.rand(60, 1, 2, generator=generator)
    reach = 0.02 + 0.2 * torch.rand(60, 1, 1, generator=generator) ** 3
    uvs = middle + reach * torch.randn(60, 3, 2, generator=generator)
    uvs[7] = torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0001]])  # slender and long
    found = {tuple(pair) for pair in overlapping(uvs).tolist()}
    dots = torch.rand(40_000, 2, generator=generator).double() * 1.6 - 0.3
    inside = torch.stack([_inside(dots, one.double()) for one in uvs])
    for i in range(60):
        for j in range(i + 1, 60):
            if bool((inside[i] & inside[j]).any()):
                assert (i, j) in found
    exact = {(i, j) for i in range(60) for j in range(i + 1, 60) if _cut(uvs[i], uvs[j])}
    assert found == exact
    assert 20 < len(found) < 1000


def _inside(dots: Tensor, corners: Tensor) -> Tensor:
    sides = []
    for k in range(3):
        a, b = corners[k], corners[(k + 1) % 3]
        sides.append((b - a)[0] * (dots - a)[:, 1] - (b - a)[1] * (dots - a)[:, 0])
    signs = torch.stack(sides)
    return (signs > 0).all(dim=0) | (signs < 0).all(dim=0)


def _cut(a: Tensor, b: Tensor) -> bool:
    """Whether two triangles have an area in common, by cutting one with the sides of the other
    (Sutherland and Hodgman 1974)."""
    first, polygon = a.double().tolist(), b.double().tolist()
    sign = _turn(*first)
    for k in range(3):
        p, q = first[k], first[(k + 1) % 3]
        rest = []
        for i, here in enumerate(polygon):
            there = polygon[(i + 1) % len(polygon)]
            one, two = (sign * _turn(p, q, place) for place in (here, there))
            if one >= 0:
                rest.append(here)
            if one * two < 0:
                t = one / (one - two)
                rest.append([here[x] + t * (there[x] - here[x]) for x in (0, 1)])
        polygon = rest
    area = sum(
        _turn([0, 0], *pair) for pair in zip(polygon, [*polygon[1:], *polygon[:1]], strict=True)
    )
    return abs(area) > 1e-12


def _turn(p: list[float], q: list[float], r: list[float]) -> float:
    return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])


def test_faces_that_share_a_side_or_a_corner_do_not_overlap() -> None:
    mesh, uvs = grid(9)
    turned = (uvs - 0.5) @ torch.tensor([[0.8, 0.6], [-0.6, 0.8]]) + 0.5
    assert not len(overlapping(turned))
    assert len(overlapping(torch.cat([turned, turned[40:41]]))) >= 1
    assert (chart_of(mesh.faces, uvs) == 0).all()


def of(shape: trimesh.Trimesh) -> Mesh:
    vertices = torch.from_numpy(np.array(shape.vertices, np.float32))
    return Mesh(vertices, torch.from_numpy(np.array(shape.faces, np.int64)))


def demo_mesh() -> Mesh:
    """The object of the demo, coarsely."""
    line = torch.linspace(-1.3, 1.3, 61)
    values = distance(*torch.meshgrid(line, line, line, indexing="ij"))
    corners, faces, _, _ = marching_cubes(values.numpy(), 0.0, gradient_direction="ascent")
    vertices = torch.from_numpy(np.ascontiguousarray(corners, np.float32))
    return Mesh(vertices, torch.from_numpy(faces.astype(np.int64)))


def with_an_edge_of_four_faces() -> Mesh:
    """Two boxes that touch along an edge, welded there."""
    a = trimesh.creation.box().subdivide()
    corners = np.concatenate([a.vertices, a.vertices + np.array([1, 1, 0])])
    both = trimesh.Trimesh(corners, np.concatenate([a.faces, a.faces + len(a.vertices)]))
    both.merge_vertices()
    return of(both)


@pytest.mark.parametrize("name", ["ball", "torus", "object", "four faces"])
def test_unwrapped_meshes_have_no_overlap_and_none_is_mirrored(name: str) -> None:
    mesh = {
        "ball": lambda: of(trimesh.creation.icosphere(3)),
        "torus": lambda: of(trimesh.creation.torus(1, 0.4, 40, 24)),
        "object": demo_mesh,
        "four faces": with_an_edge_of_four_faces,
    }[name]()
    found = uv_quality(mesh, unwrap(mesh, 1024).uvs)
    assert (found.overlaps, found.mirrored, found.flat) == (0, 0, 0)
    assert found.use > 0.4
    assert found.stretch < 1.3
    assert found.even > 0.95
