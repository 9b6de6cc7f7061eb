"""The colours of a surface from pictures of it: which see a point, how well, and what most of them
agree on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.geometry.cameras import camera_position, scaled
from tondo.kernels.mesh_depth import mesh_depth
from tondo.runs.watch import SILENT, Watch

# Pictures count by (pixels per world unit times cosine) to this power: the trial's best, and softer
# than the single best picture, which shows seams and loses 1.2 dB (docs/notes/texture.md).
SHARPNESS_POWER = 2.0
FLAT = 0.2  # cosine; pictures that see a surface flatter count only where no other does; chosen
OPAQUE = 0.98  # coverage of all pixels around; less has some of the background in it; chosen
FAINT = 1e-6  # weight of what counts only where nothing else does
TOLERANCE = 0.1  # sRGB 0..1; chosen
_DEPTH_SCALE = 2  # the depths that tell what is hidden are of pictures so many times larger
_SLACK_PIXELS = 1.0  # of the photograph, beside what the surface slopes within a pixel; chosen
_STEP_PIXELS = 8.0  # a step in depth of more is an edge, beside which pixels show both sides; chosen


@dataclass(frozen=True)
class Picture:
    """A picture that a surface's colours can be taken from.

    Attributes:
        camera: what took it, in the mesh's frame.
        image: [H, W, 3] uint8 sRGB.
        coverage: [H, W] float32 0..1: less than 1 where pixels show something else, or nothing.
        unexposed: [3, 4] float32, from its colours (r, g, b, 1) to those of the scene, sRGB 0..1;
            None: they are those.
    """

    camera: Camera
    image: Tensor
    coverage: Tensor
    unexposed: Tensor | None = None

    def colors(self, values: Tensor) -> Tensor:
        """[M, 3] float32 sRGB 0..1 in the scene, of values [M, 3] 0..255 of the image."""
        values = values / 255
        if self.unexposed is None:
            return values
        return (values @ self.unexposed[:, :3].T + self.unexposed[:, 3]).clamp(0, 1)


@dataclass(frozen=True)
class Surface:
    """Points on a mesh, in the order of its faces' numbers or not.

    Attributes:
        mesh: what hides them from cameras.
        face: [T] int64, the face that each is on.
        points: [T, 3] float32. normals: [T, 3] float32 unit vectors.
    """

    mesh: Mesh
    face: Tensor
    points: Tensor
    normals: Tensor


@dataclass(frozen=True)
class Seen:
    """What a picture shows of a surface.

    Attributes:
        index: [M] int64 the points. colors: [M, 3] float32. weights: [M] float32 > 0.
    """

    index: Tensor
    colors: Tensor
    weights: Tensor


@dataclass(frozen=True)
class Baked:
    """Colours of T points.

    Attributes:
        colors: [T, 3] float32 sRGB 0..1; 0 where no picture shows the point.
        weights: [T] float32; 0 there.
    """

    colors: Tensor
    weights: Tensor


def bake(
    surface: Surface,
    pictures: Sequence[Picture],
    watch: Watch = SILENT,
    *,
    power: float = SHARPNESS_POWER,
    tolerance: float | None = TOLERANCE,
) -> Baked:
    """The mean colour of each point over the pictures that show it, by how sharply they do.

    Args:
        power: of the sharpness.
        tolerance: how far (root mean square over r, g, b, sRGB 0..1) a picture may be off the
            others' mean before it loses half of its weight or so: people who walked by and
            highlights do; None: all count. It costs a second pass.
    """
    total = torch.zeros(len(surface.points), 3)
    weights = torch.zeros(len(surface.points))
    for picture in watch.over(pictures, "baking the texture"):
        seen = seen_in(surface, picture, power)
        total.index_add_(0, seen.index, seen.colors * seen.weights[:, None])
        weights.index_add_(0, seen.index, seen.weights)
    mean = total / weights.clamp_min(1e-30)[:, None]
    if tolerance is None:
        return Baked(mean, weights)
    total, again = torch.zeros_like(total), torch.zeros_like(weights)
    for picture in watch.over(pictures, "leaving out what differs"):
        seen = seen_in(surface, picture, power)
        off = (seen.colors - mean[seen.index]).square().mean(dim=1) / tolerance**2
        weight = seen.weights * torch.exp(-0.5 * off).clamp_min(FAINT)
        total.index_add_(0, seen.index, seen.colors * weight[:, None])
        again.index_add_(0, seen.index, weight)
    return Baked(total / again.clamp_min(1e-30)[:, None], weights)


def seen_in(surface: Surface, picture: Picture, power: float = SHARPNESS_POWER) -> Seen:
    """The points that a picture shows, the colours there, and how much they count."""
    camera, mesh = picture.camera, surface.mesh
    eye = camera_position(camera)
    index = _facing(mesh, eye)[surface.face].nonzero()[:, 0]
    points, normals = surface.points[index], surface.normals[index]
    towards = F.normalize(eye - points, dim=1)
    cosine = (towards * normals).sum(dim=1)
    local = points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    z = local[:, 2]
    pixels = (local @ camera.K.T)[:, :2] / z[:, None]
    size = torch.tensor([camera.width, camera.height])
    inside = (z > 0) & (cosine > 0) & (pixels >= 0).all(dim=1) & (pixels < size).all(dim=1)
    kept = inside.nonzero()[:, 0]
    index, pixels, z, cosine = index[kept], pixels[kept], z[kept], cosine[kept]
    width_of_pixel = z / float(camera.K[0, 0])
    front, clean = _front_and_clean(mesh, picture)
    u, v = (pixels * _DEPTH_SCALE).long().unbind(-1)
    slope = (1 - cosine.square()).sqrt() / cosine.clamp_min(0.05)
    slack = width_of_pixel * (_SLACK_PIXELS + slope / _DEPTH_SCALE)
    depth = front[v, u]
    kept = ((depth > 0) & ((z - depth).abs() < slack)).nonzero()[:, 0]
    index, pixels, cosine = index[kept], pixels[kept], cosine[kept]
    weight = (cosine / width_of_pixel[kept]) ** power
    u, v = pixels.long().unbind(-1)
    weight = torch.where((cosine > FLAT) & clean[v, u], weight, FAINT * weight)
    covered = picture.coverage[v, u] > 0.5
    kept = covered.nonzero()[:, 0]
    return Seen(index[kept], picture.colors(bilinear(picture.image, pixels[kept])), weight[kept])


def _facing(mesh: Mesh, eye: Tensor) -> Tensor:
    """[F] bool: a camera at `eye` [3] is on the outer side of the face."""
    a, b, c = mesh.vertices[mesh.faces].unbind(1)
    return ((eye - a) * torch.linalg.cross(b - a, c - a)).sum(dim=1) > 0


def _front_and_clean(mesh: Mesh, picture: Picture) -> tuple[Tensor, Tensor]:
    """The mesh's depth, `_DEPTH_SCALE` times as large as the picture, and [H, W] bool: the pixel
    and those around it show one surface and nothing else."""
    camera = picture.camera
    large = scaled(camera, _DEPTH_SCALE * camera.width, _DEPTH_SCALE * camera.height)
    depth, _ = mesh_depth(
        mesh.vertices, mesh.faces, large.viewmat, large.K, large.width, large.height
    )
    far = F.max_pool2d(depth[None, None], _DEPTH_SCALE)
    near = -F.max_pool2d(-torch.where(depth > 0, depth, 1e30)[None, None], _DEPTH_SCALE)
    step = F.max_pool2d(far, 3, 1, 1) + F.max_pool2d(-near, 3, 1, 1)
    is_step = step > _STEP_PIXELS * far / camera.K[0, 0]
    covered = -F.max_pool2d(-picture.coverage[None, None], 3, 1, 1) > OPAQUE
    return depth, (covered & ~is_step)[0, 0]


def bilinear(image: Tensor, pixels: Tensor) -> Tensor:
    """[M, X] float32 values of an image [H, W, X] at pixel coordinates [M, 2] (x, y; centres at +0.5)."""
    height, width = image.shape[:2]
    x = (pixels[:, 0] - 0.5).clamp(0, width - 1)
    y = (pixels[:, 1] - 0.5).clamp(0, height - 1)
    left, top = x.floor().long().clamp_max(max(0, width - 2)), y.floor().long().clamp_max(
        max(0, height - 2)
    )
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    flat, at = image.reshape(-1, image.shape[-1]), top * width + left
    right, down = min(1, width - 1), min(1, height - 1) * width
    upper = flat[at] * (1 - fx) + flat[at + right] * fx
    lower = flat[at + down] * (1 - fx) + flat[at + down + right] * fx
    return upper * (1 - fy) + lower * fy
