"""Whether a mesh's own places in a texture can be used."""

from __future__ import annotations

import torch
from torch import Tensor

from tondo.errors import InputError
from tondo.kernels.mesh_depth import mesh_depth

BEYOND = 1e-3  # of the texture's side; what lies farther outside is meant to; chosen
MOST_OVERLAP = 0.01  # share of the texels in use; less is where charts touch; chosen
_SIDE = 1021  # texels; a prime, so that the sides of tidy charts are not at the centres of texels


def check_uvs(uvs: Tensor, name: str) -> None:
    """Raise InputError unless faces with corners uvs [F, 3, 2] lie in the square of a texture, and
    no two of them in the same place.

    Args:
        name: of the file, for messages.
    """
    low, high = float(uvs.min()), float(uvs.max())
    if low < -BEYOND or high > 1 + BEYOND:
        raise InputError(
            f"{name}: its UVs reach from {low:.3g} to {high:.3g}, and a texture from 0 to 1: "
            "lay them out in that square, or remove them and it is unwrapped"
        )
    used, twice = overlap(uvs)
    if not used:
        raise InputError(
            f"{name}: its UVs have no area: lay them out in the square from 0 to 1, or remove them "
            "and it is unwrapped"
        )
    if twice > MOST_OVERLAP * used:
        raise InputError(
            f"{name}: {twice / used:.0%} of its UVs overlap, and each place needs colours of its "
            "own: lay them out apart, or remove them and it is unwrapped"
        )


def overlap(uvs: Tensor) -> tuple[int, int]:
    """How many texels of a picture the faces with corners uvs [F, 3, 2] cover, and how many of
    these two faces or more do."""
    count = len(uvs)
    # the lowest number in front, then the highest: where these differ there are two
    away = 1 + torch.arange(count) / max(1, count)
    first, last = (_in_front(uvs, depth) for depth in (away, away.flip(0)))
    return int((first >= 0).sum()), int((first != last).sum())


def _in_front(uvs: Tensor, depth: Tensor) -> Tensor:
    """[S, S] int64 the face of the least depth [F] at each texel, -1 where none is."""
    count = len(uvs)
    z = depth[:, None, None].expand(count, 3, 1)
    points = torch.cat([uvs * _SIDE * z, z], dim=2).reshape(-1, 3)
    faces = torch.arange(3 * count).view(-1, 3)
    return mesh_depth(points, faces, torch.eye(4), torch.eye(3), _SIDE, _SIDE)[1]
