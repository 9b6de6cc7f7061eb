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
from tondo.geometry.cameras import scaled
from tondo.geometry.silhouettes import are_silhouettes
from tondo.kernels.gather_view import gather_view
from tondo.kernels.gather_view_torch import (
    FAINTLY,
    FULLY,
    NOT,
    GatherRule,
    SurfacePoints,
    ViewMaps,
)
from tondo.kernels.mesh_depth import mesh_depth
from tondo.runs.watch import SILENT, Watch

# Pictures count by (pixels per world unit times cosine) to this power, and less where their colour
# is off the mean by more than this (sRGB 0..1): measured on photographs (docs/notes/texture.md).
SHARPNESS_POWER = 2.0
TOLERANCE = 0.2
FLAT = 0.2  # cosine; pictures that see a surface flatter count only where no other does; chosen
OPAQUE = 0.98  # coverage of all pixels around; less has some of the background in it; chosen
FAINT = 1e-6  # weight of what counts only where nothing else does
_DEPTH_SCALE = 2  # the depths that tell what is hidden are of pictures so many times larger
_SLACK_PIXELS = 1.0  # of the photograph, beside what the surface slopes within a pixel; chosen
_STEP_PIXELS = (
    8.0  # a step in depth of more is an edge, beside which pixels show both sides; chosen
)


@dataclass(frozen=True)
class Picture:
    """A picture that a surface's colours can be taken from.

    Attributes:
        camera: what took it, in the mesh's frame.
        image: [H, W, 3] uint8 sRGB.
        coverage: [H, W] float32 0..1: less than 1 where pixels show something else, or nothing.
        unexposed: [3, 4] float32, from its colours (r, g, b, 1) to those of the scene, sRGB 0..1;
            None: they are those.
        weight: how much it counts, > 0; less than 1 for one that is blurred.
        alone: nothing is where coverage is 0, as of alpha; else it is not known what is there.
    """

    camera: Camera
    image: Tensor
    coverage: Tensor
    unexposed: Tensor | None = None
    weight: float = 1.0
    alone: bool = False

    def colors(self, values: Tensor) -> Tensor:
        """[M, 3] float32 sRGB 0..1 in the scene, of values [M, 3] 0..255 of the image."""
        values = values / 255
        if self.unexposed is None:
            return values
        return (values @ self.unexposed[:, :3].T + self.unexposed[:, 3]).clamp(0, 1)


def show_one_object(pictures: Sequence[Picture]) -> bool:
    """Whether the pictures show one object and nothing beside it (`are_silhouettes`)."""
    alone = all(one.alone for one in pictures)
    return alone and are_silhouettes([one.coverage > 0.5 for one in pictures])


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
    tolerance: float | None = TOLERANCE,
) -> Baked:
    """The mean colour of each point over the pictures that show it, by how sharply they do.

    Args:
        tolerance: how far (root mean square over r, g, b, sRGB 0..1) a picture may be off the
            others' mean before it loses half of its weight or so: people who walked by and
            highlights do; None: all count. It costs a second pass.
    """
    rule = GatherRule(SHARPNESS_POWER, FLAT, FAINT, _SLACK_PIXELS, 1.0, tolerance or 0.0)
    total, weights = torch.zeros(len(surface.points), 3), torch.zeros(len(surface.points))
    for picture in watch.over(pictures, "baking the texture"):
        view = _maps(surface.mesh, picture)  # made twice: all together would take gigabytes
        of_it = rule._replace(weight=picture.weight)
        gather_view(_points(surface, view), view, of_it, None, total, weights)
    mean = total / weights.clamp_min(1e-30)[:, None]
    if tolerance is None:
        return Baked(mean, weights)
    total, again = torch.zeros_like(total), torch.zeros_like(weights)
    for picture in watch.over(pictures, "leaving out what differs"):
        view = _maps(surface.mesh, picture)
        of_it = rule._replace(weight=picture.weight)
        gather_view(_points(surface, view), view, of_it, mean, total, again)
    return Baked(total / again.clamp_min(1e-30)[:, None], weights)


def well_seen(weights: Tensor) -> Tensor:
    """[T] bool of weights [T] of `bake`: pictures show the point, and not only from the side or
    beside an edge, where they count by `FAINT`."""
    seen = weights[weights > 0]
    return weights > (FAINT**0.5 * float(seen.median()) if len(seen) else 0.0)


def _points(surface: Surface, view: ViewMaps) -> SurfacePoints:
    a, b, c = surface.mesh.vertices[surface.mesh.faces].unbind(1)
    eye = -view.viewmat[:3, :3].T @ view.viewmat[:3, 3]
    facing = ((eye - a) * torch.linalg.cross(b - a, c - a)).sum(dim=1) > 0
    return SurfacePoints(surface.points, surface.normals, surface.face, facing.to(torch.uint8))


def _maps(mesh: Mesh, picture: Picture) -> ViewMaps:
    """The picture with the mesh's depth, and which of its pixels show the mesh and nothing else:
    those around them show it, too, and no step in depth."""
    camera = picture.camera
    large = scaled(camera, _DEPTH_SCALE * camera.width, _DEPTH_SCALE * camera.height)
    depth, _ = mesh_depth(
        mesh.vertices, mesh.faces, large.viewmat, large.K, large.width, large.height
    )
    far = F.max_pool2d(depth[None, None], _DEPTH_SCALE)
    near = -F.max_pool2d(-torch.where(depth > 0, depth, 1e30)[None, None], _DEPTH_SCALE)
    step = F.max_pool2d(far, 3, 1, 1) + F.max_pool2d(-near, 3, 1, 1)
    is_step = step > _STEP_PIXELS * far / camera.K[0, 0]
    whole = -F.max_pool2d(-picture.coverage[None, None], 3, 1, 1) > OPAQUE
    use = torch.where((whole & ~is_step)[0, 0], FULLY, FAINTLY)
    use = torch.where(picture.coverage > 0.5, use, NOT).to(torch.uint8)
    unexposed = torch.eye(3, 4) if picture.unexposed is None else picture.unexposed
    return ViewMaps(camera.viewmat, camera.K, depth, use, picture.image, unexposed)
