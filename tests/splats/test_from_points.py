"""First splats, the cameras' focus, and training pictures."""

from __future__ import annotations

from dataclasses import replace

import torch

from small_photos import cameras, photos
from tondo.data.photos import Photo, PointCloud
from tondo.geometry.focus import camera_reach, focus
from tondo.runs.horizon import Horizon
from tondo.splats import from_points, schedule, targets
from tondo.splats.options import SplatOptions, SplatSchedule


def test_splats_have_the_points_colours_and_the_gaps_size() -> None:
    grid = torch.cartesian_prod(*[torch.arange(4.0)] * 3) * 0.5
    colors = torch.randint(0, 256, (64, 3), dtype=torch.uint8)
    splats = from_points.splats_from_points(
        PointCloud(grid, colors), sh_degree=2, opacity=0.3, size=1.0
    )
    torch.testing.assert_close(splats.log_scales.exp(), torch.full((64, 3), 0.5))
    torch.testing.assert_close(
        0.5 + from_points.SH_C0 * splats.sh[:, 0], colors.float() / 255, rtol=1e-5, atol=1e-6
    )
    assert not splats.sh[:, 1:].any()
    torch.testing.assert_close(splats.opacity_logits.sigmoid(), torch.full((64,), 0.3))


def test_one_point_and_equal_points_give_usable_splats() -> None:
    for points in (torch.zeros(1, 3), torch.zeros(9, 3)):
        cloud = PointCloud(points, torch.zeros(len(points), 3, dtype=torch.uint8))
        splats = from_points.splats_from_points(cloud, sh_degree=0)
        assert torch.isfinite(splats.log_scales).all()


def test_the_focus_is_what_the_cameras_look_at() -> None:
    center, distance = focus(cameras(9))
    assert float(center.norm()) < 1e-2
    assert abs(distance - 3.5) < 1e-2


def test_parallel_cameras_have_a_focus_too() -> None:
    one = cameras(1)[0]
    center, distance = focus([one, one, one])
    assert torch.isfinite(center).all()
    assert distance > 0
    assert camera_reach([one, one]) > 0


def test_random_points_are_seen() -> None:
    some = cameras(6)
    cloud = from_points.random_points(some, 500, torch.Generator().manual_seed(0))
    assert len(cloud.points) > 300
    seen = torch.zeros(len(cloud.points), dtype=torch.bool)
    for camera in some:
        local = cloud.points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
        pixels = (local @ camera.K.T)[:, :2] / local[:, 2:]
        inside = (pixels >= 0).all(1) & (pixels[:, 0] < 72) & (pixels[:, 1] < 56)
        seen |= inside & (local[:, 2] > 0)
    assert seen.all()


def test_random_points_of_cameras_that_look_outwards() -> None:
    back = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))  # turned round where they stand
    some = [replace(camera, viewmat=back @ camera.viewmat) for camera in cameras(6)]
    cloud = from_points.random_points(some, 500, torch.Generator().manual_seed(0))
    assert cloud.points.shape == (500, 3)
    assert cloud.points.isfinite().all()
    distance = (cloud.points - focus(some)[0]).norm(dim=1)
    assert float(distance.min()) > 3.5
    shown = torch.zeros(500, dtype=torch.bool)
    for camera in some:
        local = cloud.points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
        pixels = (local @ camera.K.T)[:, :2] / local[:, 2:]
        inside = (pixels > -0.01).all(1) & (pixels[:, 0] < 72.01) & (pixels[:, 1] < 56.01)
        shown |= inside & (local[:, 2] > 0)
    assert shown.all()


def test_targets_are_smaller_and_over_the_background() -> None:
    photo = photos(1)[0]
    alpha = torch.zeros(56, 72, dtype=torch.uint8)
    alpha[:, 36:] = 255
    cut = Photo(photo.name, photo.camera, photo.image, alpha)
    small = targets.make_target(cut, 2, torch.tensor([1.0, 0.0, 0.0]))
    assert small.image.shape == (28, 36, 3)
    assert small.camera.width == 36
    torch.testing.assert_close(small.camera.K[0, 2], photo.camera.K[0, 2] / 2)
    assert small.image[:, :18].reshape(-1, 3).unique(dim=0).tolist() == [[255, 0, 0]]
    background = torch.tensor([0.1, 0.4, 0.7])
    shown = targets.make_target(cut, 1, background)
    torch.testing.assert_close(shown.image[0, 0].float() / 255, background, rtol=0, atol=0.5 / 255)
    assert torch.equal(shown.image[:, 36:], photo.image[:, 36:])
    alpha = torch.arange(56 * 72).view(56, 72).to(torch.uint8)
    veiled = targets.make_target(replace(cut, alpha=alpha), 1, background).image.double()
    cover = alpha.double()[..., None] / 255
    wanted = photo.image.double() * cover + 255 * background.double() * (1 - cover)
    torch.testing.assert_close(veiled, wanted, rtol=0, atol=1.0)  # rounded twice
    assert abs(float((veiled - wanted).mean())) < 0.02


def test_targets_of_opaque_photos_take_no_memory_of_their_own() -> None:
    photo = photos(1)[0]
    valid = torch.ones(56, 72, dtype=torch.bool)
    valid[3, 5] = False
    masked = replace(photo, valid=valid)
    target = targets.make_target(masked, 1, torch.zeros(3))
    assert target.image.data_ptr() == photo.image.data_ptr()
    assert target.valid is not None
    assert target.valid.data_ptr() == valid.data_ptr()
    assert target.valid.dtype == torch.uint8
    assert (target.valid == 0).nonzero().tolist() == [[3, 5]]
    whole = replace(photo, valid=torch.ones_like(valid))
    assert targets.make_target(whole, 1, torch.zeros(3)).valid is None


def test_pixels_touched_by_invalid_ones_are_left_out() -> None:
    photo = photos(1)[0]
    valid = torch.ones(56, 72, dtype=torch.bool)
    valid[0, 0] = False
    masked = Photo(photo.name, photo.camera, photo.image, None, valid)
    small = targets.make_target(masked, 2, torch.zeros(3))
    assert small.valid is not None
    assert int((small.valid == 0).sum()) == 1


def test_schedules_start_and_end_where_they_should() -> None:
    config = SplatOptions(sh_degree=3, schedule=SplatSchedule(((0.1, 4), (0.3, 2)), 0.1))
    assert [schedule.divisor_at(config, f) for f in (0.0, 0.099, 0.1, 0.29, 0.3, 1.0)] == [
        4, 4, 2, 2, 1, 1,
    ]  # fmt: skip
    assert [schedule.degree_at(config, f) for f in (0.0, 0.15, 0.25, 0.9)] == [0, 1, 2, 3]
    first, last = schedule.rates_at(config, 0.0, 2.0), schedule.rates_at(config, 1.0, 2.0)
    assert abs(first.means - 2 * config.rates.means) < 1e-12
    assert abs(last.means - 2 * config.rates.means * config.rates.means_end) < 1e-12
    assert abs(last.sh0 - config.rates.sh0 * config.rates.end) < 1e-12
    horizon = Horizon(None, 10.0)
    assert horizon.fraction(10**9, 2.5) == 0.25
    assert Horizon(8, None).fraction(8, 0.0) == 1.0
