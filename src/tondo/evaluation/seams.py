"""Whether a texture's seams show: steps of colour across them, beside those inside charts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tondo.data.textured import TexturedMesh
from tondo.geometry.bilinear import bilinear

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_PER_EDGE = 64  # samples along an edge at most; chosen
_MOST = 2_000_000  # samples of either kind; bounds memory
_SEED = 0  # of which edges are left out where there are more; chosen


@dataclass(frozen=True)
class SeamSteps:
    """Mean differences of colour between places a texel apart, over r, g and b, sRGB 0..1.

    Attributes:
        across: the two sides of seams.
        inside: the two sides of edges inside charts.
        edges: number of seam edges.
        length: of the seams over the root of the surface.
    """

    across: float
    inside: float
    edges: int
    length: float

    @property
    def ratio(self) -> float:
        """1 where seams show no more than any other place."""
        return self.across / max(self.inside, 1e-9)


def seam_steps(model: TexturedMesh) -> SeamSteps | None:
    """Measure a texture along each edge of two faces, half a texel to either side of it, at places
    a texel apart; edges on which the faces are apart in the texture are seams.

    Returns:
        The steps; None where there are no seams, or nothing else.
    """
    pairs, corner = shared_edges(model.mesh.faces.numpy())
    uvs = model.uvs.double().numpy()
    first = _sides(uvs, pairs[:, 0], corner[:, 0])
    second = _sides(uvs, pairs[:, 1], corner[:, 1])[:, [1, 0, 2]]  # it runs the other way
    is_seam = np.abs(first - second)[:, :2].max(axis=(1, 2)) > 1e-9
    if not is_seam.any() or is_seam.all():
        return None
    corners = model.mesh.vertices.double().numpy()[model.mesh.faces.numpy()]
    start, end, _ = _sides(corners, pairs[is_seam, 0], corner[is_seam, 0]).transpose(1, 0, 2)
    length = np.linalg.norm(end - start, axis=1).sum()
    a, b, c = corners.transpose(1, 0, 2)
    surface = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()
    across, inside = (
        _steps(model.texture.color, first[chosen], second[chosen]) for chosen in (is_seam, ~is_seam)
    )
    return SeamSteps(across, inside, int(is_seam.sum()), float(length / np.sqrt(surface)))


def shared_edges(faces: Index) -> tuple[Index, Index]:
    """[E, 2] pairs of faces [F, 3] that run through an edge in opposite directions, where it has no
    others, and [E, 2] the corners at which it begins in each."""
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    low, high = np.minimum(start, end), np.maximum(start, end)
    key = low * (int(faces.max()) + 1) + high
    order = np.argsort(key, kind="stable")
    began = np.flatnonzero(np.diff(key[order], prepend=-1))
    sizes = np.diff(np.append(began, len(order)))
    a, b = (order[began[sizes == 2] + k] for k in (0, 1))
    opposite = (start[a] == end[b]) & (start[a] != end[a])
    both = np.stack([a[opposite], b[opposite]], axis=1)
    return both // 3, both % 3


def _sides(values: Array, face: Index, corner: Index) -> Array:
    """[E, 3, X] of values [F, 3, X]: where an edge begins, where it ends, and the corner across."""
    return np.stack([values[face, (corner + k) % 3] for k in range(3)], axis=1)


def _steps(image: Tensor, first: Array, second: Array) -> float:
    """The mean step between two sides [E, 3, 2] of edges."""
    size = np.array(image.shape[1::-1], np.float64)
    first, second = first * size, second * size
    # As many places as the longer of the two sides has texels.
    texels = np.maximum(*(np.linalg.norm(s[:, 1] - s[:, 0], axis=1) for s in (first, second)))
    count = np.ceil(texels).clip(1, _PER_EDGE).astype(np.int64)
    if count.sum() > _MOST:
        chosen = np.random.default_rng(_SEED).random(len(count)) < _MOST / count.sum()
        first, second, count = first[chosen], second[chosen], count[chosen]
    edge = np.repeat(np.arange(len(count)), count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    along = ((step + 0.5) / count[edge])[:, None]
    places = (torch.from_numpy(_half_a_texel_in(side[edge], along)) for side in (first, second))
    a, b = (bilinear(image, place.float()) for place in places)
    return float((a - b).abs().mean()) / 255


def _half_a_texel_in(side: Array, along: Array) -> Array:
    """[N, 2] places along edges [N, 3, 2], as shares [N, 1] of them, half a texel into the face."""
    start, end, other = side.transpose(1, 0, 2)
    run = end - start
    across = np.stack([-run[:, 1], run[:, 0]], axis=1)
    across *= np.sign((across * (other - start)).sum(axis=1, keepdims=True))
    return (
        start + along * run + 0.5 * across / np.linalg.norm(run, axis=1, keepdims=True).clip(1e-12)
    )
