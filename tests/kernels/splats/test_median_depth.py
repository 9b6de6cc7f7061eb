from __future__ import annotations

from typing import Any

import pytest
import torch

from tondo import _native
from tondo.geometry.rotations import rotation_from_quat
from tondo.kernels.splats.median_depth import median_depth, median_depth_reference, ray_depths

NAMES = ("means", "quats", "scales", "opacities")


def arguments(scene: dict[str, Any], camera: int = 0) -> list[Any]:
    """Of `median_depth`, from those of `rasterize`."""
    splats = [scene[name] for name in NAMES]
    size = [scene["width"], scene["height"]]
    return [*splats, scene["viewmats"][camera], scene["Ks"][camera], *size]


@pytest.mark.parametrize(("n", "level"), [(40, 0.5), (300, 0.75), (300, 0.2)])
def test_native_is_the_twin(make_scene: Any, n: int, level: float) -> None:
    scene = make_scene(n=n, size=(37, 22), cameras=2, scale=(0.05, 0.6), opacity=(0.3, 0.99))
    double = make_scene(
        n=n, size=(37, 22), cameras=2, scale=(0.05, 0.6), opacity=(0.3, 0.99), dtype=torch.float64
    )
    for camera in range(2):
        native = median_depth(*arguments(scene, camera), level=level)
        twin = median_depth_reference(*arguments(double, camera), level=level).float()
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
    means, quats, scales, _, viewmat, K, *_ = arguments(scene)
    rays = ray_depths(means, quats, scales, viewmat, K)
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


def wall(tilt: float, opacity: float) -> dict[str, torch.Tensor]:
    """Flat overlapping splats in the plane z = 2 + tilt x."""
    x, y = torch.meshgrid(torch.linspace(-2, 2, 41), torch.linspace(-2, 2, 41), indexing="ij")
    means = torch.stack([x, y, 2 + tilt * x], dim=-1).reshape(-1, 3)
    turn = torch.tensor(-tilt).atan() / 2
    quat = torch.stack([turn.cos(), torch.tensor(0.0), turn.sin(), torch.tensor(0.0)])
    n = len(means)
    return {
        "means": means,
        "quats": quat.expand(n, 4).contiguous(),
        "scales": torch.tensor([0.1, 0.1, 0.001]).expand(n, 3).contiguous(),
        "opacities": torch.full((n,), opacity),
    }


VIEWMAT = torch.eye(4)
K = torch.tensor([[60.0, 0.0, 21.0], [0.0, 64.0, 14.5], [0.0, 0.0, 1.0]])


def test_a_slanted_wall_has_its_own_depth_and_no_steps() -> None:
    """Depth of the splats' centres alone would be off by 0.08 (a splat's size times the tilt), and
    step from splat to splat."""
    splats = wall(0.8, 0.9)
    depth = median_depth(*splats.values(), VIEWMAT, K, 40, 27)
    u = (torch.arange(40) + 0.5 - 21.0) / 60.0
    expected = (2 / (1 - 0.8 * u)).expand(27, 40)
    assert (depth - expected).abs().max() < 0.03
    assert (depth - expected).diff(dim=1).abs().max() < 0.002


def test_a_veil_behind_an_edge_does_not_pull_depth_away() -> None:
    """A far wall behind a near one: the near one's depth, which a mean over both is not."""
    near, far = wall(0.0, 0.7), wall(0.0, 0.9)
    far["means"] = far["means"] * 2.0
    both = [torch.cat([near[name], far[name]]) for name in near]
    depth = median_depth(*both, VIEWMAT, K, 40, 27, level=0.75)
    assert (depth - 2.0).abs().max() < 0.02


def test_nothing_and_veils_have_no_depth() -> None:
    empty = [torch.empty(0, 3), torch.empty(0, 4), torch.empty(0, 3), torch.empty(0)]
    assert (median_depth(*empty, VIEWMAT, K, 40, 27) == 0).all()
    assert (median_depth_reference(*empty, VIEWMAT, K, 40, 27) == 0).all()
    one = [tensor[840:841] for tensor in wall(0.0, 0.45).values()]
    assert (median_depth(*one, VIEWMAT, K, 40, 27) == 0).all()
    assert (median_depth(*one, VIEWMAT, K, 40, 27, level=0.6) > 0).any()


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
    given = arguments(make_scene())
    with pytest.raises(ValueError, match="level"):
        median_depth(*given, level=1.0)
    with pytest.raises(ValueError, match="quats"):
        median_depth(given[0], given[1][:3], *given[2:])
    with pytest.raises(TypeError, match="K"):
        median_depth(*given[:5], given[5].double(), *given[6:])
    with pytest.raises(ValueError, match="1x1"):
        median_depth(*given[:6], 0, 4)
