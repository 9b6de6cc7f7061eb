from __future__ import annotations

import pytest
import torch
import trimesh

from tondo import _native
from tondo.kernels.mesh_depth import mesh_depth
from tondo.kernels.mesh_depth_torch import mesh_depth_torch

VIEWMAT = torch.tensor([[0.8, 0, 0.6, 0.1], [0, 1, 0, -0.05], [-0.6, 0, 0.8, 3.0], [0, 0, 0, 1.0]])
K = torch.tensor([[60.0, 0.0, 21.0], [0.0, 64.0, 14.5], [0.0, 0.0, 1.0]])
SIZE = (43, 75)  # more than one band of rows


def ball() -> tuple[torch.Tensor, torch.Tensor]:
    model = trimesh.creation.icosphere(subdivisions=3, radius=0.9)
    return torch.tensor(model.vertices, dtype=torch.float32), torch.tensor(model.faces)


def test_native_is_the_twin() -> None:
    vertices, faces = ball()
    depth, face = mesh_depth(vertices, faces, VIEWMAT, K, *SIZE)
    twin, twin_face = mesh_depth_torch(vertices, faces, VIEWMAT, K, *SIZE)
    assert (face == twin_face).float().mean() > 0.995  # a centre on an edge belongs to either face
    same = (face >= 0) & (twin_face >= 0)
    assert same.sum() > 700
    assert (depth - twin)[same].abs().max() < 1e-4


def test_depth_is_that_of_the_ball() -> None:
    vertices, faces = ball()
    depth, face = mesh_depth(vertices, faces, VIEWMAT, K, *SIZE)
    v, u = torch.meshgrid(torch.arange(75) + 0.5, torch.arange(43) + 0.5, indexing="ij")
    rays = torch.stack([(u - 21.0) / 60.0, (v - 14.5) / 64.0, torch.ones_like(u)], dim=-1)
    center = VIEWMAT[:3, 3]
    a, b = (rays * rays).sum(-1), (rays * center).sum(-1)
    root = b * b - a * ((center * center).sum() - 0.81)
    front = (b - root.clamp(min=0).sqrt()) / a
    inside = root > 0.3  # away from the outline, where the faces are chords of the ball
    assert inside.sum() > 500
    assert (depth - front)[inside].abs().max() < 0.02
    assert (face[root < 0] == -1).all()
    assert (depth[root < 0] == 0).all()


def test_faces_behind_the_camera_are_left_out() -> None:
    vertices = torch.tensor([[-9.0, -9, 1], [9, -9, 1], [0, 9, 1], [0, 0, -1]])
    faces = torch.tensor([[0, 1, 3], [0, 1, 2]])
    _, face = mesh_depth(vertices, faces, torch.eye(4), K, *SIZE)
    assert set(face.flatten().tolist()) == {1}
    empty = torch.empty(0, 3, dtype=torch.int64)
    for function in (mesh_depth, mesh_depth_torch):
        assert (function(vertices, empty, torch.eye(4), K, *SIZE)[1] == -1).all()


def test_any_number_of_threads_gives_the_same_bits() -> None:
    before = _native.num_threads()
    try:
        found = []
        for threads in (1, 3):
            _native.set_num_threads(threads)
            found.append(mesh_depth(*ball(), VIEWMAT, K, *SIZE)[0])
    finally:
        _native.set_num_threads(before)
    assert torch.equal(found[0], found[1])


def test_wrong_calls_are_refused() -> None:
    vertices, faces = ball()
    with pytest.raises(ValueError, match="not among the"):
        mesh_depth(vertices, faces + 600, VIEWMAT, K, *SIZE)
    with pytest.raises(TypeError, match="faces"):
        mesh_depth(vertices, faces.int(), VIEWMAT, K, *SIZE)
    with pytest.raises(ValueError, match="1x1"):
        mesh_depth(vertices, faces, VIEWMAT, K, 0, 5)
