from __future__ import annotations

import dataclasses

import pytest
import torch

from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.data.views import View
from tondo.mesh.visible import agreement

K = torch.tensor([[40.0, 0, 18.2], [0, 42.0, 11.1], [0, 0, 1]])
CAMERA = Camera(torch.eye(4), K, 37, 22)
SHEET = Mesh(
    torch.tensor([[-9.0, -9, 4], [9, -9, 4], [9, 9, 4], [-9, 9, 4]]),
    torch.tensor([[0, 1, 2], [0, 2, 3]]),
    None,
    None,
)


def view(depth: torch.Tensor) -> View:
    return View(CAMERA, torch.zeros(22, 37, 3), depth, torch.ones(22, 37), None)


def test_share_of_the_pixels_that_are_near_the_mesh() -> None:
    depth = torch.full((22, 37), 4.02)
    depth[:11] = 4.5  # off
    depth[:, :7] = 0.0  # says nothing
    assert agreement(SHEET, [view(depth)], 0.1) == pytest.approx(0.5)
    assert agreement(SHEET, [view(depth), view(torch.full((22, 37), 4.0))], 0.1) > 0.7
    assert agreement(SHEET, [view(depth)], 1.0) == 1.0


def test_nothing_in_common_is_no_agreement() -> None:
    behind = dataclasses.replace(SHEET, vertices=-SHEET.vertices)
    assert agreement(behind, [view(torch.full((22, 37), 4.0))], 1.0) == 0.0
    assert agreement(SHEET, [], 1.0) == 0.0
