from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
import trimesh

from bumpy import ball
from tondo.data.mesh import Mesh
from tondo.geometry.mesh import vertex_normals
from tondo.mesh.simplify import simplify
from tondo.texture.dense import on_dense, search_of


def test_the_places_are_the_nearest_ones() -> None:
    dense = ball(5, 0.08)
    low = simplify(dense, 800)
    points, normals = low.vertices[low.faces].mean(dim=1), torch.empty(len(low.faces), 3)
    normals = F.normalize(vertex_normals(low.vertices, low.faces)[low.faces].mean(dim=1), dim=1)
    found = on_dense(search_of(dense), points, normals)
    corners = dense.vertices[dense.faces].double().numpy()
    of_vertices = vertex_normals(dense.vertices, dense.faces)
    off, turned = [], []
    for point, at, normal in zip(points[::8], found.points[::8], found.normals[::8], strict=True):
        here = np.tile(point.double().numpy(), (len(corners), 1))
        nearest = trimesh.triangles.closest_point(corners, here)
        face = int(np.linalg.norm(nearest - here, axis=1).argmin())
        true = torch.from_numpy(nearest[face]).float()
        off.append(float((at - point).norm() - (true - point).norm()))
        weights = trimesh.triangles.points_to_barycentric(corners[[face]], nearest[[face]])
        weights = torch.from_numpy(weights[0]).float()[:, None]
        unit = F.normalize((of_vertices[dense.faces[face]] * weights).sum(dim=0), dim=0)
        turned.append(float((unit * normal).sum().clamp(-1, 1).arccos().rad2deg()))
    assert len(off) >= 90
    assert max(off) < 2e-3  # the edges of the dense mesh are 0.035 long
    assert np.median(turned) < 0.05
    assert np.quantile(turned, 0.95) < 1.0


def test_the_other_side_of_something_thin_is_not_taken() -> None:
    top = trimesh.creation.box([2, 2, 0.02]).subdivide_to_size(0.2)
    dense = Mesh(torch.tensor(top.vertices).float(), torch.tensor(top.faces))
    points = torch.rand(500, 3, generator=torch.Generator().manual_seed(1)) - 0.5
    points[:, 2] = -0.05
    up = torch.tensor([0.0, 0.0, 1.0]).repeat(500, 1)
    found = on_dense(search_of(dense), points, up)
    assert (found.points[:, 2] - 0.01).abs().max() < 1e-6
    assert (found.normals[:, 2] > 0.9).all()


def test_what_finds_nothing_is_kept() -> None:
    points, normals = torch.rand(5, 3), torch.tensor([0.0, 0.0, -1.0]).repeat(5, 1)
    dense = Mesh(torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]), torch.tensor([[0, 1, 2]]))
    for mesh in (dense, Mesh(dense.vertices, dense.faces[:0])):
        found = on_dense(search_of(mesh), points, normals)
        assert (found.points == points).all()
        assert (found.normals == normals).all()
    assert on_dense(search_of(dense), points[:0], normals[:0]).points.shape == (0, 3)


def test_a_place_beside_a_face_is_drawn_to_its_border() -> None:
    corners = torch.tensor([[0.0, 0, 0], [2, 0, 0], [0, 2, 0]])
    of_corners = F.normalize(torch.tensor([[0.0, 0, 1], [1, 0, 1], [0, 1, 1]]), dim=1)
    dense = Mesh(corners, torch.tensor([[0, 1, 2]]), normals=of_corners)
    points = torch.tensor([[0.5, 0.5, 3.0], [-1, -1, 0], [1, -5, 0], [0, 2, 1]])
    found = on_dense(search_of(dense), points, torch.tensor([0.0, 0, 1]).repeat(4, 1))
    expected = torch.tensor([[0.5, 0.5, 0], [0, 0, 0], [0, 2, 0]])
    assert (found.points[[0, 1, 3]] - expected).abs().max() < 1e-6
    assert float(found.points[2, 1]) == 0  # on the border, where not at its nearest place
    middle = F.normalize(0.5 * of_corners[0] + 0.25 * of_corners[1] + 0.25 * of_corners[2], dim=0)
    assert (found.normals[0] - middle).abs().max() < 1e-6
