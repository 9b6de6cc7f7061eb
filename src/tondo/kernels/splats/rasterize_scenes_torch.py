"""`rasterize_scenes` in plain torch, all scenes at once: the twin of the native kernel.

What a pixel shows is defined by `tondo.kernels.splats.rasterize_torch.blend`; here the splats that
reach a tile of pixels are picked for all tiles of all scenes together, so that a GPU gets a few
large operations and not some for each tile.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from tondo.kernels.splats.gaussians import Cameras, Gaussians
from tondo.kernels.splats.project_torch import (
    Projection,
    ProjectionOptions,
    project_scenes_torch,
)
from tondo.kernels.splats.rasterize_torch import blend

TILE = 8  # pixels a side
MOST = 2**25  # pairs of a pixel and a splat that are blended at once; bounds memory


def rasterize_scenes_torch(
    gaussians: Gaussians, colors: Tensor, cameras: Cameras, *, near_plane: float, eps2d: float
) -> tuple[Tensor, Tensor]:
    """Inputs as of `rasterize_scenes`, on any device, in float32 or float64; differentiable.

    Returns:
        [B, H, W, 4] colour and camera z, summed by weight, and alphas [B, H, W, 1].
    """
    options = ProjectionOptions(near_plane, eps2d=eps2d)
    seen = project_scenes_torch(gaussians, cameras, options)
    opacities, (_, _, width, height) = gaussians.opacities, cameras
    depths, ones = seen.depths[..., None], torch.ones_like(opacities)[..., None]
    splats = torch.cat(
        [seen.means2d, seen.conics, opacities[..., None], colors, depths, ones], dim=-1
    )
    batch, channels = len(colors), colors.shape[-1] + 2
    columns, rows = -(-width // TILE), -(-height // TILE)
    if splats.numel() == 0:
        tiles = splats.new_zeros(batch, rows * columns, TILE * TILE, channels)
    else:
        tiles = _tiles(splats, seen, _corners(rows, columns, colors.device))
    tiles = tiles.unflatten(2, (TILE, TILE)).unflatten(1, (rows, columns))
    whole = tiles.transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, :height, :width]
    return whole[..., :-1], whole[..., -1:]


def _corners(rows: int, columns: int, device: torch.device) -> Tensor:
    """[T, 2] x and y of the tiles' first pixels, row by row."""
    y, x = torch.meshgrid(
        torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij"
    )
    return TILE * torch.stack([x, y], dim=-1).flatten(0, 1)


def _tiles(splats: Tensor, seen: Projection, corners: Tensor) -> Tensor:
    """[B, T, TILE^2, X] what the tiles show of splats [B, N, 6 + X], which are means2d, conics,
    opacities and channels, in any order."""
    with torch.no_grad():
        visible = (seen.radii > 0).all(dim=-1)
        order = seen.depths.masked_fill(~visible, torch.inf).argsort(dim=1, stable=True)
        low, high, visible = (
            x.gather(1, order if x.dim() == 2 else order[..., None].expand(-1, -1, 2))
            for x in (seen.means2d - seen.radii, seen.means2d + seen.radii, visible)
        )
        near = visible[:, None]  # [B, T, N]
        for axis in (0, 1):
            first = corners[:, None, axis]
            near = near & (low[:, None, :, axis] < first + TILE)
            near = near & (high[:, None, :, axis] > first)
        most = max(1, int(near.sum(dim=2).max()))
    ordered = splats.gather(1, order[..., None].expand_as(splats))
    # the last one is nothing: what tiles with fewer splats than others are filled up with
    ordered = torch.cat([ordered, torch.zeros_like(ordered[:, :1])], dim=1)
    share = max(1, MOST // (len(splats) * TILE * TILE * most))  # tiles at once
    parts = []
    for some, where in zip(near.split(share, dim=1), corners.split(share), strict=True):
        if share >= len(corners):
            return _blended(ordered, some, where, most)
        # Recomputed in the backward pass: memory for some tiles instead of all of them.
        parts.append(
            checkpoint(
                _blended,
                ordered,
                some,
                where,
                most,
                use_reentrant=False,
                preserve_rng_state=False,
            )
        )
    return torch.cat(parts, dim=1)


def _blended(ordered: Tensor, near: Tensor, corners: Tensor, most: int) -> Tensor:
    """[B, T, TILE^2, X] of splats from front to back [B, N + 1, 6 + X], of which at most `most`
    are `near` [B, T, N] each of the tiles at `corners` [T, 2]."""
    batch, count, last = near.shape
    place = near.cumsum(dim=2) - 1
    place = torch.where(near, place, most)  # all that are not near go to one that is thrown away
    each = torch.arange(last, device=near.device).expand_as(place)
    found = torch.full((batch, count, most + 1), last, device=near.device)
    found = found.scatter(2, place, each)[..., :most].flatten(1)
    picked = ordered.gather(1, found[..., None].expand(-1, -1, ordered.shape[2]))
    picked = picked.unflatten(1, (count, most))
    inside = torch.arange(TILE, device=near.device)
    pixels = torch.cartesian_prod(inside, inside).flip(-1) + corners[:, None]
    means2d, conics, opacities = picked[..., :2], picked[..., 2:5], picked[..., 5]
    return blend(pixels.to(picked) + 0.5, means2d, conics, opacities, picked[..., 6:])
