"""How well photographs agree about places along the normals of a surface, by native code on the
CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from tondo import _native
from tondo.kernels.mesh.patch_scores_torch import (
    PatchPhotos,
    PatchPoints,
    PatchRule,
    patch_scores_torch,
)


def patch_scores(at: PatchPoints, photos: PatchPhotos, rule: PatchRule, hypotheses: int) -> Tensor:
    """The agreement of photographs if a point of a surface lay elsewhere on its normal.

    Hypothesis h is the point moved by (h - (hypotheses - 1) / 2) steps along its normal. A patch
    of side x side samples in the plane through it, at right angles to the normal, is looked up in
    each of the point's photographs. Two patches agree by their normalised cross-correlation over
    the three colours, each less its mean: sum a b / sqrt((sum a^2 + e) (sum b^2 + e)), where e is
    what noise adds to the sum. Photographs with samples outside are left out.

    Args:
        hypotheses: at least 1.

    Returns:
        [V, hypotheses] float32, -1..1: the mean over the best `rule.keep` of all pairs; 0 where
        there is no pair.

    Raises:
        ValueError: sizes differ, or a photograph is named that is not there.
    """
    if at.points.device.type != "cpu":
        return patch_scores_torch(at, photos, rule, hypotheses)
    scores = torch.empty(len(at.points), hypotheses)
    points = PatchPoints(*(x.contiguous() for x in at))
    pictures = PatchPhotos(*(x.contiguous() for x in photos))
    _native.patch_scores(points, pictures, rule, scores)
    return scores
