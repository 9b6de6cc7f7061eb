from __future__ import annotations

import pytest
import torch

from textured_cube import textured_cube
from tondo.errors import InputError
from tondo.texture.own_uvs import check_uvs, overlap


def test_tidy_uvs_pass() -> None:
    uvs = textured_cube().uvs
    check_uvs(uvs, "a.glb")
    used, twice = overlap(uvs)
    assert used / 1021**2 == pytest.approx(0.8 * 0.8, abs=0.002)  # each chart is 0.8 of its cell
    assert twice == 0


def test_a_grid_with_shared_edges_does_not_overlap() -> None:
    step = torch.arange(0, 1, 1 / 32)
    low = torch.cartesian_prod(step, step)
    corners = torch.tensor([[[0, 0], [0, 1], [1, 1]], [[0, 0], [1, 1], [1, 0]]]) / 32
    uvs = (low[:, None, None] + corners).reshape(-1, 3, 2)
    used, twice = overlap(uvs)
    assert used == 1021**2
    assert twice < 0.005 * used  # the diagonal goes through centres of texels


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda uvs: uvs + torch.tensor([0.0, 0.5]), "reach from 0.0333 to 1.45"),
        (lambda uvs: -uvs, "reach from -0.967"),
        (lambda uvs: torch.zeros_like(uvs), "no area"),
        (lambda uvs: torch.cat([uvs[:2], uvs[:-2]]), "20% of its UVs overlap"),
        (lambda uvs: uvs.clone().flip(1)[:, :, [1, 0]][:6].repeat(2, 1, 1), "100%"),
    ],
    ids=["above", "below", "nowhere", "two sides in one place", "all twice"],
)
def test_uvs_that_cannot_be_used_are_one_sentence(change: object, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        check_uvs(change(textured_cube().uvs), "mine.glb")  # type: ignore[operator]
    assert str(caught.value).startswith("mine.glb: ")


def test_one_face_alone_and_small_overlaps_pass() -> None:
    uvs = torch.tensor([[[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])
    check_uvs(uvs, "a.obj")
    small = torch.tensor([[[0.1, 0.9], [0.1, 0.96], [0.16, 0.96]]])
    used, twice = overlap(torch.cat([uvs, small]))
    assert twice / used == pytest.approx(0.06**2, rel=0.1)
    check_uvs(torch.cat([uvs, small]), "a.obj")
