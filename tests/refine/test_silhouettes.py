from __future__ import annotations

from dataclasses import replace

import torch

from tondo.data.cameras import Camera
from tondo.data.views import View
from tondo.refine.silhouettes import cut
from tondo.texture.bake import Picture, show_one_object

K = torch.tensor([[40.0, 0, 18.2], [0, 42.0, 11.1], [0, 0, 1]])
CAMERA = Camera(torch.eye(4), K, 36, 22)


def picture(mask: torch.Tensor) -> Picture:
    height, width = mask.shape
    camera = Camera(torch.eye(4), K, width, height)
    return Picture(camera, torch.zeros(height, width, 3, dtype=torch.uint8), mask, alone=True)


def test_masks_of_one_object_leave_the_border_out() -> None:
    around = torch.zeros(22, 36)
    around[5:15, 9:30] = 1.0
    standing = around.clone()
    standing[15:, 15:20] = 1.0  # on something that leaves the picture
    assert show_one_object([picture(around), picture(standing)])
    walker = torch.ones(22, 36)
    walker[6:22, 10:16] = 0.0
    assert not show_one_object([picture(walker), picture(walker)])
    assert not show_one_object([picture(torch.ones(22, 36))])
    assert not show_one_object([picture(around), picture(torch.zeros(22, 36))])
    assert not show_one_object([])
    unknown = [replace(picture(mask), alone=False) for mask in (around, standing)]
    assert not show_one_object(unknown)  # something may hide the object
    assert not show_one_object([picture(around)] * 4)  # of a lens


def test_views_show_nothing_outside_of_masks_of_another_size() -> None:
    mask = torch.zeros(44, 72)
    mask[:, 36:] = 1.0
    full = torch.ones(22, 36)
    view = cut(View(CAMERA, torch.zeros(22, 36, 3), 4 * full, full, None), mask)
    assert not view.alpha[:, :18].any()
    assert not view.depth[:, :18].any()
    assert torch.equal(view.alpha[:, 18:], full[:, 18:])
    assert not view.depth[:, 18].any()  # beside the edge
    assert torch.equal(view.depth[:, 19:], 4 * full[:, 19:])
