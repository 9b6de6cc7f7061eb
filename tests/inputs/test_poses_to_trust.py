"""Poses are called placed only where they can be trusted."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pycolmap
import pytest

from known_motion import HEIGHT, WIDTH, cylinder, look_at, model_of, photos_of, place, ring
from tondo.sfm.motion import place as placing
from tondo.sfm.motion.lens import Adjusted, _judged, choose_lens
from tondo.sfm.motion.verify import PairAgreement, disagreeing, drop_impossible, sound_photos

FOCAL = 659.0


def camera(focal: float = FOCAL, *distortion: float, off: float = 0.0) -> pycolmap.Camera:
    kind = {0: "SIMPLE_PINHOLE", 1: "SIMPLE_RADIAL", 2: "RADIAL"}[len(distortion)]
    params = [focal, WIDTH / 2 + off, HEIGHT / 2 - off, *distortion]
    return pycolmap.Camera(model=kind, width=WIDTH, height=HEIGHT, params=params)


def hand_held(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    views = []
    for i in range(count):
        turn, height, distance = (
            2.4 * np.pi * i / count,
            rng.uniform(-0.4, 1.4),
            rng.uniform(1.4, 2.6),
        )
        eye = (distance * np.cos(turn), distance * np.sin(turn), height)
        views.append(look_at(eye, rng.normal(size=3) * 0.08, rng.normal() * 0.3))
    return views


def height_over_diameter(model: pycolmap.Reconstruction) -> float:
    """Of the cylinder, whose axis is that of the ring of cameras."""
    centers = np.array([model.images[i].projection_center() for i in model.reg_image_ids()])
    points = np.array([point.xyz for point in model.points3D.values()])
    axis = np.linalg.svd(centers - centers.mean(0))[2][2]
    along = (points - points.mean(0)) @ axis
    across = np.linalg.norm(points - points.mean(0) - np.outer(along, axis), axis=1)
    return float(np.ptp(along) / (2 * np.median(across)))


def test_a_ring_of_a_turntable_keeps_its_proportions(tmp_path: Path) -> None:
    """With two focal lengths it had half of its height, and 0.2 pixels of error."""
    views, points = ring(30, 20, 2.4), cylinder(700)
    photos = photos_of([camera()] * 30, views, points, [None] * 30, [("",)] * 30)
    placement, model = place(photos, tmp_path)
    assert model.num_reg_images() == 30
    assert not placement.distrust
    assert not placement.doubts
    (found,) = model.cameras.values()
    assert found.model.name == "SIMPLE_RADIAL"
    assert found.focal_length == pytest.approx(FOCAL, rel=0.01)
    truth = np.ptp(points[:, 2]) / 1.0
    assert height_over_diameter(model) == pytest.approx(truth, rel=0.01)
    assert "one coefficient" in placement.lens
    assert "motion cannot tell" in placement.lens


def test_a_richer_lens_where_the_motion_tells_it() -> None:
    true = camera(FOCAL, 0.15, -0.3, off=9.0)
    model = model_of(true, hand_held(30), cylinder(600))
    model.cameras[1].model = pycolmap.CameraModelId.SIMPLE_RADIAL
    model.cameras[1].params = [FOCAL, WIDTH / 2, HEIGHT / 2, 0.0]
    choice = choose_lens(model)
    assert choice.text.startswith(
        "one focal length, two coefficients of radial distortion, the pri"
    )
    assert not choice.doubts
    found = model.cameras[1]
    assert found.model.name == "RADIAL"
    assert found.focal_length == pytest.approx(FOCAL, rel=0.003)
    assert list(found.params[1:3]) == pytest.approx([WIDTH / 2 + 9, HEIGHT / 2 - 9], abs=1.5)


def far_away() -> tuple[list[np.ndarray], np.ndarray]:
    """A small thing from far away, from nearly one side: its perspective cannot be seen."""
    views = [look_at((60.0, 0.7 * i, 1.0 * (i % 3))) for i in range(12)]
    return views, cylinder(300)


def test_a_focal_length_that_nothing_tells_is_that_of_exif_or_a_refusal() -> None:
    views, points = far_away()
    true = camera(15_000.0, 0.0)
    choice = choose_lens(model_of(true, views, points))
    assert choice.distrust.startswith("the focal length of 480x360 photos could not be told")
    model = model_of(camera(15_500.0, 0.0), views, points)
    choice = choose_lens(model, exif={1: 15_000.0})
    assert not choice.distrust
    assert choice.text.endswith("the focal length from EXIF, since the photos do not tell it")
    assert model.cameras[1].focal_length == 15_000


def test_exif_that_the_photos_contradict_is_not_taken() -> None:
    model = model_of(camera(FOCAL, 0.0), hand_held(16), cylinder(400))
    loose = Adjusted(0.1, {1: 0.02}, {1: 0.0})  # told within 6 %
    choice = _judged(model, loose, "a lens", {1: 5000.0})
    assert model.cameras[1].focal_length == FOCAL
    (doubt,) = choice.doubts
    assert "could only be told within 6%" in doubt
    assert _judged(model, loose, "a lens", {1: 1.04 * FOCAL}).doubts == ()
    assert model.cameras[1].focal_length == pytest.approx(1.04 * FOCAL)


def test_a_focal_length_far_from_that_of_exif_is_said() -> None:
    model = model_of(camera(FOCAL, 0.0), hand_held(16), cylinder(400))
    (doubt,) = choose_lens(model, exif={1: 1000.0}).doubts
    assert "gives a focal length of 1000 pixels, they fit best at 6" in doubt


def test_photos_with_digital_zoom_are_placed(tmp_path: Path) -> None:
    views, points = ring(18, 25, 2.2)[:12], cylinder(600)
    zoom = [2.0 if i % 3 == 2 else 1.0 for i in range(12)]
    photos = photos_of(
        [camera(400 * z) for z in zoom],
        views,
        points,
        [400 * z for z in zoom],
        [("phone", z) for z in zoom],
    )
    _, model = place(photos, tmp_path)
    assert model.num_reg_images() == 12
    focals = sorted(one.mean_focal_length() for one in model.cameras.values())
    assert focals == pytest.approx([400, 800], rel=0.02)


def test_points_at_impossible_places_are_dropped_and_the_rest_is_judged() -> None:
    model = model_of(camera(), ring(8, 20, 2.4), cylinder(100))
    count = model.num_points3D()
    first, second = list(model.points3D)[:2]
    model.points3D[first].xyz = [1e150, 0, 0]
    model.points3D[second].xyz = [np.nan, 0, 0]
    assert drop_impossible(model) == 2
    assert model.num_points3D() == count - 2
    assert model.compute_mean_reprojection_error() < 1


def chain(names: str, share: float = 1.0, matches: int = 300) -> list[PairAgreement]:
    return [PairAgreement(a, b, matches, share) for a, b in pairwise(names)]


def test_photos_that_their_strongest_partners_contradict_are_not_sound() -> None:
    good, other = "abcdefgh", "uvw"
    # The second group hangs on the first by a weak pair; the strong ones between them disagree.
    between = [PairAgreement("h", "u", 280, 0.03), PairAgreement("g", "u", 290, 0.02)]
    weak = [PairAgreement("a", "w", 20, 1.0)]
    pairs = chain(good) + chain(good[::2]) + chain(other) + between + weak
    assert sound_photos(pairs) == set(good)
    # Wrong matches of things that look alike do not count beside the right ones of neighbours.
    alike = [PairAgreement("a", "e", 40, 0.0), PairAgreement("b", "f", 40, 0.0)]
    full = chain(good) + chain(good[::2]) + chain(good[1::2]) + chain("aceg"[::2]) + alike
    assert sound_photos(full) == set(good)
    # Two rounds that weak pairs alone join, which agree.
    rounds = chain(good) + chain(good[::2]) + chain(other) + chain(other[::2])
    bridge = [PairAgreement("a", "w", 55, 0.95), PairAgreement("b", "v", 15, 0.2)]
    assert sound_photos(rounds + bridge) == set(good + other)
    assert sound_photos([]) == set()


def moved(model: pycolmap.Reconstruction, by: dict[str, float]) -> pycolmap.Reconstruction:
    """The same model in another world, with some photos at another place."""
    other = pycolmap.Reconstruction(model)
    for image in other.images.values():
        if image.name in by:
            pose = image.cam_from_world()
            shift = np.array([by[image.name], 0, 0])
            other.frames[image.frame_id].rig_from_world = pycolmap.Rigid3d(
                pose.rotation, pose.translation + shift
            )
    turn = pycolmap.Rotation3d(np.array([0.1, -0.5, 0.3, 0.8]))
    other.transform(pycolmap.Sim3d(2.5, turn, np.array([3.0, -1, 7])))
    return other


def test_two_models_are_compared_whatever_their_worlds() -> None:
    model = model_of(camera(), ring(14, 20, 2.4), cylinder(60))
    assert disagreeing(model, moved(model, {})) == set()
    assert disagreeing(model, moved(model, {"003.jpg": 0.6, "009.jpg": -0.4})) == {
        "003.jpg",
        "009.jpg",
    }


@pytest.mark.parametrize(("count", "whole"), [(2, False), (6, True)])
def test_two_starts_that_differ_are_not_believed(count: int, whole: bool) -> None:
    model = model_of(camera(), ring(14, 20, 2.4), cylinder(60))
    names = {image.name for image in model.images.values()}
    by = {f"{2 * i:03d}.jpg": 0.5 + 0.1 * i for i in range(count)}
    # Both hold together by their matches, as many of them.
    best = placing._Candidate(Path("a.db"), [model], frozenset(names), 1000.0)
    other = placing._Candidate(Path("a.db"), [moved(model, by)], frozenset(names), 1000.0)
    distrust, ambiguous = placing._compare(best, [other])
    if whole:
        assert distrust.startswith("two models that began with different photos differ in the plac")
        assert f" {count} of 14 photos" in distrust
        assert ambiguous == set()
    else:
        assert distrust == ""
        assert ambiguous == set(by)
    # One that half of the photos contradict says nothing; nor is it believed itself.
    half = placing._Candidate(Path("a.db"), other.models, frozenset(sorted(names)[:7]), 500.0)
    assert placing._compare(best, [half]) == ("", set())
    assert placing._compare(half, [])[0].startswith("7 of 14 photos contradict their matches")
