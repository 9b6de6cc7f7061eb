"""Real spherical harmonics to degree 3, in the order and sign of 3D Gaussian Splatting.

Order: degree by degree, m = -l..l. Sign: with the Condon-Shortley phase, so that degree 1 is
(-y, z, -x). Constants and order as in Sloan, Efficient Spherical Harmonic Evaluation (JCGT 2013).
"""

from __future__ import annotations

from math import pi, sqrt

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_DEGREE = 3  # of colours, as Kerbl et al. 2023 (3DGS): 16 coefficients a channel


def coefficient_count(degree: int) -> int:
    """K = (degree + 1)^2, the number of functions up to `degree`."""
    return (degree + 1) ** 2


def harmonics_basis(degree: int, dirs: Tensor) -> Tensor:
    """Values of the basis functions.

    Args:
        degree: 0..3.
        dirs: [..., 3] directions of any length but zero; normalised here.

    Returns:
        [..., (degree + 1)^2]; differentiable.

    Raises:
        ValueError: degree outside 0..3.
    """
    if not 0 <= degree <= MAX_DEGREE:
        raise ValueError(f"degree must be 0..{MAX_DEGREE}, got {degree}")
    x, y, z = F.normalize(dirs, dim=-1).unbind(-1)
    basis = [torch.full_like(x, 0.5 * sqrt(1 / pi))]
    if degree >= 1:
        c1 = sqrt(3 / (4 * pi))
        basis += [-c1 * y, c1 * z, -c1 * x]
    xx, yy, zz = x * x, y * y, z * z
    if degree >= 2:
        c2 = 0.5 * sqrt(15 / pi)
        basis += [
            c2 * x * y,
            -c2 * y * z,
            0.25 * sqrt(5 / pi) * (2 * zz - xx - yy),
            -c2 * x * z,
            0.5 * c2 * (xx - yy),
        ]
    if degree >= 3:
        c33, c31 = 0.25 * sqrt(35 / (2 * pi)), 0.25 * sqrt(21 / (2 * pi))
        c32 = 0.5 * sqrt(105 / pi)
        basis += [
            -c33 * y * (3 * xx - yy),
            c32 * x * y * z,
            -c31 * y * (4 * zz - xx - yy),
            0.25 * sqrt(7 / pi) * z * (2 * zz - 3 * xx - 3 * yy),
            -c31 * x * (4 * zz - xx - yy),
            0.5 * c32 * z * (xx - yy),
            -c33 * x * (xx - 3 * yy),
        ]
    return torch.stack(basis, dim=-1)


def harmonics_color(degree: int, dirs: Tensor, sh: Tensor) -> Tensor:
    """Colours of splats seen along `dirs`: max(0, 0.5 + sum_k sh_k Y_k(dir)).

    Args:
        degree: 0..3, the degree to use; may be below the one stored in `sh`.
        dirs: [..., 3] from the camera's centre to the splat.
        sh: [..., K, 3] coefficients, K >= (degree + 1)^2, broadcast against `dirs`.

    Returns:
        [..., 3] sRGB, not clipped at 1; differentiable.
    """
    basis = harmonics_basis(degree, dirs)
    used = sh[..., : basis.shape[-1], :]
    return ((basis[..., None] * used).sum(dim=-2) + 0.5).clamp_min(0.0)


SH_C0 = 0.28209479177387814  # the constant harmonic; 1 / (2 sqrt(pi))
