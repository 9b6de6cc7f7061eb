"""Pictures of a scene."""

from __future__ import annotations

import torch

from tondo.data.cameras import Camera
from tondo.data.splats import Scene, Splats
from tondo.data.views import View
from tondo.kernels.rasterize import rasterize


def sh_degree(splats: Splats) -> int:
    """Degree of the harmonics that `splats` stores, 0..3."""
    return {1: 0, 4: 1, 9: 2, 16: 3}[splats.sh.shape[1]]


@torch.no_grad()
def render_view(scene: Scene, camera: Camera, *, with_normals: bool = False) -> View:
    """Render one picture of `scene` as `camera` sees it.

    Args:
        with_normals: fill `View.normals` too.

    Returns:
        The picture with the scene's background behind it, colour clamped to 0..1.
    """
    splats = scene.splats
    picture, alphas, meta = rasterize(
        splats.means,
        splats.quats,
        splats.log_scales.exp(),
        splats.opacity_logits.sigmoid(),
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
    return View(camera, picture[0, ..., :3].clamp(0, 1), depth, alpha, normals)
