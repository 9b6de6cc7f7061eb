"""Masks that are the silhouettes of one object, and views cut by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.views import View
from tondo.texture.bake import Picture

# Share of the pictures' outermost pixels that masks of one object leave out; masks of what walked
# through a scene keep most of them. Chosen.
EMPTY_BORDER = 0.75


def are_silhouettes(pictures: Sequence[Picture]) -> bool:
    """Whether the pictures' masks show one object: every one shows some of it and hardly any of the
    border, and they are not all the same, as those of a lens are that draws a circle."""
    if not pictures:
        return False
    covers = [one.coverage > 0.5 for one in pictures]
    if len(covers) > 1 and all(torch.equal(one, covers[0]) for one in covers[1:]):
        return False
    rims = [torch.cat([one[0], one[-1], one[:, 0], one[:, -1]]) for one in covers]
    shown = all(bool(one.any()) for one in covers)
    return shown and float((~torch.cat(rims)).float().mean()) > EMPTY_BORDER


def cut(view: View, coverage: Tensor) -> View:
    """The view with nothing where a mask [H', W'] 0..1 of the same camera leaves out.

    Pixels beside the mask's edge have no depth where the view goes on beyond it: half of them look
    past the object at something else.
    """
    size = (view.camera.height, view.camera.width)
    covered = F.interpolate(coverage[None, None], size, mode="area")[0, 0]
    inside = covered > 0.5
    beyond = torch.where(inside, torch.zeros(()), view.alpha)
    mixed = F.max_pool2d(beyond[None], 3, stride=1, padding=1)[0] > 0.5
    depth = torch.where(inside & ~mixed, view.depth, torch.zeros(()))
    return replace(view, alpha=view.alpha * inside, depth=depth)
