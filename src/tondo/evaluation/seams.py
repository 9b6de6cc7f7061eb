"""Whether a texture's seams show: steps of colour across them, beside those inside charts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tondo.data.textured import TexturedMesh
from tondo.geometry.bilinear import bilinear

Array = NDArray[np.float64]
Index = NDArray[np.int64]

FOLDS = (0.0, 10.0, 20.0, 40.0, 60.0, 90.0, 181.0)  # degrees between which folds are alike; chosen
_FEWEST = 10  # edges inside charts that stand for those of their kind; chosen
_PER_EDGE = 64  # places along an edge at most; chosen
_MOST = 4_000_000  # places, beside one for each edge; bounds memory


@dataclass(frozen=True)
class SeamSteps:
    """Mean differences of colour between places a texel apart, over r, g and b, sRGB 0..1.

    Unwrapping cuts where a surface folds, and there light and colours change without a seam too.

    Attributes:
        across: the two sides of seams.
        inside: the two sides of edges inside charts.
        inside_alike: the same, each edge counted as often as seams fold as sharply.
        edges: number of seam edges.
        length: of the seams over the root of the surface.
    """

    across: float
    inside: float
    inside_alike: float
    edges: int
    length: float

    @property
    def ratio(self) -> float:
        """1 where seams show no more than any other place."""
        return self.across / max(self.inside, 1e-9)

    @property
    def ratio_alike(self) -> float:
        """1 where seams show no more than places that fold as sharply."""
        return self.across / max(self.inside_alike, 1e-9)


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
    step, count = _steps(model.texture.color, first, second)
    corners = model.mesh.vertices.double().numpy()[model.mesh.faces.numpy()]
    start, end, _ = _sides(corners, pairs[is_seam, 0], corner[is_seam, 0]).transpose(1, 0, 2)
    length = np.linalg.norm(end - start, axis=1).sum()
    a, b, c = corners.transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    doubled = np.linalg.norm(normals, axis=1, keepdims=True)
    fold = _angles(normals / doubled.clip(1e-30), pairs)
    across, inside = (_mean(step, count * chosen) for chosen in (is_seam, ~is_seam))
    share, alike = np.zeros(len(FOLDS) - 1), np.full(len(FOLDS) - 1, inside)
    for k, (least, most) in enumerate(pairwise(FOLDS)):
        within = (fold >= least) & (fold < most)
        share[k] = (count * (within & is_seam)).sum()
        if (within & ~is_seam).sum() >= _FEWEST:
            alike[k] = _mean(step, count * (within & ~is_seam))
    inside_alike = float((share * alike).sum() / share.sum())
    size = float(length / np.sqrt(0.5 * doubled.sum()))
    return SeamSteps(across, inside, inside_alike, int(is_seam.sum()), size)


def _mean(values: Array, weights: Array | Index) -> float:
    return float((values * weights).sum() / weights.sum())


def _angles(normals: Array, pairs: Index) -> Array:
    """[E] degrees between the unit normals [F, 3] of pairs of faces."""
    cosine = (normals[pairs[:, 0]] * normals[pairs[:, 1]]).sum(axis=1)
    return np.degrees(np.arccos(cosine.clip(-1, 1)))


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


def _steps(image: Tensor, first: Array, second: Array) -> tuple[Array, Index]:
    """[E] the mean step between two sides [E, 3, 2] of edges, and of how many places."""
    size = np.array(image.shape[1::-1], np.float64)
    first, second = first * size, second * size
    # As many places as the longer of the two sides has texels.
    texels = np.maximum(*(np.linalg.norm(s[:, 1] - s[:, 0], axis=1) for s in (first, second)))
    count = np.ceil(texels).clip(1, _PER_EDGE).astype(np.int64)
    count = np.ceil(count * min(1.0, _MOST / count.sum())).astype(np.int64)
    edge = np.repeat(np.arange(len(count)), count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    along = ((place + 0.5) / count[edge])[:, None]
    places = (torch.from_numpy(_half_a_texel_in(side[edge], along)) for side in (first, second))
    a, b = (bilinear(image, place.float()) for place in places)
    off = (a - b).abs().mean(dim=1).double().numpy() / 255
    return np.bincount(edge, off, len(count)) / count, count


def _half_a_texel_in(side: Array, along: Array) -> Array:
    """[N, 2] places along edges [N, 3, 2], as shares [N, 1] of them, half a texel into the face."""
    start, end, other = side.transpose(1, 0, 2)
    run = end - start
    across = np.stack([-run[:, 1], run[:, 0]], axis=1)
    across *= np.sign((across * (other - start)).sum(axis=1, keepdims=True))
    return (
        start + along * run + 0.5 * across / np.linalg.norm(run, axis=1, keepdims=True).clip(1e-12)
    )
