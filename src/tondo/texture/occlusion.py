"""Ambient occlusion: how much of the sky the places on a mesh see."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.geometry.look_at import look_at, perpendicular
from tondo.kernels.mesh_depth import mesh_depth
from tondo.kernels.threads import torch_threads
from tondo.mesh.simplify import simplify
from tondo.runs.watch import SILENT, Watch
from tondo.texture.dense import on_dense, parts, search_of
from tondo.texture.fill import picture_of
from tondo.texture.tangents import normals_of
from tondo.texture.texels import texels_of
from tondo.texture.unwrap import padding_of

DIRECTIONS = 128  # over the sphere; a shadow's edge is a step of some 3 %; chosen
DEPTH_SIZE = 1024  # pixels along each side of the pictures that tell what is hidden; chosen
MOST_FACES = 100_000  # of what is looked at: finer ones are below those pixels; chosen
_FAR = 50.0  # radii of the mesh between it and the cameras: rays are parallel within a degree
_SLACK = 1.5  # pixels before a place that hide nothing of it, lest a surface hides itself; chosen
_LEAST_COSINE = 0.1  # of what the slope within a pixel is reckoned with; chosen


def ambient_occlusion(
    low: Mesh, uvs: Tensor, size: int, dense: Mesh, watch: Watch = SILENT
) -> Tensor:
    """[S, S] uint8, as `Texture.occlusion`, for a picture of `size` x `size` texels.

    It is reckoned at half of that size, of the dense mesh, at the places nearest to the coarse
    one's.

    Args:
        low: the coarse mesh. uvs: [F, 3, 2] its corners in the picture.
    """
    half = max(1, size // 2)
    dense = simplify(dense, MOST_FACES)
    texels = texels_of(uvs, half)
    normals = F.normalize(texels.interpolated(normals_of(low), low.faces), dim=1, eps=1e-20)
    points = texels.interpolated(low.vertices, low.faces)
    places = on_dense(search_of(dense), points, normals)
    sky = open_sky(dense, places.points, places.normals, watch)
    image = picture_of(texels, sky[:, None], low, uvs, max(1, padding_of(size) // 2))
    large = F.interpolate(
        image.permute(2, 0, 1)[None], size=(size, size), mode="bilinear", align_corners=False
    )
    return (large[0, 0] * 255).round().clamp(0, 255).to(torch.uint8)


def open_sky(mesh: Mesh, points: Tensor, normals: Tensor, watch: Watch = SILENT) -> Tensor:
    """[T] float32 0..1, the share of the light of an even sky that reaches points [T, 3] with unit
    normals [T, 3], by the cosine over the hemisphere, which a mesh does not hide.

    What is hidden is read from depth pictures of the mesh, from `DIRECTIONS` far away.
    """
    low, high = mesh.vertices.amin(dim=0), mesh.vertices.amax(dim=0)
    centre, radius = (low + high) / 2, max(0.5 * float((high - low).norm()), 1e-12)
    lifted = points + _SLACK * (2 * radius / DEPTH_SIZE) * normals
    reached, whole = torch.zeros(len(points)), torch.zeros(len(points))
    with torch_threads(1):  # the tensors are too small for more
        for direction in watch.over(directions(DIRECTIONS).unbind(), "baking ambient occlusion"):
            camera = _camera(centre, radius, direction)
            depth, _ = mesh_depth(
                mesh.vertices, mesh.faces, camera.viewmat, camera.K, camera.width, camera.height
            )
            depth = torch.where(depth > 0, depth, torch.inf).flatten()
            for part in parts(len(points)):
                cosine = (normals[part] @ direction).clamp_min_(0)
                whole[part] += cosine
                reached[part] += cosine * _open(depth, camera, lifted[part], cosine)
    return torch.where(whole > 0, reached / whole.clamp_min(1e-12), 1.0)


def directions(count: int) -> Tensor:
    """[N, 3] unit vectors evenly over the sphere (Fibonacci's spiral)."""
    k = torch.arange(count, dtype=torch.float64) + 0.5
    z = 1 - 2 * k / count
    angle = math.pi * (1 + math.sqrt(5)) * k
    across = (1 - z * z).sqrt()
    return torch.stack([across * angle.cos(), across * angle.sin(), z], dim=1).float()


def _camera(centre: Tensor, radius: float, direction: Tensor) -> Camera:
    """It sees the whole ball, from far away in `direction`."""
    eye = centre + _FAR * radius * direction
    viewmat = look_at(eye, centre, perpendicular(direction))
    focal, middle = 0.5 * DEPTH_SIZE * (_FAR - 1), 0.5 * DEPTH_SIZE
    K = torch.tensor([[focal, 0, middle], [0, focal, middle], [0, 0, 1]])
    return Camera(viewmat, K, DEPTH_SIZE, DEPTH_SIZE)


def _open(depth: Tensor, camera: Camera, points: Tensor, cosine: Tensor) -> Tensor:
    """[M] float32 0..1: what share of the four pixels of a depth picture around each point [M, 3]
    show nothing before it, by their nearness (percentage-closer filtering; Reeves et al. 1987)."""
    local = (points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]).T.contiguous()
    z = local[2]
    slope = (1 - cosine.square()).clamp_min_(0).sqrt_() / cosine.clamp_min(_LEAST_COSINE)
    focal, middle = float(camera.K[0, 0]), float(camera.K[0, 2]) - 0.5
    front = z * (1 - 0.5 / focal) - slope * z * (0.5 / focal)
    x, y = ((local[k] / z * focal + middle).clamp_(0, DEPTH_SIZE - 1) for k in range(2))
    left, top = (one.floor().clamp_max_(DEPTH_SIZE - 2) for one in (x, y))
    x, y = x - left, y - top
    at = (top * DEPTH_SIZE + left).int()
    open_ = [(depth.index_select(0, at + k) >= front).float() for k in (0, 1)]
    at = at + DEPTH_SIZE
    open_ += [(depth.index_select(0, at + k) >= front).float() for k in (0, 1)]
    upper, lower = torch.lerp(open_[0], open_[1], x), torch.lerp(open_[2], open_[3], x)
    return torch.lerp(upper, lower, y)
