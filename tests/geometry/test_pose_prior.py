"""Pose priors: drawn cameras lie where the prior says and look at the origin."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tiny_trainings import Watched, squares, train_inputs
from tondo.errors import OptionError
from tondo.geometry.look_at import angles_of
from tondo.geometry.pose_prior import BELL, NAMED, PosePrior, draw_angles, draw_cameras, parse_poses


@pytest.mark.parametrize("bell", [True, False])
def test_drawn_angles_fill_the_ranges_as_the_prior_says(bell: bool) -> None:
    prior = PosePrior((-50.0, 30.0), (5.0, 25.0), (-4.0, 8.0), bell=bell, by_angle=True)
    drawn = draw_cameras((prior,), 4000, 32, torch.Generator().manual_seed(0))
    low, high = torch.deg2rad(torch.tensor([[-50.0, 5.0, -4.0], [30.0, 25.0, 8.0]]))
    assert bool(((drawn.angles >= low - 1e-5) & (drawn.angles <= high + 1e-5)).all())
    half = 0.5 * (high - low)
    torch.testing.assert_close(drawn.angles.mean(dim=0), low + half, rtol=0, atol=0.03)
    # a normal distribution cut off at 1 / BELL = 2.5 standard deviations hardly loses any
    spread = half * (0.985 * BELL if bell else 1 / math.sqrt(3.0))
    torch.testing.assert_close(drawn.angles.std(dim=0), spread, rtol=0.04, atol=0)


def test_cameras_look_at_the_origin_from_their_angles() -> None:
    drawn = draw_cameras(parse_poses("turntable+tumble"), 50, 32, torch.Generator().manual_seed(1))
    torch.testing.assert_close(drawn.viewmats[:, :2, 3], torch.zeros(50, 2))
    found = angles_of(drawn.viewmats)
    again = torch.stack([found.sin(), found.cos()])
    torch.testing.assert_close(
        again, torch.stack([drawn.angles.sin(), drawn.angles.cos()]), atol=2e-3, rtol=0
    )


def test_cameras_with_a_pivot_show_it_in_the_middle_as_far_away() -> None:
    prior = PosePrior((-50.0, 30.0), (5.0, 25.0), (-4.0, 8.0), fov=30.0, distance=4.0, pivot=0.6)
    drawn = draw_cameras((prior,), 20, 33, torch.Generator().manual_seed(1))
    render = (drawn.viewmats @ torch.tensor([0.0, 0.0, 0.6, 1.0]))[:, :3]
    torch.testing.assert_close(
        render, torch.tensor([0.0, 0.0, 4.0]).expand(20, 3), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(angles_of(drawn.viewmats), drawn.angles, atol=1e-5, rtol=0)
    # a head that looks to the camera's left (its azimuth is above 0) has its middle on the right
    middle = drawn.viewmats[:, 0, 3]
    assert bool((middle.sign() == drawn.angles[:, 0].sign())[drawn.angles[:, 0].abs() > 0.2].all())


def test_ranges_of_the_angle_of_view_and_the_distance_are_mixtures() -> None:
    priors = parse_poses("azimuth=-40:40,elevation=-10:20,fov=15:25,distance=4:6")
    assert len(priors) == 25
    assert (priors[0].fov, priors[0].distance) == (20.0, 5.0)
    drawn = draw_cameras(priors, 4000, 32, torch.Generator().manual_seed(1))
    fovs = 2 * torch.rad2deg(torch.atan(16 / drawn.Ks[:, 0, 0]))
    distances = drawn.viewmats[:, 2, 3]
    for found, low, high in ((fovs, 15.0, 25.0), (distances, 4.0, 6.0)):
        assert low < float(found.min()) < low + 0.15 * (high - low)
        assert high - 0.15 * (high - low) < float(found.max()) < high
        assert float(found.mean()) == pytest.approx(0.5 * (low + high), rel=0.02)
        assert float(found.std()) == pytest.approx((high - low) / 12**0.5, rel=0.05)
    fitting = parse_poses("azimuth=0:1,elevation=0:1,fov=15:25")
    assert len({one.distance for one in fitting}) == 5
    with pytest.raises(OptionError, match="fov must go from low to high"):
        parse_poses("azimuth=0:1,elevation=0:1,fov=25:15")
    with pytest.raises(OptionError, match="pivot as one number"):
        parse_poses("azimuth=0:1,elevation=0:1,pivot=0:1")


def test_ranges_are_read_and_unknown_words_are_refused() -> None:
    (prior,) = parse_poses("azimuth=-40:40,elevation=-10:20,fov=25,distance=5")
    assert prior == PosePrior((-40.0, 40.0), (-10.0, 20.0), fov=25.0, distance=5.0)
    assert parse_poses("azimuth=0:0,elevation=0:0,pivot=0.5")[0].pivot == 0.5
    with pytest.raises(OptionError, match=r"pivot must lie within -1\.\.1"):
        parse_poses("azimuth=0:0,elevation=0:0,pivot=1.5")
    assert parse_poses("frontal") == NAMED["frontal"]
    assert NAMED["frontal"][0].bell
    for text, said in (
        ("sideways", "no prior of that name"),
        ("azimuth=-40:40", "at least azimuth"),
        ("azimuth=40:-40,elevation=0:1", "from low to high"),
        ("azimuth=0:1,elevation=0:x", "is not NAME=NUMBER"),
    ):
        with pytest.raises(OptionError, match=said):
            parse_poses(text)
    with pytest.raises(OptionError, match="distance"):
        replace(prior, distance=0.5)
    for weight in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(OptionError, match="weight must lie within"):
            replace(prior, weight=weight)
    lone = (replace(prior, weight=1e-30),)
    assert len(draw_cameras(lone, 3, 32, torch.Generator().manual_seed(0)).angles) == 3


def test_named_priors_lie_where_their_names_say() -> None:
    rng = torch.Generator().manual_seed(0)
    found = {name: draw_angles(NAMED[name], 4000, rng)[0].rad2deg() for name in NAMED}
    for name, low, high in (
        ("sphere", -90, 90),
        ("upper-hemisphere", 0, 80),
        ("turntable", -5, 15),
    ):
        elevation = found[name][:, 1]
        assert low <= float(elevation.min()) < low + 3
        assert high - 3 < float(elevation.max()) <= high
        assert float(found[name][:, 0].abs().max()) > 179
    # even on the sphere: as many between the poles and 30 degrees as nearer to them
    assert float((found["sphere"][:, 1].abs() < 30).float().mean()) == pytest.approx(0.5, abs=0.03)
    assert float(found["frontal"][:, 0].abs().max()) <= 45


def test_one_side_is_the_middle_of_cameras_that_are_not_known() -> None:
    inputs = train_inputs(squares(), Watched())
    unknown = replace(inputs, camera_angles=None)
    assert replace(unknown, priors=NAMED["turntable"]).one_side is None
    assert replace(inputs, priors=NAMED["frontal"]).one_side is None  # known
    side = replace(unknown, priors=NAMED["frontal"]).one_side
    assert side is not None
    torch.testing.assert_close(side, torch.tensor([0.0, 0.0, 1.0]))
    side = replace(unknown, priors=parse_poses("azimuth=60:120,elevation=20:40")).one_side
    half = math.sqrt(0.75)
    torch.testing.assert_close(side, torch.tensor([half, 0.5, 0.0]))
