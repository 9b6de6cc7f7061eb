"""Depth pictures of a triangle mesh: which face is in front at each pixel, and how far away.

`mesh_depth` calls the native kernel; `mesh_depth_reference` is the readable definition, and what
runs on other devices. Used to tell what a camera sees of a mesh and what is hidden from it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tondo import _native  # type: ignore[attr-defined]
from tondo.checks import check_dtype, check_one_device, check_shape

_NEAR = 1e-6  # faces that come nearer to the camera's plane than this are left out
_REFERENCE_FACES = 256  # at a time


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
        return mesh_depth_reference(vertices, faces, viewmat, K, width, height)
    depth = torch.empty(height, width)
    face = torch.empty(height, width, dtype=torch.int64)
    corners = _project(vertices, viewmat, K)
    _native.mesh_depth(corners.contiguous(), faces.contiguous(), _NEAR, depth, face)
    return depth, face


def mesh_depth_reference(
    vertices: Tensor, faces: Tensor, viewmat: Tensor, K: Tensor, width: int, height: int
) -> tuple[Tensor, Tensor]:
    """The same as `mesh_depth`, in torch."""
    _check(vertices, faces, viewmat, K, width, height)
    device = vertices.device
    rows, columns = (torch.arange(size, device=device) + 0.5 for size in (height, width))
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    nearest = torch.full((height, width), torch.inf, dtype=torch.float64, device=device)
    face = torch.full((height, width), -1, device=device)
    projected = _project(vertices, viewmat, K).double()
    for first in range(0, len(faces), _REFERENCE_FACES):
        a, b, c = projected[faces[first : first + _REFERENCE_FACES]].unbind(1)
        front = torch.minimum(torch.minimum(a[:, 2], b[:, 2]), c[:, 2]) > _NEAR
        area = _area(a[:, :2], b[:, :2], c[:, :2])
        point = torch.stack([u, v], dim=-1).double()[..., None, :]
        of_b = _area(a[:, :2], point, c[:, :2]) / area
        of_c = _area(a[:, :2], b[:, :2], point) / area
        of_a = 1 - of_b - of_c
        inside = front & (area != 0) & (of_a >= 0) & (of_b >= 0) & (of_c >= 0)
        # 1/z, unlike z, is linear over the picture
        z = 1 / (of_a / a[:, 2] + of_b / b[:, 2] + of_c / c[:, 2])
        found, which = torch.where(inside, z, torch.inf).min(dim=-1)
        face = torch.where(found < nearest, which + first, face)
        nearest = torch.minimum(nearest, found)
    return torch.where(face >= 0, nearest, 0.0).float(), face


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
    if width < 1 or height < 1:
        raise ValueError(f"the picture must be at least 1x1, got {width}x{height}")
    if len(faces) and not (int(faces.min()) >= 0 and int(faces.max()) < len(vertices)):
        raise ValueError(f"a face names a vertex that is not among the {len(vertices)}")


def _project(vertices: Tensor, viewmat: Tensor, K: Tensor) -> Tensor:
    """[V, 3]: pixel coordinates u, v and depth z."""
    local = vertices @ viewmat[:3, :3].T + viewmat[:3, 3]
    z = local[:, 2:]
    return torch.cat([(local @ K.T)[:, :2] / z, z], dim=1)


def _area(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Twice the signed area of triangles whose corners are [..., 2]."""
    p, q = b - a, c - a
    return p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]
