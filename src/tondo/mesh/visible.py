"""What cameras see of a mesh, and the colours that they see there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.data.views import View
from tondo.geometry.cameras import camera_position
from tondo.kernels.mesh_depth import mesh_depth

# A point counts as hidden if the mesh is in front of it by more than this many pixels' width: a
# pixel shows the depth at its centre, and the surface slopes between there and the point.
_SLACK_PIXELS = 3.0
# Pixels with less coverage than this have some of the background in their colour.
_OPAQUE = 0.9  # chosen
# Views that see the surface flatter than this colour it only if no other does.
_FLAT = 0.2  # chosen
# Colours are means over the views by sharpness to this power: a few sharp views count, and the many
# blurred ones hardly.
_SHARPNESS_POWER = 4


@dataclass(frozen=True)
class _Seen:
    index: Tensor  # [M] the points that the camera sees
    pixels: Tensor  # [M, 2] where, in pixels
    depths: Tensor  # [M]


def visible_points(points: Tensor, mesh: Mesh, cameras: Sequence[Camera]) -> Tensor:
    """[P] bool: at least one camera sees the point [P, 3], past the mesh itself.

    Within three pixels' width of the frontmost surface counts as seen.
    """
    seen = torch.zeros(len(points), dtype=torch.bool)
    for camera in cameras:
        seen[_seen_by(points, mesh, camera).index] = True
    return seen


def color_from_views(mesh: Mesh, views: Iterable[View]) -> tuple[Mesh, Tensor]:
    """Vertex colours straight from pictures of the scene, and which vertices any of them shows.

    Each vertex takes the mean of the views that see it, by the power of how sharply they do: pixels
    per world unit times the cosine to its normal. Vertices that no view shows keep the colour they
    had.

    Args:
        mesh: with normals.

    Returns:
        The mesh with new colours, and [V] bool.

    Raises:
        ValueError: the mesh has no normals.
    """
    if mesh.normals is None:
        raise ValueError("colours from views need a mesh with normals")
    total = torch.zeros(len(mesh.vertices), 3)
    weights = torch.zeros(len(mesh.vertices), 1)
    for view in views:
        found = _seen_by(mesh.vertices, mesh, view.camera)
        rays = F.normalize(camera_position(view.camera) - mesh.vertices[found.index], dim=1)
        cosines = (rays * mesh.normals[found.index]).sum(dim=1)
        sample = _bilinear(torch.cat([view.color, view.alpha[..., None]], dim=-1), found.pixels)
        sharpness = float(view.camera.K[0, 0]) / found.depths * cosines.clamp(min=0)
        weight = sharpness**_SHARPNESS_POWER * (sample[:, 3] > _OPAQUE)
        weight = torch.where(cosines > _FLAT, weight, 1e-6 * weight)[:, None]
        total[found.index] += weight * sample[:, :3]
        weights[found.index] += weight
    seen = weights[:, 0] > 0
    found_colors = (total / weights.clamp(min=1e-30) * 255).round().clamp(0, 255).to(torch.uint8)
    before = torch.full_like(found_colors, 128) if mesh.colors is None else mesh.colors
    return replace(mesh, colors=torch.where(seen[:, None], found_colors, before)), seen


def _seen_by(points: Tensor, mesh: Mesh, camera: Camera) -> _Seen:
    local = points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    z = local[:, 2]
    pixels = (local @ camera.K.T)[:, :2] / z[:, None]
    size = torch.tensor([camera.width, camera.height])
    index = ((z > 0) & (pixels >= 0).all(dim=1) & (pixels < size).all(dim=1)).nonzero()[:, 0]
    depth, _ = mesh_depth(
        mesh.vertices, mesh.faces, camera.viewmat, camera.K, camera.width, camera.height
    )
    u, v = pixels[index].long().unbind(-1)
    front = depth[v, u]
    slack = _SLACK_PIXELS * z[index] / float(camera.K[0, 0])
    index = index[(front == 0) | (z[index] < front + slack)]
    return _Seen(index, pixels[index], z[index])


def _bilinear(picture: Tensor, pixels: Tensor) -> Tensor:
    """[M, X] values of [H, W, X] at pixel coordinates [M, 2]."""
    height, width = picture.shape[:2]
    scaled = 2 * pixels / torch.tensor([width, height]) - 1
    sampled = F.grid_sample(
        picture.permute(2, 0, 1)[None],
        scaled[None, None],
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return sampled[0, :, 0].T


def agreement(mesh: Mesh, views: Iterable[View], within: float) -> float:
    """Share 0..1 of the pixels that show both the mesh and a depth of their own in which the two
    are at most `within` world units apart; 0 where no pixel shows both.

    Of something solid nearly all agree; where photographs contradict each other, each view has
    explained its own picture by something that the others do not see.
    """
    same = both = 0
    for view in views:
        camera = view.camera
        depth, _ = mesh_depth(
            mesh.vertices, mesh.faces, camera.viewmat, camera.K, camera.width, camera.height
        )
        known = (depth > 0) & (view.depth > 0)
        both += int(known.sum())
        same += int((torch.abs(depth - view.depth)[known] <= within).sum())
    return same / both if both else 0.0
