"""Meshes cut into charts."""

from __future__ import annotations

import pytest
import torch
import trimesh
import uvunwrap

from tondo.data.mesh import Mesh
from tondo.errors import OptionError
from tondo.runs.watch import Watch
from tondo.texture import unwrap as unwrapping
from tondo.texture.unwrap import padding_of, unwrap


def mesh_of(model: trimesh.Trimesh) -> Mesh:
    return Mesh(torch.tensor(model.vertices).float(), torch.tensor(model.faces).long())


def three_sheets() -> Mesh:
    """Three triangles at one edge."""
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0.5, 1, 0], [0.5, -1, 0.2], [0.5, 0, 1]])
    return Mesh(vertices, torch.tensor([[0, 1, 2], [1, 0, 3], [0, 1, 4]]))


def test_every_face_has_a_place_of_its_own() -> None:
    mesh = mesh_of(trimesh.creation.torus(1.0, 0.4, 24, 12))
    size = 256
    found = unwrap(mesh, size)
    assert found.uvs.shape == (len(mesh.faces), 3, 2)
    assert float(found.uvs.min()) >= 0
    assert float(found.uvs.max()) <= 1
    p, q = (found.uvs[:, k] - found.uvs[:, 0] for k in (1, 2))
    areas = 0.5 * (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0])
    assert bool((areas > 0).all()) or bool((areas < 0).all())  # none is mirrored
    assert 0.4 < float(areas.abs().sum()) < 1
    assert 1 <= found.charts < 30


def test_edges_of_three_faces_become_seams() -> None:
    assert unwrap(three_sheets(), 64).uvs.shape == (3, 3, 2)


def test_faces_without_area_do_no_harm() -> None:
    model = mesh_of(trimesh.creation.icosphere(2))
    bad = torch.tensor([[0, 0, 1], [2, 3, 2]])
    found = unwrap(Mesh(model.vertices, torch.cat([model.faces, bad])), 128)
    assert bool(found.uvs.isfinite().all())


def test_too_long_a_time_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unwrapping, "LONGEST", -1.0)
    with pytest.raises(OptionError, match="unwrapping 20,480 faces takes longer"):
        unwrap(mesh_of(trimesh.creation.icosphere(5)), 512)


def test_ctrl_c_cancels_it(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = []
    start = uvunwrap.start

    def remembered(*args: object, **kwargs: object) -> object:
        jobs.append(start(*args, **kwargs))
        return jobs[-1]

    def pressed(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(uvunwrap, "start", remembered)
    monkeypatch.setattr(unwrapping.time, "sleep", pressed)
    with pytest.raises(KeyboardInterrupt):
        unwrap(mesh_of(trimesh.creation.icosphere(6)), 512, Watch())
    with pytest.raises(uvunwrap.Cancelled):
        jobs[0].result()


def test_padding_grows_with_the_picture() -> None:
    assert [padding_of(size) for size in (64, 1024, 4096)] == [2, 4, 16]
