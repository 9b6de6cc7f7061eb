"""Pictures of a scene."""

from __future__ import annotations

import torch

from tondo.data.cameras import Camera
from tondo.data.splats import Scene, Splats
from tondo.data.views import View
from tondo.kernels.rasterize import rasterize
from tondo.splats.exposure import predicted_exposure


def sh_degree(splats: Splats) -> int:
    """Degree of the harmonics that `splats` stores, 0..3."""
    return {1: 0, 4: 1, 9: 2, 16: 3}[splats.sh.shape[1]]


@torch.no_grad()
def render_view(
    scene: Scene, camera: Camera, *, with_normals: bool = False, exposed: bool = False
) -> View:
    """Render one picture of `scene` as `camera` sees it.

    Args:
        with_normals: fill `View.normals` too.
        exposed: as bright as a photo from there would be (`exposure.predicted_exposure`), where
            exposures were fitted; otherwise with the mean exposure of the photos.

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
    color = picture[0, ..., :3]
    if exposed and scene.exposures is not None:
        matrix = predicted_exposure(scene.exposures, camera.viewmat)
        color = color @ matrix[:, :3].T + matrix[:, 3]
    return View(camera, color.clamp(0, 1), depth, alpha, normals)
