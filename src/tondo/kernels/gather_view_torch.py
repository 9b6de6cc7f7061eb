"""Colours of points on a surface from a picture of it in plain PyTorch: the definition."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.geometry.bilinear import bilinear

NOT, FAINTLY, FULLY = 0, 1, 2  # what a pixel counts (`ViewMaps.use`)


class SurfacePoints(NamedTuple):
    """T points on a surface of F faces.

    Attributes:
        points: [T, 3] float32 world space. normals: [T, 3] float32 unit vectors.
        face: [T] int64, the face that each lies on.
        facing: [F] uint8, 1 where the camera is on the face's outer side.
    """

    points: Tensor
    normals: Tensor
    face: Tensor
    facing: Tensor


class ViewMaps(NamedTuple):
    """A picture of the surface.

    Attributes:
        viewmat: [4, 4] float32 world-to-camera. K: [3, 3] float32, pixels of the image.
        front: [n H, n W] float32, depth of the surface along z, finer than the image by a whole
            number n; 0 where nothing is.
        use: [H, W] uint8: 0: the pixel shows something else; 1: it shows other things, too, and
            counts only where nothing else does; 2: it counts.
        image: [H, W, 3] uint8 sRGB.
        unexposed: [3, 4] float32, from the image's colours (r, g, b, 1), 0..1, to the scene's.
    """

    viewmat: Tensor
    K: Tensor
    front: Tensor
    use: Tensor
    image: Tensor
    unexposed: Tensor


class GatherRule(NamedTuple):
    """How much a picture counts.

    Attributes:
        power: of its sharpness, pixels per world unit times cosine.
        flat: cosine below which it counts only where nothing else shows the point, and below which
            a surface's slope allows no more depth within a pixel.
        faint: factor of the weight of what counts only there.
        slack: pixels by which a point may be off the frontmost surface.
        weight: factor of the weights of the whole picture.
        tolerance: root mean square over r, g, b by which its colour may be off the mean before it
            counts less: the weight falls by exp(-off^2 / (2 tolerance^2)), down to `faint`.
    """

    power: float
    flat: float
    faint: float
    slack: float
    weight: float
    tolerance: float


def gather_view_torch(
    surface: SurfacePoints,
    view: ViewMaps,
    rule: GatherRule,
    mean: Tensor | None,
    total: Tensor,
    weights: Tensor,
) -> None:
    """`gather_view`."""
    height, width = view.use.shape
    scale = view.front.shape[0] // height
    R, t = view.viewmat[:3, :3], view.viewmat[:3, 3]
    towards = F.normalize(-R.T @ t - surface.points, dim=1)
    cosine = (towards * surface.normals).sum(dim=1)
    local = surface.points @ R.T + t
    z = local[:, 2]
    pixels = (local @ view.K.T)[:, :2] / z[:, None]
    size = torch.tensor([width, height], device=pixels.device)
    inside = (z > 0) & (cosine > 0) & (pixels >= 0).all(dim=1) & (pixels < size).all(dim=1)
    index = (inside & surface.facing[surface.face].bool()).nonzero()[:, 0]
    pixels, z, cosine = pixels[index], z[index], cosine[index]
    u, v = pixels.long().unbind(-1)
    use = view.use[v, u]
    fine_u, fine_v = (pixels * scale).long().unbind(-1)
    depth = view.front[fine_v, fine_u]
    pixel = z / view.K[0, 0]
    slope = (1 - cosine.square()).clamp_min(0).sqrt() / cosine.clamp_min(rule.flat)
    close = (z - depth).abs() < pixel * (rule.slack + slope / scale)
    kept = ((use > NOT) & (depth > 0) & close).nonzero()[:, 0]
    index, cosine, pixel, use = index[kept], cosine[kept], pixel[kept], use[kept]
    colors = bilinear(view.image, pixels[kept]) / 255
    colors = (colors @ view.unexposed[:, :3].T + view.unexposed[:, 3]).clamp(0, 1)
    weight = rule.weight * (cosine / pixel) ** rule.power
    weight = torch.where((use == FULLY) & (cosine > rule.flat), weight, rule.faint * weight)
    if mean is not None:
        off = (colors - mean[index]).square().mean(dim=1) / rule.tolerance**2
        weight = weight * torch.exp(-0.5 * off).clamp_min(rule.faint)
    total.index_add_(0, index, colors * weight[:, None])
    weights.index_add_(0, index, weight)
