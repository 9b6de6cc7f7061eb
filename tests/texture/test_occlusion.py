from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bumpy import ball, bowl
from tondo.data.mesh import Mesh
from tondo.texture.occlusion import ambient_occlusion, directions, open_sky
from tondo.texture.texels import texels_of
from tondo.texture.unwrap import unwrap

UP = torch.tensor([[0.0, 0.0, 1.0]])


def plate(half: tuple[float, float, float], centre: tuple[float, float, float]) -> Mesh:
    """A flat rectangle; one of the half sizes is 0."""
    across = [k for k in range(3) if half[k] > 0]
    corners = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    points = torch.tensor(centre).float().repeat(4, 1)
    for column, k in enumerate(across):
        points[:, k] += half[k] * corners[:, column]
    return Mesh(points, torch.tensor([[0, 1, 2], [0, 2, 3]]))


def together(*parts: Mesh) -> Mesh:
    starts = torch.tensor([0, *(len(one.vertices) for one in parts)]).cumsum(0)
    faces = [one.faces + start for one, start in zip(parts, starts.tolist(), strict=False)]
    return Mesh(torch.cat([one.vertices for one in parts]), torch.cat(faces))


def at(*points: tuple[float, float, float]) -> tuple[Tensor, Tensor]:
    return torch.tensor(points).float(), UP.repeat(len(points), 1)


FLOOR = plate((2, 2, 0), (0, 0, 0))


def test_nothing_hides_the_sky_of_a_plane() -> None:
    x, y = torch.meshgrid(torch.linspace(-1.9, 1.9, 9), torch.linspace(-1.9, 1.9, 9), indexing="ij")
    points = torch.stack([x, y, 0 * x], dim=-1).view(-1, 3)
    assert (open_sky(FLOOR, points, UP.expand_as(points)) == 1).all()
    assert (open_sky(ball(4), ball(3).vertices, ball(3).vertices) > 0.97).all()


def test_a_wall_hides_half_of_it_beside_itself() -> None:
    """At a distance d from a long wall of height h the part (1 - d / sqrt(d^2 + h^2)) / 2 is hidden
    (Nusselt's analog)."""
    mesh = together(plate((0.4, 9, 0), (0.4, 0, 0)), plate((0, 9, 0.3), (0, 0, 0.3)))
    distances = (0.06, 0.15, 0.3, 0.6)
    found = open_sky(mesh, *at(*((d, 0.02, 0) for d in distances)))
    expected = [0.5 + 0.5 * d / math.hypot(d, 0.6) for d in distances]
    assert found.tolist() == pytest.approx(expected, abs=0.05)


def test_a_plate_above_hides_its_form_factor() -> None:
    """Of a square of half side a at height h over its middle (Howell, configuration B-4 four
    times)."""
    for h in (0.15, 1.5):
        ratio = 0.5 / h
        root = math.sqrt(1 + ratio**2)
        hidden = 4 / math.pi * ratio / root * math.atan(ratio / root)
        found = open_sky(together(FLOOR, plate((0.5, 0.5, 0), (0, 0, h))), *at((0, 0, 0)))
        assert float(found) == pytest.approx(1 - hidden, abs=0.06)  # of some 60 directions
    assert hidden < 0.2


def test_within_a_closed_box_it_is_dark() -> None:
    walls = [plate((0, 1, 1), (x, 0, 0)) for x in (-1, 1)]
    walls += [plate((1, 0, 1), (0, y, 0)) for y in (-1, 1)]
    walls += [plate((1, 1, 0), (0, 0, z)) for z in (-1, 1)]
    found = open_sky(together(*walls), *at((0, 0, -1), (0.5, -0.3, -1), (0.8, 0.8, 0.3)))
    assert (found < 0.01).all()


def test_the_inside_of_a_bowl_is_evenly_half_dark() -> None:
    """Each place inside of a sphere sees each part of the sphere by its share of the area."""
    mesh = bowl()
    uvs = unwrap(mesh, 128).uvs
    found = ambient_occlusion(mesh, uvs, 128, mesh)
    assert found.shape == (128, 128)
    assert found.dtype == torch.uint8
    values = found.flatten()[texels_of(uvs, 128).index].float() / 255
    assert float(values.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(values.std()) < 0.04


def test_directions_are_spread_evenly() -> None:
    found = directions(128)
    assert (found.norm(dim=1) - 1).abs().max() < 1e-6
    assert found.mean(dim=0).abs().max() < 0.01
    nearest = (found @ found.T - 3 * torch.eye(128)).amax(dim=1).arccos()
    assert float(nearest.min()) > 0.7 * math.sqrt(4 * math.pi / 128)
