"""Views cut by masks that are the silhouettes of one object."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.views import View


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
