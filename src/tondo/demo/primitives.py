"""Primitives of signed distance functions and what joins them, after I. Quilez, "distance
functions"."""

from __future__ import annotations

import math

import torch
from torch import Tensor

CAUTION = 0.85  # of distances that bending makes too long; chosen by eye


def smooth_min(a: Tensor, b: Tensor, width: float) -> Tensor:
    """Polynomial smooth minimum: a fillet of about `width` where two surfaces meet."""
    blend = torch.clamp(width - torch.abs(a - b), min=0.0)
    return torch.minimum(a, b) - blend * blend * (0.25 / width)


def ellipsoid(rho: Tensor, z: Tensor, across: float, up: float) -> Tensor:
    """Ellipsoid of revolution; exact to first order at the surface."""
    a2, u2 = (rho / across) ** 2, (z / up) ** 2
    k0 = torch.sqrt(a2 + u2)
    k1 = torch.sqrt(a2 / across**2 + u2 / up**2).clamp(min=1e-6)
    return k0 * (k0 - 1.0) / k1


def torus(rho: Tensor, z: Tensor, ring: float, tube: float) -> Tensor:
    """A ring of a tube around the z axis."""
    return torch.sqrt((rho - ring) ** 2 + z * z) - tube


def fold(phi: Tensor, count: int, shift: Tensor | float = 0.0) -> Tensor:
    """The angle to the middle of the nearest of `count` sectors, in radians."""
    turns = phi * (count / (2 * math.pi)) - shift
    return (turns - torch.round(turns)) * (2 * math.pi / count)
