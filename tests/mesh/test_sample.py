from __future__ import annotations

import pytest
import torch
from mesh_shapes import square_grid

from tondo.data.mesh import Mesh
from tondo.mesh.sample import sample_surface


def test_points_lie_on_the_surface_evenly_and_repeatably() -> None:
    mesh = square_grid(6)
    points = sample_surface(mesh, 4000, seed=1)
    assert points.shape == (4000, 3)
    assert points.dtype == torch.float32
    assert points[:, 2].abs().max() < 1e-6
    quarter = ((points[:, :2] < 3).all(dim=1)).float().mean()
    assert quarter == pytest.approx(0.25, abs=0.03)  # four standard deviations
    assert torch.equal(points, sample_surface(mesh, 4000, seed=1))
    assert not torch.equal(points, sample_surface(mesh, 4000, seed=2))


def test_a_mesh_without_surface_is_refused() -> None:
    flat = Mesh(torch.zeros(3, 3), torch.tensor([[0, 1, 2]]))
    with pytest.raises(ValueError, match="no surface"):
        sample_surface(flat, 10)
