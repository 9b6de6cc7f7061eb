"""Rows of Gaussian splats as other programs write them, read as what they mean."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tondo.data.splats import Splats

# The logit of an opacity of 1: in 32 bits its logistic function is 1 but for the last bit.
_OPAQUE = 16.0
# A flat splat's thickness, as a share of its width.
_THICKNESS = 1e-3


def mended(splats: Splats) -> tuple[Splats, tuple[str, ...]]:
    """Splats with finite numbers, and what was found, in sentences with counts.

    Opacities of +inf are opaque, those of -inf invisible; a scale of -inf makes a splat flat (2D
    Gaussian splatting has no third one); a rotation of length 0 turns nothing. Rows of zeros fill
    up a file. Rows with other numbers that are not finite are damaged. Invisible, empty and damaged
    ones are left out.

    Args:
        splats: their numbers may be anything.
    """
    count = len(splats.means)
    scales, opacities = splats.log_scales, splats.opacity_logits
    no_turn = splats.quats.norm(dim=1) < 1e-12
    flat = scales == -math.inf
    empty = no_turn & (opacities == 0) & _are_zero(splats.means) & _are_zero(splats.sh)
    empty &= ((scales == 0) | flat).all(dim=1)
    damaged = ~torch.cat([splats.means, splats.quats, splats.sh.flatten(1)], 1).isfinite().all(1)
    damaged |= (scales.isnan() | (scales == math.inf)).any(dim=1) | opacities.isnan()
    invisible = ((opacities == -math.inf) | flat.all(dim=1)) & ~damaged
    kept = ~(empty | damaged | invisible)
    opaque = kept & (opacities == math.inf)
    unturned, is_flat = kept & no_turn, kept & flat.any(dim=1)
    notes = [
        f"{int(found.sum())} of {count} splats {what}"
        for found, what in (
            (opaque, "have an opacity of +inf: taken as opaque"),
            (is_flat, "have no third scale, or a scale of -inf: taken as flat"),
            (unturned, "have a rotation of length 0: taken as not turned"),
            (invisible, "have an opacity or scales of -inf: invisible, left out"),
            (empty, "are rows of zeros: left out"),
            (damaged, "have numbers that are NaN or infinite: left out"),
        )
        if bool(found.any())
    ]
    if not notes:
        return splats, ()
    identity = torch.tensor([1.0, 0.0, 0.0, 0.0])
    thickness = scales.amax(dim=1, keepdim=True) + math.log(_THICKNESS)
    return Splats(
        means=splats.means[kept],
        quats=torch.where(no_turn[:, None], identity, splats.quats)[kept],
        log_scales=torch.where(flat, thickness, scales)[kept],
        opacity_logits=torch.where(opacities == math.inf, _OPAQUE, opacities)[kept],
        sh=splats.sh[kept],
    ), tuple(notes)


def _are_zero(values: Tensor) -> Tensor:
    """[N], whether all numbers of a row are 0."""
    return (values.flatten(1) == 0).all(dim=1)
