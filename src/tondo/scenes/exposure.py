"""The exposure that a photo from a new viewpoint would have, from those of the training photos.

A camera on automatic sets its exposure by what it sees, and photos from nearby see nearly the same.
So a new viewpoint gets the mean of the training photos' exposures, weighted by nearness
(Nadaraya 1964, Watson 1964): sum_p K(d_p / h) E_p / sum_p K(d_p / h) with K(u) = exp(-u^2 / 2).
The width h is the one that predicts the training photos best from each other; where no width does
better than no correction at all, there is none.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tondo.data.splats import Exposures

WIDTHS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5)  # as `_stands` measures; chosen
FEWEST = 4  # photos to learn anything from; chosen
MOST_CHECKED = 500  # photos that the width is chosen on, evenly among all


def predicted_exposure(exposures: Exposures, viewmat: Tensor) -> Tensor:
    """[3, 4] float32: colour of a photo = result @ (r, g, b, 1), for a camera at `viewmat` [4, 4].

    Only the camera's place and direction count, nothing of what it photographed.
    """
    none = torch.eye(3, 4)
    count = len(exposures.matrices)
    if count < FEWEST:
        return none
    matrices = exposures.matrices.double().flatten(1) - none.double().flatten()
    known = _stands(exposures.viewmats)
    scale = known[:, :3].var(dim=0, unbiased=False).sum().sqrt().clamp_min(1e-12)
    unit = torch.cat([1 / scale.expand(3), torch.ones(3)])
    known, new = known * unit, _stands(viewmat[None]) * unit
    width = _best_width(known, matrices)
    if width is None:
        return none
    mixed = _weights(new, known, width) @ matrices
    return none + mixed.view(3, 4).float()


def _best_width(known: Tensor, matrices: Tensor) -> float | None:
    """The width with the smallest error when each photo is predicted from all others."""
    rows = torch.linspace(0, len(known) - 1, min(len(known), MOST_CHECKED)).round().long()
    best, least = None, float(matrices[rows].square().mean())
    for width in WIDTHS:
        weights = _weights(known[rows], known, width, leave_out=rows)
        error = float((weights @ matrices - matrices[rows]).square().mean())
        if error < least:
            best, least = width, error
    return best


def _weights(
    stands: Tensor, known: Tensor, width: float, leave_out: Tensor | None = None
) -> Tensor:
    squares = torch.cdist(stands, known).square()
    if leave_out is not None:
        squares[torch.arange(len(stands)), leave_out] = torch.inf
    return torch.softmax(-squares / (2 * width * width), dim=1)


def _stands(viewmats: Tensor) -> Tensor:
    """[P, 6] float64: where cameras are and which way they look."""
    R, t = viewmats[:, :3, :3].double(), viewmats[:, :3, 3].double()
    places = -(R.transpose(1, 2) @ t[:, :, None])[:, :, 0]
    return torch.cat([places, R[:, 2]], dim=1)
