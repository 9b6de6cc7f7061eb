"""The proportions of a kind of thing, from the outlines of photographs whose cameras are known."""

from __future__ import annotations

import torch
from torch import Tensor

from tondo.data.pictures import PictureSet

AT_MOST = 4096  # photographs looked at; chosen
SMALLEST, LARGEST = 0.1, 1.0  # axes, in object radii, within the unit sphere; chosen, not measured


def body_radii(pictures: PictureSet) -> Tensor | None:
    """Half axes [3] of the ellipsoid, along the generator's axes, whose outlines fit best.

    Far from the camera, the outline of an ellipsoid with half axes r is an ellipse whose uniform
    second moments are P diag(r^2) P^T / 4, P the two rows of the rotation that span the picture:
    linear in r^2, solved by least squares over all photographs.

    Returns:
        float32, in radii of the unit sphere, 0.1..1; None without transparency or without cameras.
    """
    if not pictures.with_alpha or pictures.viewmats is None or pictures.Ks is None:
        return None
    step = max(1, len(pictures.images) // AT_MOST)
    alphas = pictures.images[::step, 3].double() / 255
    viewmats, Ks = pictures.viewmats[::step].double(), pictures.Ks[::step].double()
    seen = alphas.sum(dim=(1, 2)) > 0
    if not bool(seen.any()):
        return None
    alphas, viewmats, Ks = alphas[seen], viewmats[seen], Ks[seen]
    across, down = viewmats[:, 0, :3], viewmats[:, 1, :3]
    rows = torch.stack([across.square(), down.square(), across * down], dim=1)
    unit = viewmats[:, 2, 3] / Ks[:, 0, 0]  # of a pixel, at the origin
    wanted = 4 * _moments(alphas) * unit.square()[:, None]
    squares = torch.linalg.lstsq(rows.flatten(0, 1), wanted.flatten()[:, None]).solution[:, 0]
    return squares.clamp_min(0).sqrt().clamp(SMALLEST, LARGEST).float()


def _moments(alphas: Tensor) -> Tensor:
    """[B, 3] variances across and down and their covariance, pixels^2, of masks [B, H, W]."""
    x = torch.arange(alphas.shape[2], dtype=alphas.dtype) + 0.5
    y = torch.arange(alphas.shape[1], dtype=alphas.dtype) + 0.5
    share = alphas / alphas.sum(dim=(1, 2), keepdim=True)
    dx = x - (share.sum(dim=1) * x).sum(dim=1, keepdim=True)  # [B, W]
    dy = y - (share.sum(dim=2) * y).sum(dim=1, keepdim=True)
    xx = (share.sum(dim=1) * dx.square()).sum(dim=1)
    yy = (share.sum(dim=2) * dy.square()).sum(dim=1)
    xy = (share * dy[:, :, None] * dx[:, None]).sum(dim=(1, 2))
    return torch.stack([xx, yy, xy], dim=1)
