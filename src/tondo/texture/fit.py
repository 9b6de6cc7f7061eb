"""A texture fitted to photographs: render, compare, update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.mesh.render import surface_samples
from tondo.runs.watch import SILENT, Watch
from tondo.texture.bake import OPAQUE, Picture

SWEEPS = 2  # more overfit (docs/notes/texture.md)
DAMPING = 0.3  # of a step; the trial's
CHECKED_EVERY = 8  # photographs; these do not take part and tell whether it helps; chosen
_SAMPLES = 2  # along each side of a pixel


@dataclass(frozen=True)
class _Taps:
    """Where the samples of a photograph's pixels lie in the picture: of P pixels with N samples
    each, 4 texels [P, N, 4] int64 with weights [P, N, 4], and the photograph's colours [P, 3]."""

    index: Tensor
    weights: Tensor
    colors: Tensor


def fitted(
    image: Tensor,
    mesh: Mesh,
    uvs: Tensor,
    pictures: Sequence[Picture],
    watch: Watch = SILENT,
    *,
    sweeps: int = SWEEPS,
) -> Tensor:
    """The image [S, S, 3] float32 after some sweeps of fitting it to the pictures, where that
    brings pictures closer that did not take part; otherwise as it was.

    A sweep is a step of gradient descent on the squared differences of all pixels, scaled for each
    texel by the inverse of how much the pixels see of it (Landweber iteration with a diagonal
    scale, as of SIRT), and damped.
    """
    checked = list(pictures[CHECKED_EVERY // 2 :: CHECKED_EVERY])
    used = [one for k, one in enumerate(pictures) if k % CHECKED_EVERY != CHECKED_EVERY // 2]
    if not checked or not used:
        return image
    after = _swept(image, mesh, uvs, used, sweeps, watch)
    before_error, after_error = (
        sum(_error(one, mesh, uvs, picture) for picture in checked) for one in (image, after)
    )
    if after_error >= before_error:
        return image
    return after


def _swept(
    image: Tensor, mesh: Mesh, uvs: Tensor, pictures: Sequence[Picture], sweeps: int, watch: Watch
) -> Tensor:
    flat = image.reshape(-1, 3).clone()
    for sweep in range(sweeps):
        up, down = torch.zeros_like(flat), torch.zeros(len(flat))
        for picture in watch.over(pictures, f"fitting the texture, sweep {sweep + 1}"):
            taps = _taps(image.shape[0], mesh, uvs, picture)
            off = taps.colors - _rendered(flat, taps)
            share = taps.weights / taps.weights.shape[1]
            index = taps.index.flatten()
            for channel in range(3):
                value = (share * off[:, channel, None, None]).flatten()
                up[:, channel].index_add_(0, index, value)
            down.index_add_(0, index, share.flatten())
        flat += DAMPING * up / down.clamp_min(1e-6)[:, None]
        flat.clamp_(0, 1)
    return flat.view_as(image)


def _rendered(flat: Tensor, taps: _Taps) -> Tensor:
    """[P, 3] the pixels' colours."""
    return (flat[taps.index] * taps.weights[..., None]).sum(dim=2).mean(dim=1)


def _error(image: Tensor, mesh: Mesh, uvs: Tensor, picture: Picture) -> float:
    taps = _taps(image.shape[0], mesh, uvs, picture)
    return float((taps.colors - _rendered(image.reshape(-1, 3), taps)).square().sum())


def _taps(size: int, mesh: Mesh, uvs: Tensor, picture: Picture) -> _Taps:
    """Of the pixels that show the mesh and nothing else."""
    samples = surface_samples(mesh, picture.camera, _SAMPLES)
    whole = (samples.face >= 0).all(dim=-1)
    covered = -F.max_pool2d(-picture.coverage[None, None], 3, 1, 1)[0, 0] > OPAQUE
    chosen = whole & covered
    face, weights = samples.face[chosen], samples.weights[chosen]
    at = (uvs[face] * weights[..., None]).sum(dim=-2) * size - 0.5
    at = at.clamp(0, size - 1)
    low = at.floor().clamp_max(max(0, size - 2))
    x, y = (at - low).unbind(-1)
    column, row = low.long().unbind(-1)
    first = row * size + column
    index = torch.stack([first, first + 1, first + size, first + size + 1], dim=-1)
    tap = torch.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], dim=-1)
    return _Taps(index, tap, picture.colors(picture.image[chosen].float()))
