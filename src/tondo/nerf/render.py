"""Pictures of a field."""

from __future__ import annotations

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.field import FieldScene, FrequencyField
from tondo.data.views import View
from tondo.kernels.fields.frequency import half_products
from tondo.kernels.fields.rays import ends_of, render_rays
from tondo.nerf.bounds import range_of
from tondo.nerf.ray_batches import camera_rays

LEAST_ALPHA = 1e-3  # below it a pixel has no depth; chosen
# Of a pixel's ways to its two neighbours' points, the longer over the shorter, above which the
# longer one leads over an edge; chosen (without it normals are a degree worse, measured)
EDGE = 2.0
# Where in its steps a ray has its samples: the mean of two pictures, each with samples where the
# other has none, is worth 0.2 dB. Training has a new place for every ray.
PLACES = (0.25, 0.75)


@torch.no_grad()
def render_field(
    scene: FieldScene,
    camera: Camera,
    *,
    with_normals: bool = False,
    exposure: Tensor | None = None,
    quick: bool = False,
) -> View:
    """Render one picture of `scene` as `camera` sees it.

    Args:
        with_normals: fill `View.normals` too, from the depths of neighbouring pixels.
        quick: half as long, and a little coarser: a surface needs no more.
        exposure: [3, 4], colours are shown as exposure @ (r, g, b, 1); None: as they are.

    Returns:
        The picture with the scene's background behind it, colour clamped to 0..1, and the
        expected depth along the camera's z axis.
    """
    rays_o, rays_d, forward = camera_rays(camera)
    ends = ends_of(scene.field.space, rays_o, rays_d, *range_of(scene.field.space))
    color, alpha, depths = _seen(scene, rays_o, rays_d, ends, (0.5,) if quick else PLACES)
    color = color + (1 - alpha)[:, None] * scene.background
    distance = depths / alpha.clamp_min(LEAST_ALPHA)
    depth = torch.where(alpha > LEAST_ALPHA, distance * forward, 0.0)
    size = (camera.height, camera.width)
    normals = None
    if with_normals:
        points = (rays_o + rays_d * distance[:, None]).view(*size, 3)
        normals = torch.where(depth.view(size)[..., None] > 0, _normals(points, rays_d), 0.0)
    if exposure is not None:
        color = color @ exposure[:, :3].T + exposure[:, 3]
    color = color.clamp(0, 1).view(*size, 3)
    return View(camera, color, depth.view(size), alpha.view(size), normals)


def _seen(
    scene: FieldScene, rays_o: Tensor, rays_d: Tensor, ends: Tensor, places: tuple[float, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """Colours [R, 3], opacities [R] and depths [R] of rays, as `render_rays` gives them."""
    if isinstance(scene.field, FrequencyField):  # its fine network's samples are where the light is
        places = (0.5,)
    with half_products(scene.field):
        found = [
            render_rays(
                scene.field,
                rays_o,
                rays_d,
                ends,
                scene.marching,
                offsets=torch.full_like(ends[:, 0], at),
            )
            for at in places
        ]
    three = zip(*(one[:3] for one in found), strict=True)
    colors, opacities, depths = (torch.stack(each).mean(dim=0) for each in three)
    return colors, opacities, depths


def _normals(points: Tensor, rays_d: Tensor) -> Tensor:
    """[H, W, 3] unit normals of a surface given by its points, towards the camera."""
    if min(points.shape[:2]) < 2:  # no neighbour: as if each pixel faced its ray
        return -rays_d.view(points.shape)
    across, down = (_ways(points, axis) for axis in (1, 0))
    normals = torch.nn.functional.normalize(torch.linalg.cross(across, down), dim=2)
    away = (normals * rays_d.view(points.shape)).sum(dim=2, keepdim=True) > 0
    return torch.where(away, -normals, normals)


def _ways(points: Tensor, axis: int) -> Tensor:
    """[H, W, 3] ways along the surface through each of `points`, of any length: from the pixel
    before it to the one after it along `axis`, but not over an edge."""
    steps = points.diff(dim=axis)
    before = torch.cat([steps.narrow(axis, 0, 1), steps], dim=axis)
    after = torch.cat([steps, steps.narrow(axis, steps.shape[axis] - 1, 1)], dim=axis)
    b, a = (x.norm(dim=2, keepdim=True) for x in (before, after))
    return torch.where(a > EDGE * b, before, torch.where(b > EDGE * a, after, before + after))
