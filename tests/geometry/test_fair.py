"""Smooth fields over meshes."""

from __future__ import annotations

import numpy as np
import torch

from bumpy import ball
from tondo.geometry.fair import fair_field, neighbour_mean


def test_it_is_the_least_of_the_sum() -> None:
    mesh = ball(2)
    count = len(mesh.vertices)
    generator = torch.Generator().manual_seed(5)
    bend, wanted, trust = (torch.rand(count, generator=generator) for _ in range(3))
    mean = neighbour_mean(mesh.faces, count)
    found = fair_field(mean, bend, wanted, trust, stiff=2.0, stay=0.1)
    dense = mean.toarray().astype(np.float64) - np.eye(count)
    matrix = np.diag(trust.double().numpy() + 0.1) + 2.0 * dense.T @ dense
    right = (trust * wanted).double().numpy() - 2.0 * dense.T @ bend.double().numpy()
    np.testing.assert_allclose(found.numpy(), np.linalg.solve(matrix, right), atol=2e-3)


def test_means_are_of_neighbours() -> None:
    mesh = ball(1)
    mean = neighbour_mean(mesh.faces, len(mesh.vertices))
    np.testing.assert_allclose(np.asarray(mean.sum(axis=1)).ravel(), 1, rtol=1e-6)
    assert set(np.diff(mean.indptr)) == {5, 6}


def test_of_nothing_known_nothing_moves() -> None:
    mesh = ball(1)
    count = len(mesh.vertices)
    zero = torch.zeros(count)
    mean = neighbour_mean(mesh.faces, count)
    assert torch.equal(fair_field(mean, zero, zero, zero, stiff=1.0, stay=0.1), zero)
