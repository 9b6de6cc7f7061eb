"""Levels of detail with one texture."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import trimesh
from scipy.spatial import cKDTree

from tondo.data.mesh import Mesh
from tondo.data.textured import Texture, TexturedMesh
from tondo.mesh.manifold import defects
from tondo.runs.watch import Watch
from tondo.texture.lod import charted, levels
from tondo.texture.texels import texels_of
from tondo.texture.unwrap import padding_of, unwrap

SIZE = 512


def bumpy() -> trimesh.Trimesh:
    model = trimesh.creation.torus(0.7, 0.3, major_sections=90, minor_sections=40)
    waves = np.sin(model.vertices * [9, 8, 11]).sum(axis=1, keepdims=True)
    model.vertices += 0.01 * waves * model.vertex_normals
    return model


@functools.cache
def textured(cut: bool = False) -> TexturedMesh:
    """A bumpy torus of 7,200 faces in charts; with a border if `cut`."""
    model = bumpy()
    faces = torch.tensor(model.faces).long()
    vertices = torch.tensor(model.vertices).float()
    if cut:
        faces = faces[(vertices[faces][..., 0] < 0.5).all(dim=1)]
        used, faces = torch.unique(faces, return_inverse=True)
        vertices = vertices[used]
    mesh = Mesh(vertices, faces, normals=F.normalize(vertices, dim=1))
    found = unwrap(mesh, SIZE)
    return TexturedMesh(mesh, found.uvs, Texture(torch.zeros(SIZE, SIZE, 3, dtype=torch.uint8)))


def sampled(mesh: Mesh) -> torch.Tensor:
    model = trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=False)
    return torch.from_numpy(model.sample(30_000, seed=0))


def farthest(a: Mesh, b: Mesh, share: float = 0.95) -> float:
    """Hausdorff distance, but for 1 - `share` of the points."""
    p, q = sampled(a).numpy(), sampled(b).numpy()
    there, back = cKDTree(p).query(q)[0], cKDTree(q).query(p)[0]
    return max(float(torch.from_numpy(one).quantile(share)) for one in (there, back))


@pytest.mark.parametrize("cut", [False, True])
def test_each_level_has_a_quarter_of_the_faces_and_the_same_shape(cut: bool) -> None:
    model = textured(cut)
    chain = levels(model, 2)
    first = len(model.mesh.faces)
    assert chain[0] is model
    diagonal = float((model.mesh.vertices.amax(dim=0) - model.mesh.vertices.amin(dim=0)).norm())
    before = defects(model.mesh.faces)
    for level, one in enumerate(chain[1:], 1):
        assert 0.99 * first / 4**level - 2 <= len(one.mesh.faces) <= first / 4**level
        assert one.texture is model.texture
        assert farthest(model.mesh, one.mesh) < 0.015 * diagonal
        found = defects(one.mesh.faces)
        assert found.is_manifold
        assert bool(found.open_edges) == bool(before.open_edges) == cut
        assert one.mesh.normals is not None


@pytest.mark.parametrize("cut", [False, True])
def test_charts_stay_where_they_are_in_the_texture(cut: bool) -> None:
    model = textured(cut)
    fine = texels_of(model.uvs, SIZE)
    taken = torch.zeros(SIZE, SIZE)
    taken.view(-1)[fine.index] = 1
    reach = 2 * 2 * padding_of(SIZE) + 1
    around = F.max_pool2d(taken[None, None], reach, 1, reach // 2).flatten() > 0
    places = {tuple(uv) for uv in model.uvs.view(-1, 2).tolist()}
    for one in levels(model, 2)[1:]:
        assert {tuple(uv) for uv in one.uvs.view(-1, 2).tolist()} <= places
        p, q = one.uvs[:, 1] - one.uvs[:, 0], one.uvs[:, 2] - one.uvs[:, 0]
        area = p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]
        assert bool((area > 0).all()) or bool((area < 0).all())  # none is mirrored
        coarse = texels_of(one.uvs, SIZE)
        assert bool(around[coarse.index].all())  # in charts, or nearly
        assert len(coarse.index) == pytest.approx(len(fine.index), rel=0.03)
        # no two faces overlap
        assert float(area.abs().sum()) / 2 * SIZE**2 == pytest.approx(len(coarse.index), rel=0.01)


def test_a_point_of_the_texture_stays_at_its_place_in_space() -> None:
    model = textured()
    fine = texels_of(model.uvs, SIZE)
    where = torch.full((SIZE * SIZE, 3), torch.nan)
    where[fine.index] = fine.interpolated(model.mesh.vertices, model.mesh.faces)
    for one in levels(model, 2)[1:]:
        coarse = texels_of(one.uvs, SIZE)
        points = coarse.interpolated(one.mesh.vertices, one.mesh.faces)
        off = (points - where[coarse.index]).norm(dim=1)
        off = off[off.isfinite()]
        assert float(off.quantile(0.95)) < 0.04  # of a torus 2 wide


def test_seams_are_split_and_nothing_else() -> None:
    model = textured()
    surface = charted(model)
    assert surface.places is not None
    assert torch.equal(torch.from_numpy(surface.places[surface.faces]).float(), model.uvs)
    assert torch.equal(torch.from_numpy(surface.owner[surface.faces]), model.mesh.faces)
    assert len(surface.owner) < 1.4 * len(model.mesh.vertices)


def test_levels_that_seams_hold_say_so() -> None:
    notes: list[str] = []
    model = textured()
    apart = torch.rand(len(model.mesh.faces), 1, 2, generator=torch.Generator().manual_seed(0))
    scattered = TexturedMesh(model.mesh, (model.uvs + 2 * apart), model.texture)
    chain = levels(scattered, 1, Watch(note=notes.append))
    assert len(chain[1].mesh.faces) == len(model.mesh.faces)
    assert "level 1 has 7,200 faces instead of 1,800" in notes[0]


def test_no_level_and_wrong_counts() -> None:
    model = textured()
    assert levels(model, 0) == (model,)
    with pytest.raises(ValueError, match="at least 0"):
        levels(model, -1)
