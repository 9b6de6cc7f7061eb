"""A smooth field of displacements of a mesh out of what is known of some of its vertices."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_matrix, diags, identity
from torch import Tensor

ITERATIONS = 60  # of conjugate gradients, at most; more change displacements by less than 1 %
_DONE = 1e-6  # of the first residual's energy; chosen


def neighbour_mean(faces: Tensor, count: int) -> csr_matrix:
    """[V, V] float32, the mean over the vertices that share an edge with each of `count`."""
    index = faces.numpy()
    rows = np.concatenate([index, np.roll(index, 1, axis=1)]).ravel()
    columns = np.concatenate([np.roll(index, -1, axis=1), index]).ravel()
    graph = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(count, count))
    graph.data[:] = 1
    number = np.asarray(graph.sum(axis=1)).ravel()
    return (diags((1 / np.maximum(number, 1)).astype(np.float32)) @ graph).tocsr()


def fair_field(
    mean: csr_matrix, bend: Tensor, wanted: Tensor, trust: Tensor, *, stiff: float, stay: float
) -> Tensor:
    """The displacements d along the normals that minimise

    sum trust (d - wanted)^2 + stiff |(M - I) d + bend|^2 + stay |d|^2,

    where M takes the mean over neighbours: thin plates (Botsch & Sorkine 2008, eq. 11) that hang
    on what is known. By conjugate gradients on one thread, so the same bits on any number.

    Args:
        mean: M, from `neighbour_mean`.
        bend: [V] how far the neighbours' mean is off each vertex already, along its normal.
        wanted: [V]. trust: [V], at least 0. All of one unit.

    Returns:
        [V] float32.
    """
    known, aim, bent = (x.double().numpy() for x in (trust, wanted, bend))
    laplace = (mean - identity(mean.shape[0], dtype=np.float32, format="csr")).astype(np.float64)
    turned = laplace.T.tocsr()
    residual = known * aim - stiff * (turned @ bent)
    scale = known + stay + stiff * np.asarray(turned.multiply(turned).sum(axis=1)).ravel()
    found = np.zeros_like(known)
    direction = residual / scale
    energy = np.add.reduce(residual * direction)
    goal = _DONE * energy
    for _ in range(ITERATIONS):
        if not energy > goal:
            break
        image = (known + stay) * direction + stiff * (turned @ (laplace @ direction))
        length = energy / np.add.reduce(direction * image)
        found += length * direction
        residual -= length * image
        ahead = residual / scale
        before, energy = energy, np.add.reduce(residual * ahead)
        direction = ahead + (energy / before) * direction
    return torch.from_numpy(found).float()
