"""What masks leave out is no part of a mesh."""

from __future__ import annotations

from dataclasses import replace

import torch

from bumpy import ball
from relief import patterned, photographed
from tondo.data.mesh import Mesh
from tondo.refine.outside import within_masks
from tondo.refine.views import shown
from tondo.runs.watch import Watch


def with_a_fringe() -> tuple[Mesh, Mesh]:
    """A ball, and the same ball with a disc around its middle, beyond the masks."""
    body = ball(4)
    turn = torch.arange(60) * (2 * torch.pi / 60)
    rings = [r * torch.stack([turn.cos(), turn.sin(), 0 * turn], 1) for r in (1.5, 1.7)]
    inner = torch.arange(60)
    ahead, outer = inner.roll(-1), inner + 60
    disc = torch.cat(
        [torch.stack([inner, outer, ahead], 1), torch.stack([ahead, outer, outer.roll(-1)], 1)]
    )
    start = len(body.vertices)
    return body, Mesh(torch.cat([body.vertices, *rings]), torch.cat([body.faces, disc + start]))


def test_a_fringe_goes_and_the_body_stays() -> None:
    body, whole = with_a_fringe()
    pictures = photographed(patterned(ball(5)), 40)
    said: list[str] = []
    clean = within_masks(whole, pictures, Watch(note=said.append))
    assert 0 <= len(clean.faces) - len(body.faces) < 0.3 * 120
    assert torch.equal(clean.faces[: len(body.faces)], body.faces)
    assert said[0].endswith(" faces outside of the masks are left out")


def test_without_masks_nothing_goes() -> None:
    _, whole = with_a_fringe()
    pictures = [
        replace(one, coverage=torch.ones_like(one.coverage))
        for one in photographed(patterned(ball(5)), 40)
    ]
    assert within_masks(whole, pictures) is whole


def test_masks_that_leave_everything_out_say_nothing() -> None:
    body, _ = with_a_fringe()
    pictures = [
        replace(one, coverage=torch.zeros_like(one.coverage))
        for one in photographed(patterned(ball(4)), 6)
    ]
    seen = shown(body, body.vertices, pictures)
    assert int(seen.views.max()) == -1
    assert within_masks(body, pictures) is body
