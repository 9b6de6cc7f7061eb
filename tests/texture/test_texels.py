"""The texels of a mesh."""

from __future__ import annotations

import torch

from tondo.texture.texels import barycentric, centres, interpolated, texels_of

UVS = torch.tensor([[[0.1, 0.1], [0.8, 0.2], [0.3, 0.9]], [[0.95, 0.9], [0.85, 0.5], [0.99, 0.4]]])


def test_texels_lie_where_their_centres_are() -> None:
    size = 37
    found = texels_of(UVS, size)
    assert set(found.face.tolist()) == {0, 1}
    assert bool((found.index.diff() > 0).all())
    flat = UVS.reshape(-1, 2)
    corners = torch.arange(6).view(2, 3)
    at = found.interpolated(flat, corners)
    torch.testing.assert_close(at, centres(found.index, size), atol=1e-6, rtol=0)
    assert float(found.weights.min()) >= -1e-6
    # as many as the faces have area
    p, q = (UVS[:, k] - UVS[:, 0] for k in (1, 2))
    area = 0.5 * (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).abs()
    count = torch.bincount(found.face, minlength=2)
    torch.testing.assert_close(count.double(), area.double() * size**2, rtol=0.15, atol=2.0)


def test_barycentric_coordinates_extrapolate() -> None:
    points = torch.tensor([[0.1, 0.1], [1.5, 0.3]])
    weights = barycentric(UVS, torch.zeros(2, dtype=torch.int64), points)
    torch.testing.assert_close(weights[0], torch.tensor([1.0, 0.0, 0.0]))
    corners = torch.tensor([[0, 1, 2]]).expand(2, 3)
    torch.testing.assert_close(interpolated(UVS[0], corners, weights), points)
