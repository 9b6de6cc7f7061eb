from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from blender import in_blender
from bumpy import ball
from tondo.data.mesh import Mesh
from tondo.texture.tangents import corner_tangents
from tondo.texture.unwrap import unwrap

SCRIPT = """
import bpy, json, sys
found = []
for one in json.load(open(sys.argv[sys.argv.index("--") + 1])):
    mesh = bpy.data.meshes.new("a")
    mesh.from_pydata(one["points"], [], one["faces"])
    layer = mesh.uv_layers.new(name="UVMap")
    for loop, uv in enumerate(one["uvs"]):
        layer.data[loop].uv = uv
    for polygon in mesh.polygons:
        polygon.use_smooth = True
    mesh.calc_tangents()
    found.append({"normals": [list(loop.normal) for loop in mesh.loops],
                  "tangents": [[*loop.tangent, loop.bitangent_sign] for loop in mesh.loops]})
print("RESULT" + json.dumps(found))
"""


def upwards(uvs: torch.Tensor) -> list[Any]:
    """As Blender has them."""
    return (uvs * torch.tensor([1.0, -1.0]) + torch.tensor([0.0, 1.0])).view(-1, 2).tolist()


def mirrored(mesh: Mesh) -> torch.Tensor:
    """Both halves of a ball on one place of the picture; the front half is seen in a mirror.

    Poles and the rim leave some faces without area in the picture."""
    return (0.5 + 0.45 * mesh.vertices[:, [0, 2]])[mesh.faces].contiguous()


def test_they_are_those_of_mikktspace(tmp_path: Path) -> None:
    mesh = ball(3, 0.1)
    cases = [unwrap(mesh, 256).uvs, mirrored(mesh)]
    asked = [
        {"points": mesh.vertices.tolist(), "faces": mesh.faces.tolist(), "uvs": upwards(uvs)}
        for uvs in cases
    ]
    (tmp_path / "meshes.json").write_text(json.dumps(asked))
    for uvs, found in zip(cases, in_blender(tmp_path / "meshes.json", SCRIPT), strict=True):
        normals = torch.empty_like(mesh.vertices)
        normals[mesh.faces.flatten()] = torch.tensor(found["normals"])
        mine = corner_tangents(Mesh(mesh.vertices, mesh.faces, normals=normals), uvs)
        theirs = torch.tensor(found["tangents"]).view(-1, 3, 4)
        assert (mine[..., 3] == theirs[..., 3]).all()
        assert (mine - theirs).abs().max() < 1e-4
        assert (mine - theirs).abs().mean() < 2e-6
    assert set(mine[..., 3].flatten().tolist()) == {-1.0, 1.0}


def square() -> tuple[Mesh, torch.Tensor]:
    """In the plane z = 0, seen from +z; the picture lies on it upright."""
    points = torch.tensor([[0.0, 0, 0], [2, 0, 0], [2, 3, 0], [0, 3, 0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    uvs = torch.tensor([[0.1, 0.8], [0.7, 0.8], [0.7, 0.2], [0.1, 0.2]])
    return Mesh(points, faces), uvs[faces]


def test_of_a_picture_that_lies_upright_x_is_right_and_the_bitangent_up() -> None:
    mesh, uvs = square()
    found = corner_tangents(mesh, uvs)
    assert found.shape == (2, 3, 4)
    assert found.dtype == torch.float32
    assert (found == torch.tensor([1.0, 0, 0, 1])).all()
    flipped = corner_tangents(mesh, uvs * torch.tensor([-1.0, 1.0]) + torch.tensor([1.0, 0.0]))
    assert (flipped == torch.tensor([-1.0, 0, 0, -1])).all()


def test_faces_without_area_get_what_is_beside_them() -> None:
    mesh, uvs = square()
    faces = torch.cat([mesh.faces, torch.tensor([[1, 2, 2], [2, 3, 3]])])
    extra = torch.stack([uvs[0, [1, 2, 2]], uvs[1, [1, 2, 2]]])
    found = corner_tangents(Mesh(mesh.vertices, faces), torch.cat([uvs, extra]))
    assert (found == torch.tensor([1.0, 0, 0, 1])).all()
    nothing = corner_tangents(mesh, torch.full((2, 3, 2), 0.5))
    assert nothing[..., :3].norm(dim=-1).numpy() == pytest.approx(1)
    assert (nothing[..., 2] == 0).all()  # across the normal
    assert (nothing[..., 3].abs() == 1).all()


def test_meshes_of_any_kind_give_finite_unit_vectors() -> None:
    generator = torch.Generator().manual_seed(3)
    points = torch.randint(0, 3, (20, 3), generator=generator).float()  # many coincide
    faces = torch.randint(0, 20, (300, 3), generator=generator)  # edges of many faces
    uvs = torch.randint(0, 4, (300, 3, 2), generator=generator) / 4
    found = corner_tangents(Mesh(points, faces), uvs)
    assert found[..., :3].norm(dim=-1).numpy() == pytest.approx(1, abs=1e-5)
    assert np.isin(found[..., 3].numpy(), [-1, 1]).all()
    empty = corner_tangents(Mesh(points, faces[:0]), uvs[:0])
    assert empty.shape == (0, 3, 4)
