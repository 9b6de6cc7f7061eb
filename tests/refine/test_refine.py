"""A mesh is moved to where photographs agree."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bumpy import ball
from relief import PIXEL, patterned, photographed
from tondo.data.mesh import Mesh
from tondo.kernels.threads import num_threads, set_num_threads
from tondo.refine.refine import agreement, refined
from tondo.refine.views import shown
from tondo.runs.watch import Watch

HEIGHT = 0.03


@pytest.fixture(scope="module")
def pictures() -> list:
    return photographed(patterned(ball(6, HEIGHT)))


def misplaced(mesh: Mesh) -> Tensor:
    """[V] how far vertices are off the relief, along their radius, in pixels."""
    radius = mesh.vertices.norm(dim=1)
    unit = mesh.vertices / radius[:, None]
    bumps = torch.sin(11 * unit[:, 0] + 1) * torch.sin(12 * unit[:, 1]) * torch.cos(10 * unit[:, 2])
    return (radius - 1 - HEIGHT * bumps).abs() / PIXEL


def test_relief_that_a_mesh_has_lost_comes_back(pictures: list) -> None:
    flat = ball(5)
    better = refined(flat, pictures)
    assert float(misplaced(flat).mean()) > 0.5
    assert float(misplaced(better).mean()) < 0.5 * float(misplaced(flat).mean())
    assert torch.equal(better.faces, flat.faces)
    assert better.normals is not None
    seen = shown(flat, flat.vertices, pictures)
    assert agreement(better, pictures, seen) > agreement(flat, pictures, seen) + 0.1


def test_where_nothing_is_to_be_seen_nothing_moves() -> None:
    flat = ball(4)
    better = refined(flat, photographed(patterned(ball(5, HEIGHT), contrast=0.0), 8))
    assert float((better.vertices - flat.vertices).norm(dim=1).max()) < 0.1 * PIXEL


def test_what_makes_pictures_agree_less_is_not_kept(
    pictures: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def away(*given: object) -> Tensor:
        return torch.full((len(ball(4).vertices),), 3.0)

    monkeypatch.setattr("tondo.refine.refine.displacements", away)
    right = ball(4, HEIGHT)
    assert refined(right, pictures, Watch(note=said.append)) is right
    assert said == ["the mesh is not moved by the photographs: their patches agree no better then"]


def test_two_photographs_are_too_few(pictures: list) -> None:
    flat = ball(3)
    assert refined(flat, pictures[:2]) is flat
    nothing = Mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64))
    assert refined(nothing, pictures) is nothing


def test_six_photographs_do_no_harm(pictures: list) -> None:
    flat = ball(5)
    better = refined(flat, pictures[::4])
    assert float(misplaced(better).mean()) < 1.02 * float(misplaced(flat).mean())


def test_the_same_bits_on_any_number_of_threads(pictures: list) -> None:
    before = num_threads()
    found = []
    try:
        for threads in (1, 3):
            set_num_threads(threads)
            found.append(refined(ball(4), pictures[:9]).vertices)
    finally:
        set_num_threads(before)
    assert torch.equal(*found)
