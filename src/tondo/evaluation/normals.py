"""How far the normals that a surface shows are from the true ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.checks import check_shape
from tondo.io.srgb import linear_from_srgb

UNIT = 0.03  # how far from 1 the length of a normal in a picture may be; chosen


@dataclass(frozen=True)
class NormalAngles:
    """Angles between normals, in degrees: mean and median over `pixels` pixels."""

    mean: float
    median: float
    pixels: int


def pictured_normals(picture: Tensor, *, srgb: bool) -> tuple[Tensor, Tensor]:
    """Unit normals of a picture whose colours are max(0, normal), and where it holds them.

    A negative component is 0 in such a picture and cannot be told, so only pixels count whose three
    components have a length within `UNIT` of 1.

    Args:
        picture: [H, W, 3] uint8.
        srgb: the picture holds sRGB values of the components and not the components; a picture
            that does has lengths above 1 where it is taken as it is.

    Returns:
        [H, W, 3] float32 unit vectors, in the axes of the picture, and [H, W] bool.

    Raises:
        ValueError: the picture has another shape.
    """
    check_shape("picture", picture, "H W 3")
    values = picture.float() / 255
    if srgb:
        values = torch.from_numpy(linear_from_srgb(values.double().numpy())).float()
    known = (values.norm(dim=-1) - 1).abs() < UNIT
    return F.normalize(values, dim=-1), known


def uncut(picture: Tensor) -> Tensor:
    """[H, W] bool: all three components in a picture [H, W, 3] uint8 of max(0, normal) are above 0,
    beyond rounding. Where one was cut off, a length within `UNIT` of 1 still lets what is left be
    14 degrees off; where none was, it is the normal.

    Raises:
        ValueError: the picture has another shape.
    """
    check_shape("picture", picture, "H W 3")
    return (picture > 2).all(dim=-1)


def normal_angles(ours: list[Tensor], truth: list[Tensor], masks: list[Tensor]) -> NormalAngles:
    """Angles between two sets of maps of normals, over all pixels of all maps where the mask is
    True and ours has a normal.

    Args:
        ours: [H, W, 3] each, unit vectors, or 0 where nothing is.
        truth: [H, W, 3] each, unit vectors in the same axes.
        masks: [H, W] bool each.

    Raises:
        ValueError: shapes differ, or there is nothing to compare.
    """
    found = []
    for one, other, mask in zip(ours, truth, masks, strict=True):
        sizes = check_shape("ours", one, "H W 3")
        check_shape("truth", other, "H W 3", sizes)
        check_shape("mask", mask, "H W", sizes)
        both = mask & (one.norm(dim=-1) > 0.5)  # a unit vector, or nothing
        # atan2 keeps its digits at small angles, where the arc cosine has none
        a, b = one[both].double(), other[both].double()
        across = torch.linalg.cross(a, b).norm(dim=-1)
        found.append(torch.rad2deg(torch.atan2(across, (a * b).sum(dim=-1))))
    angles = torch.cat(found) if found else torch.zeros(0)
    if not len(angles):
        raise ValueError("no pixel has normals on both sides: there is nothing to compare")
    return NormalAngles(float(angles.mean()), float(angles.median()), len(angles))


def moved(normals: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """A map of normals [H, W, 3] and its mask [H, W] as if the picture stood one pixel to the
    right. Their angles to those of the unmoved map are a floor: a camera is hardly known better."""
    gone = mask.roll(1, 1)
    gone[:, 0] = False
    return normals.roll(1, 1), gone
