"""How well photographs agree about a surface: native code against its definition."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import trimesh

from tondo.geometry.look_at import look_at
from tondo.kernels.mesh.patch_scores import patch_scores
from tondo.kernels.mesh.patch_scores_torch import (
    PatchPhotos,
    PatchPoints,
    PatchRule,
    patch_scores_torch,
    tangents,
)

SIZES = [(43, 31), (40, 37), (51, 29), (33, 30)]
RULE = PatchRule(side=5, noise=2.0, keep=0.5)


def photos() -> PatchPhotos:
    sizes = torch.tensor(SIZES)
    counts = sizes.prod(dim=1)
    projections = []
    for k, (width, height) in enumerate(SIZES):
        K = torch.tensor([[40.0, 0.0, width / 2 - 2], [0.0, 44.0, height / 2 + 1.5], [0, 0, 1.0]])
        turn = torch.tensor(0.4 * k)
        eye = torch.stack([3 * turn.sin(), 3 * turn.cos(), torch.tensor(0.3)])
        projections.append(K @ look_at(eye, torch.zeros(3), torch.tensor([0.0, 0.0, 1.0]))[:3])
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (int(counts.sum()), 3), generator=generator, dtype=torch.uint8)
    return PatchPhotos(pixels, counts.cumsum(0) - counts, sizes, torch.stack(projections))


def points() -> PatchPoints:
    """On a ball, with any photographs, also such that see it from behind or not at all."""
    model = trimesh.creation.icosphere(subdivisions=3, radius=0.8)
    places = torch.tensor(model.vertices).float()
    count, generator = len(places), torch.Generator().manual_seed(1)
    views = torch.randint(-1, len(SIZES), (count, 4), generator=generator, dtype=torch.int32)
    size = 0.03 + 0.03 * torch.rand(2, count, generator=generator)
    return PatchPoints(places, F.normalize(places, dim=1), size[0], size[1], views)


@pytest.mark.parametrize(("side", "keep"), [(5, 0.5), (3, 1.0), (4, 0.0)])
def test_native_is_the_twin(side: int, keep: float) -> None:
    rule = PatchRule(side, 2.0, keep)
    found, twin = (one(points(), photos(), rule, 7) for one in (patch_scores, patch_scores_torch))
    assert found.shape == (642, 7)
    assert float(twin.std()) > 0.2
    torch.testing.assert_close(found, twin, rtol=0, atol=1e-4)


def test_the_same_picture_agrees_with_itself_and_noise_alone_with_nothing() -> None:
    given, at = photos(), points()
    same = at._replace(views=torch.zeros(len(at.points), 2, dtype=torch.int32))
    scores = patch_scores(same, given, RULE, 3)
    assert float(scores.max()) > 0.98
    grey = given._replace(pixels=torch.full_like(given.pixels, 90))
    assert float(patch_scores(same, grey, RULE, 3).abs().max()) < 1e-3


def test_without_two_photographs_there_is_no_score() -> None:
    at = points()
    alone = at._replace(views=torch.where(torch.arange(4) == 2, at.views, -1))
    assert float(patch_scores(alone, photos(), RULE, 3).abs().max()) == 0
    behind = at._replace(points=at.points + 100)
    assert float(patch_scores(behind, photos(), RULE, 3).abs().max()) == 0


def test_tangents_are_at_right_angles() -> None:
    normals = points().normals
    a, b = tangents(normals)
    together = torch.stack([a, b, normals], dim=1)
    torch.testing.assert_close(
        together @ together.transpose(1, 2), torch.eye(3).expand(len(a), 3, 3), rtol=0, atol=1e-6
    )


def test_wrong_sizes_and_photographs_are_refused() -> None:
    at, given = points(), photos()
    with pytest.raises(ValueError, match="photograph that is not there"):
        patch_scores(at._replace(views=at.views + 4), given, RULE, 3)
    with pytest.raises(ValueError, match="not within the pixels"):
        patch_scores(at, given._replace(start=given.start + 1), RULE, 3)
    with pytest.raises(ValueError, match="side"):
        patch_scores(at, given, RULE._replace(side=10), 3)
