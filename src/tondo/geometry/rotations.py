"""Rotations: quaternions (w, x, y, z), matrices and rotation vectors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def rotation_from_quat(quats: Tensor) -> Tensor:
    """Rotation matrices of quaternions.

    Args:
        quats: [..., 4] (w, x, y, z), of any length; normalised here. Zero gives the identity.

    Returns:
        [..., 3, 3], multiplying column vectors from the left; differentiable.
    """
    w, x, y, z = F.normalize(quats, dim=-1).unbind(-1)
    entries = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))


def quat_from_rotation(rotations: Tensor) -> Tensor:
    """Unit quaternions (w, x, y, z) with w >= 0 of rotation matrices.

    Each of the four components is the largest in some case; the quaternion built around the
    largest one divides by at least 1, which stays accurate at every angle (Shepperd 1978).

    Args:
        rotations: [..., 3, 3], orthonormal with determinant 1.

    Returns:
        [..., 4]; differentiable except where the largest component changes.
    """
    (a, b, c), (d, e, f), (g, h, i) = (row.unbind(-1) for row in rotations.unbind(-2))
    # Row k is 4 q_k q, for q_k = w, x, y, z. Chosen by comparisons: argmax over four is slow.
    xy, xz, yz, wx, wy, wz = b + d, c + g, f + h, h - f, c - g, d - b
    rows = (
        (1 + a + e + i, wx, wy, wz),
        (wx, 1 + a - e - i, xy, xz),
        (wy, xy, 1 - a + e - i, yz),
        (wz, xz, yz, 1 - a - e + i),
    )
    first, second = rows[0][0] >= rows[1][1], rows[2][2] >= rows[3][3]
    largest = torch.where(first, rows[0][0], rows[1][1])
    early = largest >= torch.where(second, rows[2][2], rows[3][3])
    found = [
        torch.where(early, torch.where(first, w, x), torch.where(second, y, z))
        for w, x, y, z in zip(*rows, strict=True)
    ]
    w, x, y, z = found
    length = (w * w + x * x + y * y + z * z).sqrt()
    return torch.stack(found, dim=-1) / torch.where(w < 0, -length, length)[..., None]


def third_axis(quats: Tensor) -> Tensor:
    """The third column [..., 3] of the rotation matrices of unit quaternions [..., 4]."""
    w, x, y, z = quats.unbind(-1)
    entries = [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)]
    return torch.stack(entries, dim=-1)


def rotation_from_vector(vectors: Tensor) -> Tensor:
    """Rotation matrices of rotation vectors (axis times angle in radians).

    The exponential of the cross product matrix.

    Args:
        vectors: [..., 3]; zero gives the identity, with the right derivative there.

    Returns:
        [..., 3, 3], multiplying column vectors from the left; differentiable.
    """
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    return torch.linalg.matrix_exp(cross)
