"""Pictures of a mesh: with a texture, with colours at its vertices, or without either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.data.textured import TexturedMesh
from tondo.data.views import View
from tondo.geometry.bilinear import bilinear
from tondo.geometry.cameras import camera_position, scaled
from tondo.kernels.mesh_depth import mesh_depth

SAMPLES = 2  # along each side of a pixel; chosen
GREY = 0.7  # sRGB, of a mesh without colours; chosen
_AT_ONCE = 1 << 22  # samples; bounds memory, at some 100 bytes each
_MIPS = 12  # a texture of 16,384 texels has no coarser copy that a sample could need


@dataclass(frozen=True)
class SurfaceSamples:
    """What a camera sees of a mesh at N x N places in each pixel.

    Attributes:
        face: [H, W, N * N] int64, -1 where nothing is.
        weights: [H, W, N * N, 3] float32 barycentric coordinates in the face, in space, 0..1.
        depth: [H, W, N * N] float32 along the camera's z axis, 0 where nothing is.
    """

    face: Tensor
    weights: Tensor
    depth: Tensor


def render_mesh(
    model: Mesh | TexturedMesh,
    camera: Camera,
    background: Tensor,
    *,
    samples: int = SAMPLES,
    with_normals: bool = False,
    mips: Sequence[Tensor] = (),
) -> View:
    """One picture of a mesh as `camera` sees it, unlit: its texture, the colours of its vertices,
    or grey. Both sides of a face are shown.

    Args:
        background: [3] sRGB 0..1.
        samples: along each side of a pixel, whose mean it is.
        with_normals: fill `View.normals` too, with the faces'.
        mips: `mipmaps` of the texture, for many pictures; made here if there are none.

    Returns:
        The picture. Depth is the mean over the covered samples, alpha their share.
    """
    if isinstance(model, TexturedMesh):
        mips = mips or mipmaps(model.texture.color)
    rows = max(1, _AT_ONCE // (samples * samples * camera.width))
    bands = [
        _band(model, _part(camera, top, rows), background, samples, with_normals, mips)
        for top in range(0, camera.height, rows)
    ]
    color, depth, alpha = (torch.cat(parts) for parts in list(zip(*bands, strict=True))[:3])
    normals = torch.cat([band[3] for band in bands]) if with_normals else None
    return View(camera, color, depth, alpha, normals)


def _part(camera: Camera, top: int, rows: int) -> Camera:
    """The camera of `rows` rows of the picture, or as many as there are, from the row `top` on."""
    K = camera.K.clone()
    K[1, 2] -= top
    return Camera(camera.viewmat, K, camera.width, min(rows, camera.height - top))


def _band(
    model: Mesh | TexturedMesh,
    camera: Camera,
    background: Tensor,
    samples: int,
    with_normals: bool,
    mips: Sequence[Tensor],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Colour [H, W, 3], depth [H, W], alpha [H, W] and, if asked for, normals [H, W, 3]."""
    mesh = model.mesh if isinstance(model, TexturedMesh) else model
    found = surface_samples(mesh, camera, samples)
    covered = found.face >= 0
    face, weights = found.face[covered], found.weights[covered]
    if isinstance(model, TexturedMesh):
        large = scaled(camera, samples * camera.width, samples * camera.height)
        colors = _textured(model, mips, large, face, weights)
    elif mesh.colors is not None:
        colors = (mesh.colors[mesh.faces[face]].float() * weights[..., None]).sum(dim=1) / 255
    else:
        colors = torch.full((len(face), 3), GREY)
    color = background.float().expand(*covered.shape, 3).clone()
    color[covered] = colors
    depth = found.depth.sum(dim=-1) / covered.sum(dim=-1).clamp_min(1)
    normals = _normals(mesh, camera, found) if with_normals else depth
    return color.mean(dim=2).clamp(0, 1), depth, covered.float().mean(dim=-1), normals


def surface_samples(mesh: Mesh, camera: Camera, samples: int = SAMPLES) -> SurfaceSamples:
    """What a camera sees of a mesh at `samples` x `samples` places in each pixel."""
    width, height = samples * camera.width, samples * camera.height
    large = scaled(camera, width, height)
    depth, face = mesh_depth(mesh.vertices, mesh.faces, large.viewmat, large.K, width, height)
    hit = (face.view(-1) >= 0).nonzero()[:, 0]
    weights = torch.zeros(height * width, 3)
    weights[hit] = _weights(mesh, large, face.view(-1)[hit], hit)
    found = (face, weights.view(height, width, 3), depth)
    return SurfaceSamples(*(_by_pixel(one, samples) for one in found))


