"""Which photographs show each vertex of a mesh, and how well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.geometry.cameras import camera_position, scaled
from tondo.kernels.mesh.patch_scores_torch import PatchPhotos
from tondo.kernels.mesh_depth import mesh_depth
from tondo.texture.bake import OPAQUE, Picture

# A photograph that sees a vertex more from the side than this is not asked (cosine), and above the
# second one all are as good, so that those of a spread of directions are taken. Chosen.
SIDEWAYS, FRONTAL = 0.3, 0.8
MARGIN = 3  # pixels around a vertex that show the surface and no edge of it; a patch's; chosen
SLACK = 2.0  # pixels by which a vertex may be off the frontmost surface; chosen
STEP = 8.0  # pixels of depth within a pixel's neighbours that are an edge; as in texture.bake
MOST = 8  # photographs of a vertex; more cost time and see it more from the side; chosen


@dataclass(frozen=True)
class Shown:
    """What photographs show of V vertices.

    Attributes:
        views: [V, K] int32, the best photographs of each, -1 where there are no more.
        footprint: [V] float32, world units that a pixel spans there, in the mean over these; of a
            vertex without any that of all vertices.
    """

    views: Tensor
    footprint: Tensor


def halved(picture: Picture) -> Picture:
    """The picture at half of its size."""
    height, width = (max(2, -(-n // 2)) for n in picture.coverage.shape)
    image = F.interpolate(
        picture.image.permute(2, 0, 1)[None].float(), (height, width), mode="area"
    )
    covered = F.interpolate(picture.coverage[None, None], (height, width), mode="area")
    return replace(
        picture,
        camera=scaled(picture.camera, width, height),
        image=image[0].permute(1, 2, 0).round().to(torch.uint8),
        coverage=covered[0, 0],
    )


def packed(pictures: Sequence[Picture]) -> PatchPhotos:
    """The pictures as the native code takes them."""
    sizes = torch.tensor([[one.camera.width, one.camera.height] for one in pictures])
    counts = sizes.prod(dim=1)
    pixels = torch.cat([one.image.reshape(-1, 3) for one in pictures])
    projection = [one.camera.K @ one.camera.viewmat[:3] for one in pictures]
    return PatchPhotos(pixels, counts.cumsum(0) - counts, sizes, torch.stack(projection))


def shown(mesh: Mesh, normals: Tensor, pictures: Sequence[Picture]) -> Shown:
    """Look at the mesh through every picture's camera.

    Args:
        normals: [V, 3] float32 unit vectors.
    """
    count = len(mesh.vertices)
    scores = torch.zeros(count, len(pictures), dtype=torch.float16)
    reference = 1 / max(float(one.camera.K[0, 0]) / _distance(mesh, one.camera) for one in pictures)
    for index, picture in enumerate(pictures):
        vertex, cosine, pixel, kept = _seen(mesh, normals, picture)
        good = kept & (cosine > SIDEWAYS)
        score = cosine.clamp_max(FRONTAL) * (reference / pixel) * picture.weight**0.5
        scores[vertex[good], index] = score[good].half()
    best = scores.topk(min(MOST, len(pictures)), dim=1)
    views = torch.where(best.values > 0, best.indices, -1).int()
    return Shown(views, _footprints(mesh, pictures, views))


def _distance(mesh: Mesh, camera: Camera) -> float:
    """From the camera to the mean of the mesh's vertices, world units."""
    return float((mesh.vertices.mean(dim=0) - camera_position(camera)).norm().clamp_min(1e-6))


def projected(mesh: Mesh, camera: Camera) -> tuple[Tensor, Tensor, Tensor]:
    """The vertices [M] in the picture, hidden or not, their pixels [M, 2] and depths [M]."""
    local = mesh.vertices @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    z = local[:, 2]
    pixels = (local @ camera.K.T)[:, :2] / z[:, None]
    size = torch.tensor([camera.width, camera.height])
    vertex = ((z > 0) & (pixels >= 0).all(dim=1) & (pixels < size).all(dim=1)).nonzero()[:, 0]
    return vertex, pixels[vertex], z[vertex]


def _seen(mesh: Mesh, normals: Tensor, picture: Picture) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of the vertices in the picture those [M] that are not hidden, the cosines to their normals,
    world units a pixel, and whether the picture shows the surface and nothing else around them."""
    camera = picture.camera
    depth, _ = mesh_depth(
        mesh.vertices, mesh.faces, camera.viewmat, camera.K, camera.width, camera.height
    )
    vertex, pixels, z = projected(mesh, camera)
    towards = F.normalize(camera_position(camera) - mesh.vertices[vertex], dim=1)
    cosine = (towards * normals[vertex]).sum(dim=1)
    column, row = pixels.long().unbind(1)
    pixel = z / camera.K[0, 0]
    slope = (1 - cosine.square()).clamp_min(0).sqrt() / cosine.clamp_min(SIDEWAYS)
    front = depth[row, column]
    seen = (cosine > 0) & ((front == 0) | (z - front < pixel * (SLACK + slope)))
    whole = _whole(depth, picture)[row[seen], column[seen]]
    return vertex[seen], cosine[seen], pixel[seen], whole


def _whole(depth: Tensor, picture: Picture) -> Tensor:
    """[H, W] bool: the pixels around show the surface, within the mask, and no step in depth."""
    near = -spread(-torch.where(depth > 0, depth, 1e30), 1)
    edge = (spread(depth, 1) - near) > STEP * depth.clamp_min(1e-30) / picture.camera.K[0, 0]
    bad = edge | (depth == 0) | (picture.coverage <= OPAQUE)
    return spread(bad.float(), MARGIN) == 0


def spread(values: Tensor, pixels: int) -> Tensor:
    """[H, W] the largest value so many pixels around."""
    return F.max_pool2d(values[None, None], 2 * pixels + 1, 1, pixels)[0, 0]


def _footprints(mesh: Mesh, pictures: Sequence[Picture], views: Tensor) -> Tensor:
    rows = torch.stack(
        [one.camera.viewmat[2] / one.camera.K[0, 0] for one in pictures]
    )  # depth by focal length
    known = views >= 0
    chosen = rows[views.clamp_min(0).long()]  # [V, K, 4]
    sizes = (chosen[..., :3] * mesh.vertices[:, None]).sum(dim=2) + chosen[..., 3]
    total = torch.where(known, sizes, 0.0).sum(dim=1)
    number = known.sum(dim=1)
    usual = float(total.sum() / number.sum().clamp_min(1))
    return torch.where(number > 0, total / number.clamp_min(1), usual)
