from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tondo import _native
from tondo.kernels.tsdf import Volume, empty_volume, integrate
from tondo.kernels.tsdf_torch import integrate_torch

HEIGHT, WIDTH = 37, 52
TRUNCATION = 0.25


def camera(seed: int) -> tuple[Tensor, Tensor]:
    """A camera about 3 units from the origin that looks roughly at it, off-centre, f_x != f_y."""
    g = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=g, dtype=torch.float64))[0]
    rotation = rotation * torch.det(rotation)
    viewmat = torch.eye(4)
    viewmat[:3, :3] = rotation.float()
    viewmat[:3, 3] = torch.tensor([0.1, -0.2, 3.0])
    K = torch.tensor([[41.0, 0.0, 23.5], [0.0, 44.0, 20.25], [0.0, 0.0, 1.0]])
    return viewmat, K


def pixels(seed: int) -> Tensor:
    """A wavy surface with a step, a band of sky, unknown depths and ignored pixels."""
    g = torch.Generator().manual_seed(100 + seed)
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    depth = 3.0 + 0.2 * torch.sin(x / 5.0) + 0.1 * torch.cos(y / 3.0)
    depth[:, 30:] += 0.7
    depth[5:9] = torch.inf
    depth[20:22, 10:14] = 0.0
    out = torch.rand(HEIGHT, WIDTH, 6, generator=g)
    out[..., 0] = depth
    out[..., 1] += 0.1
    out[30, 3:9, 1] = 0.0
    out[..., 5] *= (out[..., 5] > 0.2).float()
    return out


def fused(function: object, views: int = 3) -> Volume:
    volume = empty_volume(torch.tensor([-1.1, -1.0, -0.9]), 0.06, (29, 33, 31))
    for seed in range(views):
        function(volume, *camera(seed), pixels(seed), TRUNCATION)  # type: ignore[operator]
    return volume


def test_native_kernel_agrees_with_its_twin() -> None:
    native, twin = fused(integrate).planes, fused(integrate_torch).planes
    # A voxel whose projection falls on a pixel's border may be rounded to either side of it: a
    # handful differ by a whole pixel, all others by rounding only.
    differs = ((native - twin).abs() > 1e-4).any(dim=0)
    assert differs.float().mean() < 1e-3
    near = twin[0].abs() < 0.99
    assert near.sum() > 3000
    assert (twin[1] == 0).sum() > 100
    assert ((twin[1] == 0) & (twin[0] == -1)).sum() > 100
    assert (twin[5] > 0).sum() > 2000


def test_any_number_of_threads_gives_the_same_bits() -> None:
    before = _native.num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            _native.set_num_threads(threads)
            results.append(fused(integrate).planes)
    finally:
        _native.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize("function", [integrate, integrate_torch])
def test_a_wall_in_front_of_the_camera(function: object) -> None:
    """On the axis the value is the distance to the wall over the truncation, by definition."""
    volume = empty_volume(torch.tensor([0.0, 0.0, 0.0]), 0.1, (1, 1, 40))
    K = torch.tensor([[30.0, 0.0, 20.0], [0.0, 30.0, 10.0], [0.0, 0.0, 1.0]])
    wall = torch.ones(20, 40, 6)
    wall[..., 0] = 2.05
    wall[..., 2:5] = torch.tensor([0.2, 0.4, 0.6])
    function(volume, torch.eye(4), K, wall, 0.4)  # type: ignore[operator]
    value, weight, red, green, blue, color_weight = volume.planes[:, 0, 0]
    z = torch.arange(40) * 0.1
    seen = (z > 0) & (z < 2.45)
    assert torch.allclose(value[seen], ((2.05 - z[seen]) / 0.4).clamp(max=1), atol=1e-5)
    assert (weight[seen] > 0).all()
    assert (weight[~seen] == 0).all()
    assert value[0] == 1.0  # at the camera's centre: not in the picture
    assert (value[z > 2.5] == -1.0).all()
    colored = color_weight > 0
    assert colored.sum() == 8
    assert torch.allclose(red[colored], torch.tensor(0.2))
    assert torch.allclose(green[colored], torch.tensor(0.4))
    assert torch.allclose(blue[colored], torch.tensor(0.6))


@pytest.mark.parametrize("function", [integrate, integrate_torch])
def test_empty_pixels_carve_and_unknown_ones_do_nothing(function: object) -> None:
    K = torch.tensor([[30.0, 0.0, 20.0], [0.0, 30.0, 10.0], [0.0, 0.0, 1.0]])
    for depth, weight, value in ((float("inf"), 1.0, 1.0), (0.0, 0.0, -1.0)):
        volume = empty_volume(torch.tensor([0.0, 0.0, 1.0]), 0.1, (1, 1, 7))
        volume.planes[0] = -1.0
        view = torch.ones(20, 40, 6)
        view[..., 0] = depth
        function(volume, torch.eye(4), K, view, 0.4)  # type: ignore[operator]
        assert (volume.planes[0] == value).all()
        assert (volume.planes[1] == weight).all()
        assert (volume.planes[2:] == 0).all()


def test_wrong_calls_are_refused() -> None:
    volume = empty_volume(torch.zeros(3), 0.1, (2, 3, 4))
    view, (viewmat, K) = pixels(0), camera(0)
    with pytest.raises(ValueError, match="truncation"):
        integrate(volume, viewmat, K, view, 0.05)
    with pytest.raises(ValueError, match="truncation"):
        integrate(volume, viewmat, K, view, float("nan"))
    with pytest.raises(ValueError, match="pixels"):
        integrate(volume, viewmat, K, view[..., :5], 0.4)
    with pytest.raises(TypeError, match="viewmat"):
        integrate(volume, viewmat.double(), K, view, 0.4)
