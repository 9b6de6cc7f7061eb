"""Patches of neighbouring pixels, and how much the surface bends within them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from tondo.kernels.fields.rays import RayPictures
from tondo.nerf.ray_batches import Pixels, Rays

SIDE = 4  # pixels of a patch along a side: a bend for each of its rays, on average
OPAQUE = 0.5  # of a pixel, so that its depth is that of a surface; as of fused depth, about
SMALLEST = 1e-4  # bend, a sine, below which the loss is a square: its root has a slope then; chosen


class Patches(NamedTuple):
    """Drawn patches: rows of pixels [M, SIDE, SIDE], and whether a photo has a pixel there, of
    which the row then is [M, SIDE, SIDE]; where it has none, the row is that of another one."""

    rows: Tensor
    known: Tensor


def draw_patches(pixels: Pixels, drawn: Tensor, spacing: int, rng: Generator) -> Patches:
    """Patches whose upper left pixels are those of rows `drawn` [M], or as near to these as leaves
    them in the picture. Within one, pixels that are next to each other are 1 to `spacing` pixels
    apart, all alike: ripples of any such length are seen."""
    apart = torch.randint(1, spacing + 1, (len(drawn),), generator=rng)
    photo = torch.searchsorted(pixels.firsts, drawn, right=True) - 1
    place = drawn - pixels.firsts[photo] if pixels.places is None else pixels.places[drawn].long()
    width, height = pixels.widths[photo], pixels.heights[photo]
    reach = (SIDE - 1) * apart
    x = torch.minimum(place % width, width - 1 - reach).clamp_min(0)
    y = torch.minimum(place // width, height - 1 - reach).clamp_min(0)
    steps = torch.arange(SIDE) * apart[:, None]
    across, down = x[:, None] + steps, y[:, None] + steps
    wanted = down[:, :, None] * width[:, None, None] + across[:, None, :]
    inside = (across < width[:, None])[:, None, :] & (down < height[:, None])[:, :, None]
    rows, has = _rows_of(pixels, photo, wanted)
    known = inside & has
    return Patches(torch.where(known, rows, drawn[:, None, None]), known)


def _rows_of(pixels: Pixels, photo: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [M, S, S] of the pixels at `places` [M, S, S] within photos [M], and whether there is
    such a pixel: by bisection, since a photo's pixels stand in order."""
    low, end = (pixels.firsts[photo + k][:, None, None].expand_as(places) for k in (0, 1))
    if pixels.places is None:
        return low + places, low + places < end
    high = end
    while bool((low < high).any()):
        middle = (low + high) // 2
        before = (pixels.places[middle.clamp_max(len(pixels.places) - 1)] < places) & (low < high)
        low, high = torch.where(before, middle + 1, low), torch.where(before, high, middle)
    rows = low.clamp_max(len(pixels.places) - 1)
    return rows, (low < end) & (pixels.places[rows] == places)


def bend_loss(points: Tensor, known: Tensor) -> Tensor:
    """How much a surface bends from pixel to pixel: the mean of |sin| of the angle between the way
    to a pixel's point and the way on from it, along rows and columns.

    A plane has none, whatever the camera; a ridge costs by its angle, not by its square, so that
    few sharp ones cost less than many ripples. After the smoothness of Niemeyer et al. 2022
    (RegNeRF), which is of depths, so that slopes cost, too.

    Args:
        points: [M, S, S, 3] of patches, any unit. known: [M, S, S] bool, where there is a surface.

    Returns:
        [] 0..1; three points of which one is not known count as straight.
    """
    total = points.new_zeros(())
    for axis in (1, 2):
        length = points.shape[axis] - 2
        first, second = (points.diff(dim=axis).narrow(axis, k, length) for k in (0, 1))
        three = torch.stack([known.narrow(axis, k, length) for k in range(3)]).all(dim=0)
        squares = first.square().sum(dim=-1) * second.square().sum(dim=-1)
        # Where it counts for nothing, the way may be none, and has no angle.
        squares = torch.where(three & (squares > 0), squares, 1.0)
        sines = torch.linalg.cross(first, second).square().sum(dim=-1) / squares
        bends = (sines + SMALLEST**2).sqrt() - SMALLEST
        total = total + torch.where(three, bends, 0.0).mean()
    return total / 2


def bends_of(patches: Patches, rays: Rays, found: RayPictures, unit: float) -> Tensor:
    """`bend_loss` of what the last of the `rays`, those of `patches`, have `found`, computed in
    some `unit` of the scene's size: products of lengths stay numbers."""
    shape = patches.known.shape
    last = slice(len(rays.origins) - patches.known.numel(), None)
    opacities = found.opacities[last]
    distances = found.depths[last] / (unit * opacities.clamp_min(OPAQUE))
    points = rays.origins[last] / unit + rays.directions[last] * distances[:, None]
    opaque = (opacities > OPAQUE).view(shape)
    return bend_loss(points.view(*shape, 3), patches.known & opaque)
