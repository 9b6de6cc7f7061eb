"""Steps of colour across seams, where they are known."""

from __future__ import annotations

import pytest
import torch
from test_uv_quality import grid

from tondo.data.mesh import Mesh
from tondo.data.textured import Texture, TexturedMesh
from tondo.evaluation.seams import seam_steps, shared_edges

SIZE = 64


def ramp(step: float = 0.0) -> TexturedMesh:
    """The unit square cut in the middle (y = 0.5) into two charts; its colour rises along y by
    2 of 255 a texel, and by `step` of 255 more at the cut."""
    mesh, uvs = grid(4)
    top = uvs.clone()
    top[16:, :, 1] -= 0.125
    row = torch.arange(SIZE)[:, None].expand(SIZE, SIZE).float()
    # a place at y is in row 48 - 32 y, the upper half 8 rows higher
    y = torch.where(row < 28, (48 - 8 - row - 0.5) / 32, (48 - row - 0.5) / 32)
    value = 64 * y + step * (row < 28)
    color = value.round().clamp(0, 255)[..., None].expand(-1, -1, 3).to(torch.uint8)
    return TexturedMesh(mesh, top, Texture(color.contiguous()))


def test_a_seam_of_an_even_ramp_steps_as_far_as_any_texel() -> None:
    found = seam_steps(ramp())
    assert found is not None
    assert found.edges == 4
    assert found.length == pytest.approx(1)
    assert found.across == pytest.approx(2 / 255, rel=0.02)
    # edges along x have pairs along y, those along y none; those across half of it
    assert 0.4 < found.inside * 255 < 2
    assert 1 < found.ratio < 3


def test_a_step_at_the_seam_is_measured() -> None:
    found = seam_steps(ramp(20))
    assert found is not None
    assert found.across == pytest.approx(22 / 255, rel=0.02)
    assert found.ratio > 10


def test_steps_are_compared_with_those_of_places_that_fold_alike() -> None:
    """A surface with ridges along x, whose slopes differ by 40 of 255; a seam along one of them."""
    mesh, uvs = grid(24)
    height = 0.05 * (mesh.vertices[:, 1] * 24).round().remainder(2)
    folded = Mesh(mesh.vertices + torch.stack([0 * height, 0 * height, height], 1), mesh.faces)
    size = 24 * 16
    apart = uvs.clone()
    apart[24 * 24 :, :, 1] -= 16 / size
    row = torch.arange(size)[:, None].expand(size, size)
    row = torch.where(row < size // 2 - 8, row + 16, row)
    slope = (row // 8) % 2  # a strip of the surface is 8 rows high
    color = (100 + 40 * slope)[..., None].expand(-1, -1, 3).to(torch.uint8)
    found = seam_steps(TexturedMesh(folded, apart, Texture(color.contiguous())))
    assert found is not None
    assert found.edges == 24
    assert found.across == pytest.approx(40 / 255, rel=0.05)
    assert found.inside_alike == pytest.approx(40 / 255, rel=0.05)
    assert found.ratio_alike == pytest.approx(1, rel=0.05)
    assert found.ratio > 2


def test_one_chart_has_no_seam() -> None:
    mesh, uvs = grid(3)
    texture = Texture(torch.zeros(8, 8, 3, dtype=torch.uint8))
    assert seam_steps(TexturedMesh(mesh, uvs, texture)) is None


def test_edges_of_two_faces() -> None:
    faces = torch.tensor([[0, 1, 2], [2, 1, 3], [1, 2, 4], [5, 6, 7]]).numpy()
    pairs, corner = shared_edges(faces)
    assert pairs.tolist() == [], "the edge 1, 2 has three faces"
    pairs, corner = shared_edges(faces[:2])
    assert pairs.tolist() == [[0, 1]]
    assert corner.tolist() == [[1, 0]]
