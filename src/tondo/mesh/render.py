"""Pictures of a mesh: with a texture, with colours at its vertices, or without either."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.data.textured import TexturedMesh
from tondo.data.views import View
from tondo.geometry.cameras import scaled
from tondo.kernels.mesh_depth import mesh_depth

SAMPLES = 2  # along each side of a pixel; chosen
GREY = 0.7  # sRGB, of a mesh without colours


@dataclass(frozen=True)
class SurfaceSamples:
    """What a camera sees of a mesh at N x N places in each pixel.

    Attributes:
        face: [H, W, N * N] int64, -1 where nothing is.
        weights: [H, W, N * N, 3] float32 barycentric coordinates in the face, in space.
        depth: [H, W, N * N] float32 along the camera's z axis, 0 where nothing is.
    """

    face: Tensor
    weights: Tensor
    depth: Tensor


def render_mesh(
    model: Mesh | TexturedMesh, camera: Camera, background: Tensor, *, samples: int = SAMPLES
) -> View:
    """One picture of a mesh as `camera` sees it, unlit: its texture, the colours of its vertices,
    or grey.

    Args:
        background: [3] sRGB 0..1.
        samples: along each side of a pixel, whose mean it is.

    Returns:
        The picture; depth is the mean over the covered samples, and normals are the faces'.
    """
    mesh = model.mesh if isinstance(model, TexturedMesh) else model
    found = surface_samples(mesh, camera, samples)
    covered = found.face >= 0
    face, weights = found.face[covered], found.weights[covered]
    if isinstance(model, TexturedMesh):
        colors = sampled(model.texture.color, (model.uvs[face] * weights[..., None]).sum(dim=1))
    elif mesh.colors is not None:
        corners = mesh.colors[mesh.faces[face]].float() / 255
        colors = (corners * weights[..., None]).sum(dim=1)
    else:
        colors = torch.full((len(face), 3), GREY)
    color = background.expand(*covered.shape, 3).clone()
    color[covered] = colors
    count = covered.sum(dim=-1)
    alpha = covered.float().mean(dim=-1)
    depth = found.depth.sum(dim=-1) / count.clamp_min(1)
    return View(camera, color.mean(dim=2).clamp(0, 1), depth, alpha, _normals(mesh, camera, found))


def surface_samples(mesh: Mesh, camera: Camera, samples: int = SAMPLES) -> SurfaceSamples:
    """What a camera sees of a mesh at `samples` x `samples` places in each pixel."""
    width, height = samples * camera.width, samples * camera.height
    large = scaled(camera, width, height)
    depth, face = mesh_depth(mesh.vertices, mesh.faces, large.viewmat, large.K, width, height)
    covered = (face >= 0).nonzero()
    weights = torch.zeros(height, width, 3)
    row, column = covered.unbind(1)
    pixel = torch.stack([column, row], dim=1).float() + 0.5
    corners = mesh.vertices[mesh.faces[face[row, column]]].double()
    weights[row, column] = _weights(corners, large, pixel)
    return SurfaceSamples(*(_by_pixel(one, samples) for one in (face, weights, depth)))


def _weights(corners: Tensor, camera: Camera, pixels: Tensor) -> Tensor:
    """[M, 3] barycentric coordinates of where the rays of pixels [M, 2] meet the planes of corners
    [M, 3, 3] float64: the volumes that the ray spans with two of the corners each."""
    viewmat, K = camera.viewmat.double(), camera.K.double()
    local = corners @ viewmat[:3, :3].T + viewmat[:3, 3]
    rays = torch.cat([pixels.double(), torch.ones(len(pixels), 1)], dim=1) @ torch.linalg.inv(K).T
    a, b, c = local.unbind(1)
    parts = [(rays * torch.linalg.cross(p, q)).sum(dim=1) for p, q in ((b, c), (c, a), (a, b))]
    whole = torch.stack(parts, dim=1)
    return (whole / whole.sum(dim=1, keepdim=True)).float()


def _by_pixel(values: Tensor, samples: int) -> Tensor:
    """[N * H, N * W, ...] as [H, W, N * N, ...]."""
    height, width = values.shape[0] // samples, values.shape[1] // samples
    split = values.view(height, samples, width, samples, *values.shape[2:])
    return split.transpose(1, 2).reshape(height, width, samples * samples, *values.shape[2:])


def sampled(image: Tensor, uvs: Tensor) -> Tensor:
    """[M, X] float32 0..1, bilinear, of an image [H, W, X] uint8 at uvs [M, 2]."""
    height, width = image.shape[:2]
    at = uvs * torch.tensor([width, height]) - 0.5
    at = torch.minimum(at.clamp_min(0), torch.tensor([width - 1.0, height - 1.0]))
    low = at.floor()
    fraction = at - low
    column, row = low.long().unbind(-1)
    right, below = (column + 1).clamp_max(width - 1), (row + 1).clamp_max(height - 1)
    flat = image.reshape(-1, image.shape[-1])
    x, y = fraction[:, :1], fraction[:, 1:]
    top = flat[row * width + column] * (1 - x) + flat[row * width + right] * x
    bottom = flat[below * width + column] * (1 - x) + flat[below * width + right] * x
    return (top * (1 - y) + bottom * y) / 255


def _normals(mesh: Mesh, camera: Camera, found: SurfaceSamples) -> Tensor:
    """[H, W, 3] unit, world space, towards the camera; 0 where nothing is."""
    a, b, c = mesh.vertices[mesh.faces].unbind(1)
    of_faces = F.normalize(torch.linalg.cross(b - a, c - a), dim=1, eps=1e-30)
    normals = torch.where(
        (found.face >= 0)[..., None], of_faces[found.face.clamp_min(0)], torch.zeros(3)
    )
    eye = -camera.viewmat[:3, :3].T @ camera.viewmat[:3, 3]
    towards = (eye - a)[found.face.clamp_min(0)]
    facing = (normals * towards).sum(dim=-1, keepdim=True) >= 0
    return F.normalize(torch.where(facing, normals, -normals).sum(dim=2), dim=-1, eps=1e-12)
