from __future__ import annotations

from typing import Any

import pytest
import torch

from tondo import _native
from tondo.geometry.rotations import rotation_from_quat
from tondo.kernels.splats.gaussians import Cameras, Gaussians
from tondo.kernels.splats.median_depth import median_depth
from tondo.kernels.splats.median_depth_torch import median_depth_torch, ray_depths


def arguments(scene: dict[str, Any]) -> tuple[Gaussians, Cameras]:
    """Of `median_depth`, from those of `rasterize`."""
    gaussians = Gaussians(*(scene[name] for name in Gaussians._fields))
    return gaussians, Cameras(*(scene[name] for name in Cameras._fields))


@pytest.mark.parametrize(("n", "level"), [(40, 0.5), (300, 0.75), (300, 0.2)])
def test_native_is_the_twin(make_scene: Any, n: int, level: float) -> None:
    scene = make_scene(n=n, size=(37, 22), cameras=2, scale=(0.05, 0.6), opacity=(0.3, 0.99))
    double = make_scene(
        n=n, size=(37, 22), cameras=2, scale=(0.05, 0.6), opacity=(0.3, 0.99), dtype=torch.float64
    )
    natives = median_depth(*arguments(scene), level=level)
    twins = median_depth_torch(*arguments(double), level=level).float()
    assert natives.shape == twins.shape == (2, 22, 37)
    for native, twin in zip(natives, twins, strict=True):
        assert ((native > 0) == (twin > 0)).float().mean() > 0.995  # light right at the level
        both = (native > 0) & (twin > 0)
        assert both.float().mean() > 0.2
        error = (native - twin)[both].abs()
        # Light that stays level for a while makes depth hang on the last digits of alpha.
        assert error.quantile(0.995) < 1e-5 * twin.max()
        assert error.max() < 1e-3 * twin.max()


def test_the_peak_on_a_ray_is_where_the_gaussian_is_densest(make_scene: Any) -> None:
    """Against a search along the ray, in three dimensions."""
    scene = make_scene(n=9, size=(37, 22), scale=(0.05, 0.5), dtype=torch.float64)
    gaussians, cameras = arguments(scene)
    means, quats, scales, _ = gaussians
    viewmat, K = cameras.viewmats[0], cameras.Ks[0]
    rays = ray_depths(gaussians, viewmat, K)
    points = means @ viewmat[:3, :3].T + viewmat[:3, 3]
    half = viewmat[:3, :3] @ rotation_from_quat(quats) * scales[:, None, :]
    covariance = half @ half.transpose(1, 2)
    for axis in range(2):
        covariance[:, axis, axis] += 0.3 * (points[:, 2] / K[axis, axis]) ** 2
    offset = torch.tensor([1.5, -2.0], dtype=torch.float64)
    for i, (point, inverse) in enumerate(zip(points, torch.linalg.inv(covariance), strict=True)):
        direction = torch.cat([point[:2] / point[2] + offset / K.diagonal()[:2], torch.ones(1)])
        t = point[2] + torch.linspace(-1.5, 1.5, 300_001, dtype=torch.float64)
        away = t[:, None] * direction - point
        power = ((away @ inverse) * away).sum(dim=1)
        b, (xx, xy, yy) = rays[i, :2], rays[i, 2:5]
        linear = b @ offset
        square = xx * offset[0] ** 2 + xy * offset[0] * offset[1] + yy * offset[1] ** 2
        scale = 1 + 2 * linear + square
        z, spread = rays[i, 5], rays[i, 6] / scale.sqrt()
        peak = z * (1 + linear) / scale
        assert peak == pytest.approx(float(t[power.argmin()]), abs=2e-5)
        beside = (peak + spread) * direction - point
        at_peak = peak * direction - point
        rise = beside @ inverse @ beside - at_peak @ inverse @ at_peak
        assert rise == pytest.approx(1.0, rel=1e-3)  # one standard deviation


def wall(tilt: float, opacity: float) -> Gaussians:
    """Flat overlapping splats in the plane z = 2 + tilt x."""
    x, y = torch.meshgrid(torch.linspace(-2, 2, 41), torch.linspace(-2, 2, 41), indexing="ij")
    means = torch.stack([x, y, 2 + tilt * x], dim=-1).reshape(-1, 3)
    turn = torch.tensor(-tilt).atan() / 2
    quat = torch.stack([turn.cos(), torch.tensor(0.0), turn.sin(), torch.tensor(0.0)])
    n = len(means)
    scales = torch.tensor([0.1, 0.1, 0.001]).expand(n, 3).contiguous()
    return Gaussians(means, quat.expand(n, 4).contiguous(), scales, torch.full((n,), opacity))


K = torch.tensor([[60.0, 0.0, 21.0], [0.0, 64.0, 14.5], [0.0, 0.0, 1.0]])
CAMERA = Cameras(torch.eye(4)[None], K[None], 40, 27)


def test_a_slanted_wall_has_its_own_depth_and_no_steps() -> None:
    """Depth of the splats' centres alone would be off by 0.08 (a splat's size times the tilt), and
    step from splat to splat."""
    depth = median_depth(wall(0.8, 0.9), CAMERA)[0]
    u = (torch.arange(40) + 0.5 - 21.0) / 60.0
    expected = (2 / (1 - 0.8 * u)).expand(27, 40)
    assert (depth - expected).abs().max() < 0.03
    assert (depth - expected).diff(dim=1).abs().max() < 0.002


def test_a_veil_behind_an_edge_does_not_pull_depth_away() -> None:
    """A far wall behind a near one: the near one's depth, which a mean over both is not."""
    near, far = wall(0.0, 0.7), wall(0.0, 0.9)
    far = far._replace(means=far.means * 2.0)
    both = Gaussians(*(torch.cat(pair) for pair in zip(near, far, strict=True)))
    depth = median_depth(both, CAMERA, level=0.75)
    assert (depth - 2.0).abs().max() < 0.02


def test_nothing_and_veils_have_no_depth() -> None:
    empty = Gaussians(*(tensor[:0] for tensor in wall(0.0, 0.45)))
    assert (median_depth(empty, CAMERA) == 0).all()
    assert (median_depth_torch(empty, CAMERA) == 0).all()
    one = Gaussians(*(tensor[840:841] for tensor in wall(0.0, 0.45)))
    assert (median_depth(one, CAMERA) == 0).all()
    assert (median_depth(one, CAMERA, level=0.6) > 0).any()


def test_any_number_of_threads_gives_the_same_bits(make_scene: Any) -> None:
    scene = make_scene(n=200, size=(67, 45))
    before = _native.num_threads()
    try:
        found = []
        for threads in (1, 3):
            _native.set_num_threads(threads)
            found.append(median_depth(*arguments(scene)))
    finally:
        _native.set_num_threads(before)
    assert torch.equal(found[0], found[1])


def test_wrong_calls_are_refused(make_scene: Any) -> None:
    gaussians, cameras = arguments(make_scene())
    with pytest.raises(ValueError, match="level"):
        median_depth(gaussians, cameras, level=1.0)
    with pytest.raises(ValueError, match="quats"):
        median_depth(gaussians._replace(quats=gaussians.quats[:3]), cameras)
    with pytest.raises(TypeError, match="K"):
        median_depth(gaussians, cameras._replace(Ks=cameras.Ks.double()))
    with pytest.raises(ValueError, match="1x1"):
        median_depth(gaussians, cameras._replace(width=0))
