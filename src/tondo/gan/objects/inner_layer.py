"""Coarse skins of generated objects, a splat for each two by two of the fine one's.

As an inner layer they lie a little inside: through gaps between splats that are much smaller than
their cells, and so draw details as small, one sees the same colours and not the far side. By
themselves they are a quarter of the work.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.gan.networks.skin import THICKNESS, Skins
from tondo.geometry.rotations import third_axis
from tondo.kernels.fields.tri_planes_torch import Planes
from tondo.kernels.sphere.sphere_maps import frames

# Standard deviations in cells of the coarse skin. An inner layer has to close by itself.
# Downsampled splats are `LARGER` times those that they stand for, or nearly closed; larger,
# outlines swell.
INNER_SIZE, DOWNSAMPLED_SIZE, LARGER = 0.6, 0.45, 1.6
INNER_DEPTH = 0.5  # how far inside the inner layer lies, in cells' smaller sides; chosen


def with_inner_layer(skins: Skins) -> Skins:
    """`skins` and, where they have an inner layer, its splats after their own (a quarter as many);
    `grid` stays that of the first skin."""
    if not skins.has_inner_layer:
        return skins
    inner = _coarse(skins, INNER_SIZE, INNER_DEPTH)
    means, quats, scales, opacities, colors = (
        torch.cat(pair, dim=1) for pair in zip(skins[:5], inner[:5], strict=True)
    )
    rest = skins[5:]
    return Skins(means, quats, scales, opacities, colors, *rest)._replace(has_inner_layer=False)


def downsampled(objects: Skins | Planes) -> Skins | Planes:
    """One splat for each two by two, in their middle and larger: for a quarter of the work they
    look nearly the same in pictures of half the size. Fields stay as they are."""
    if isinstance(objects, Planes):
        return objects
    few = _coarse(objects, DOWNSAMPLED_SIZE, 0.0)
    scales = torch.maximum(few.scales, LARGER * _mean(objects, objects.scales))
    return few._replace(scales=scales)


def _mean(skins: Skins, x: Tensor) -> Tensor:
    """[B, N / 4, C] means of two by two of the splats' x [B, N, C]."""
    rows, columns = skins.grid.shape[2:]
    squares = x.reshape(len(x), rows // 2, 2, columns // 2, 2, -1)
    return squares.mean(dim=(2, 4)).flatten(1, 2)


def _coarse(skins: Skins, size: float, depth: float) -> Skins:
    """Means of two by two splats, each `size` of its cell large, `depth` of it further inside."""
    grid = F.avg_pool2d(skins.grid, 2)
    quats, reach = frames(grid, THICKNESS)
    reach = reach.flatten(2).transpose(1, 2)
    inwards = -third_axis(quats) * reach[..., :2].amin(dim=2, keepdim=True)
    return skins._replace(
        means=_mean(skins, skins.means) + depth * inwards,
        quats=quats,
        scales=size * reach,
        opacities=_mean(skins, skins.opacities).squeeze(-1),
        colors=_mean(skins, skins.colors),
        grid=grid,
        offset=None,
        has_inner_layer=False,
    )
