"""Depth pictures of a triangle mesh, by native code on the CPU: which face is in front at each
pixel, and how far away, so what a camera sees of a mesh and what is hidden from it."""

from __future__ import annotations

import torch
from torch import Tensor

from tondo import _native
from tondo.checks import check_dtype, check_one_device, check_shape, check_size
from tondo.kernels.mesh_depth_torch import NEAR, mesh_depth_torch, projected_vertices


def mesh_depth(
    vertices: Tensor, faces: Tensor, viewmat: Tensor, K: Tensor, width: int, height: int
) -> tuple[Tensor, Tensor]:
    """The nearest face at each pixel's centre, whichever way it faces.

    Faces with a corner behind the camera or in its plane are left out.

    Args:
        vertices: [V, 3] float32 world space. faces: [F, 3] int64, indices of vertices.
        viewmat: [4, 4] float32 world-to-camera. K: [3, 3] float32, pixels.
        width, height: pixels, at least 1.

    Returns:
        depth [H, W] float32 along the camera's z axis, 0 where nothing is, and face [H, W] int64,
        -1 where nothing is.

    Raises:
        TypeError, ValueError: wrong shapes, dtypes or devices, or a face names a vertex that is not
            there.
    """
    _check(vertices, faces, viewmat, K, width, height)
    if vertices.device.type != "cpu":
        return mesh_depth_torch(vertices, faces, viewmat, K, width, height)
    depth = torch.empty(height, width)
    face = torch.empty(height, width, dtype=torch.int64)
    corners = projected_vertices(vertices, viewmat, K)
    _native.mesh_depth(corners.contiguous(), faces.contiguous(), NEAR, depth, face)
    return depth, face


def _check(
    vertices: Tensor, faces: Tensor, viewmat: Tensor, K: Tensor, width: int, height: int
) -> None:
    check_shape("vertices", vertices, "V 3")
    check_shape("faces", faces, "F 3")
    check_shape("viewmat", viewmat, "4 4")
    check_shape("K", K, "3 3")
    for name, tensor in (("vertices", vertices), ("viewmat", viewmat), ("K", K)):
        check_dtype(name, tensor, torch.float32)
    check_dtype("faces", faces, torch.int64)
    check_one_device(vertices=vertices, faces=faces, viewmat=viewmat, K=K)
    check_size(width, height)
    if len(faces) and not (int(faces.min()) >= 0 and int(faces.max()) < len(vertices)):
        raise ValueError(f"a face names a vertex that is not among the {len(vertices)}")