def _weights(mesh: Mesh, camera: Camera, face: Tensor, pixel: Tensor) -> Tensor:
    """[M, 3] barycentric coordinates of where the rays of pixels (row * width + column) [M] meet
    the planes of faces [M].

    By Cramer's rule they are to each other as the volumes that the ray spans with two corners each
    (b x c, c x a, a x b), which are linear in the pixel's place. Around the pixel of corner `a`, of
    which they are 1, 0, 0, 32 bits are enough.
    """
    used = torch.zeros(len(mesh.faces), dtype=torch.bool)
    used[face] = True
    row_of = used.cumsum(0) - 1
    corners = mesh.vertices[mesh.faces[used]].double()
    local = corners @ camera.viewmat[:3, :3].double().T + camera.viewmat[:3, 3].double()
    a, b, c = local.unbind(1)
    across = torch.stack([torch.linalg.cross(p, q) for p, q in ((b, c), (c, a), (a, b))], dim=1)
    slopes = across @ torch.linalg.inv(camera.K.double())  # of the volumes, by u, v and 1
    place = a @ camera.K.double().T
    place = place[:, :2] / place[:, 2:]
    first = (slopes[:, 0, :2] * place).sum(dim=1) + slopes[:, 0, 2]
    slopes = (slopes[:, :, :2] / first[:, None, None]).float()
    row = row_of[face]
    column, line = pixel % camera.width, pixel // camera.width
    at = torch.stack([column, line], dim=1).double() + 0.5 - place[row]
    u, v = at.float().split(1, dim=1)
    slopes = slopes.index_select(0, row)
    volumes = slopes[..., 0] * u + slopes[..., 1] * v
    volumes[:, 0] += 1
    # a face seen from the edge has no volumes that mean anything
    volumes = volumes.nan_to_num(0, 0, 0).clamp_min(0) + 1e-12
    return volumes / volumes.sum(dim=1, keepdim=True)


def _by_pixel(values: Tensor, samples: int) -> Tensor:
    """[N * H, N * W, ...] as [H, W, N * N, ...]."""
    height, width = values.shape[0] // samples, values.shape[1] // samples
    split = values.view(height, samples, width, samples, *values.shape[2:])
    return split.transpose(1, 2).reshape(height, width, samples * samples, *values.shape[2:])


def mipmaps(image: Tensor) -> list[Tensor]:
    """The image [H, W, X] uint8 and ever coarser copies of it, each of the means of 2 x 2 pixels of
    the one before."""
    found = [image]
    while max(found[-1].shape[:2]) > 1 and len(found) <= _MIPS:
        before = found[-1].permute(2, 0, 1)[None].float()
        after = F.avg_pool2d(before, 2, ceil_mode=True)[0].permute(1, 2, 0)
        found.append(after.round().to(torch.uint8))
    return found


def _textured(
    model: TexturedMesh, mips: Sequence[Tensor], camera: Camera, face: Tensor, weights: Tensor
) -> Tensor:
    """[M, 3] sRGB 0..1 of places in faces [M], each from the finest copy of the texture whose
    texels are not smaller than half of the camera's pixels."""
    uvs = (model.uvs.index_select(0, face) * weights[..., None]).sum(dim=1)
    level = _levels(model, camera, len(mips))[face]
    colors = torch.empty(len(face), 3)
    for k in level.unique().tolist():
        chosen = (level == k).nonzero()[:, 0]
        colors[chosen] = sampled(mips[k], uvs[chosen])
    return colors


def sampled(image: Tensor, uvs: Tensor) -> Tensor:
    """[M, X] float32 0..1, bilinear, of an image [H, W, X] uint8 at uvs [M, 2], as
    `TexturedMesh.uvs`."""
    height, width = image.shape[:2]
    return bilinear(image, uvs * torch.tensor([width, height])) / 255


def _levels(model: TexturedMesh, camera: Camera, count: int) -> Tensor:
    """[F] int64, how often the texture is halved for each face: by the root of its texels over its
    pixels."""
    mesh = model.mesh
    local = mesh.vertices.double() @ camera.viewmat[:3, :3].double().T
    pixels = (local + camera.viewmat[:3, 3].double()) @ camera.K.double().T
    flat = pixels[:, :2] / pixels[:, 2:]
    height, width = model.texture.color.shape[:2]
    texels = _areas(model.uvs.double()) * (height * width)
    share = texels / _areas(flat[mesh.faces]).clamp_min(1e-12)
    return (0.5 * share.clamp_min(1e-12).log2()).nan_to_num(0).floor().clamp(0, count - 1).long()


def _areas(corners: Tensor) -> Tensor:
    """[F] twice the areas of triangles [F, 3, 2]."""
    a, b, c = corners.unbind(1)
    p, q = b - a, c - a
    return (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).abs()


def _normals(mesh: Mesh, camera: Camera, found: SurfaceSamples) -> Tensor:
    """[H, W, 3] unit, world space, towards the camera; 0 where nothing is."""
    a, b, c = mesh.vertices[mesh.faces].unbind(1)
    of_faces = F.normalize(torch.linalg.cross(b - a, c - a), dim=1, eps=1e-30)
    away = (of_faces * (camera_position(camera) - a)).sum(dim=1, keepdim=True) < 0
    of_faces = torch.where(away, -of_faces, of_faces)
    normals = torch.zeros(*found.face.shape, 3)
    covered = found.face >= 0
    normals[covered] = of_faces[found.face[covered]]
    return F.normalize(normals.sum(dim=2), dim=-1, eps=1e-12)
