"""Pictures of a scene of splats."""

from __future__ import annotations

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.splats import Scene, Splats
from tondo.data.views import View
from tondo.kernels.splats.gaussians import Cameras, Gaussians
from tondo.kernels.splats.median_depth import median_depth
from tondo.kernels.splats.rasterize import rasterize

# The surface is where this much of the light is left. Photometric training leaves surfaces a little
# transparent, so that half of the light is gone only behind them.
_LIGHT_LEFT = 0.7


def sh_degree(splats: Splats) -> int:
    """Degree of the harmonics that `splats` stores, 0..3."""
    return {1: 0, 4: 1, 9: 2, 16: 3}[splats.sh.shape[1]]


@torch.no_grad()
def render_splats(
    scene: Scene, camera: Camera, *, with_normals: bool = False, exposure: Tensor | None = None
) -> View:
    """Render one picture of `scene` as `camera` sees it.

    Args:
        with_normals: fill `View.normals` too.
        exposure: [3, 4], colours are shown as exposure @ (r, g, b, 1); None: as they are.

    Returns:
        The picture with the scene's background behind it, colour clamped to 0..1.
    """
    splats = scene.splats
    picture, alphas, meta = rasterize(
        *_gaussians(splats),
        splats.sh,
        camera.viewmat[None],
        camera.K[None],
        camera.width,
        camera.height,
        sh_degree=sh_degree(splats),
        backgrounds=scene.background[None],
        render_mode="RGB+ED",
        with_normals=with_normals,
    )
    normals = None
    if with_normals:
        normals = torch.nn.functional.normalize(meta["normals"][0], dim=-1)
    alpha = alphas[0, ..., 0]
    depth = torch.where(alpha > 1e-3, picture[0, ..., 3], torch.zeros(()))
    color = picture[0, ..., :3]
    if exposure is not None:
        color = color @ exposure[:, :3].T + exposure[:, 3]
    return View(camera, color.clamp(0, 1), depth, alpha, normals)


@torch.no_grad()
def surface_depth(scene: Scene, camera: Camera) -> Tensor:
    """[H, W] camera z at which `_LIGHT_LEFT` of a pixel's light is left, 0 where it never is. See
    `kernels.median_depth`."""
    cameras = Cameras(camera.viewmat[None], camera.K[None], camera.width, camera.height)
    return median_depth(_gaussians(scene.splats), cameras, level=_LIGHT_LEFT)[0]


def _gaussians(splats: Splats) -> Gaussians:
    scales, opacities = splats.log_scales.exp(), splats.opacity_logits.sigmoid()
    return Gaussians(splats.means, splats.quats, scales, opacities)
