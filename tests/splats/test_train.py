"""The loop learns, and the same seed and steps give the same splats bit for bit."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from small_photos import photos, points
from tondo import _native
from tondo.geometry.focus import camera_reach
from tondo.runs.horizon import Clock, Horizon
from tondo.splats import from_points, train
from tondo.splats import step as step_
from tondo.splats.config import SplatConfig
from tondo.splats.targets import make_targets

CONFIG = SplatConfig(max_splats=140, sh_degree=1, densify_every=10, exposure=True)


def setting_of(steps: int, config: SplatConfig = CONFIG, count: int = 8) -> train.Setting:
    shots = photos(count)
    reach = camera_reach([photo.camera for photo in shots])
    grey = torch.full((3,), 0.5)
    return train.Setting(shots, config, Horizon(steps, None), grey, False, reach)


def begin(setting: train.Setting, seed: int = 0) -> train.Training:
    first = from_points.splats_from_points(points(), sh_degree=setting.config.sh_degree)
    return train.begin(first, setting.photos, seed)


def trained(steps: int, config: SplatConfig = CONFIG, seed: int = 0) -> train.Training:
    setting = setting_of(steps, config)
    training = begin(setting, seed)
    for _ in train.run(training, setting):
        pass
    return training


def same(a: train.Training, b: train.Training) -> bool:
    left, right = train.to_tensors(a), train.to_tensors(b)
    return all(torch.equal(left[k], right[k]) for k in left if k != "seconds")


def mean_psnr(training: train.Training, setting: train.Setting) -> float:
    work = step_.new_workspace()
    found = []
    for target in make_targets(setting.photos, 1, setting.background, keep_alpha=False):
        step_.render(
            work,
            training.parameters,
            target.camera,
            setting.config.sh_degree,
            setting.background,
        )
        found.append(step_.psnr(work, target, None))
    return sum(found) / len(found)


def test_training_finds_the_scene() -> None:
    setting = setting_of(400, dataclasses.replace(CONFIG, exposure=False))
    training = begin(setting)
    before = mean_psnr(training, setting)
    reports = list(train.run(training, setting))
    assert [r.step for r in reports] == list(range(1, 401))
    assert reports[-1].fraction == 1.0
    assert before < 21
    assert mean_psnr(training, setting) > 27
    assert len(training.parameters) == 140  # grew to the budget and not past it


def test_same_seed_and_steps_are_bit_for_bit_the_same_on_any_number_of_threads() -> None:
    threads = _native.num_threads()
    try:
        runs = []
        for count in (1, 2, 3):
            _native.set_num_threads(count)
            runs.append(trained(60, dataclasses.replace(CONFIG, refine_poses=True)))
    finally:
        _native.set_num_threads(threads)
    assert same(runs[0], runs[1])
    assert same(runs[0], runs[2])
    assert not same(runs[0], trained(60, dataclasses.replace(CONFIG, refine_poses=True), seed=1))


def test_going_on_from_a_checkpoint_is_the_same_as_never_stopping() -> None:
    whole = trained(50)
    setting = setting_of(50)
    training = begin(setting)
    for report in train.run(training, setting):
        if report.step == 23:
            break
    stored = {name: tensor.clone() for name, tensor in train.to_tensors(training).items()}
    again = train.from_tensors(stored)
    for _ in train.run(again, setting):
        pass
    assert same(again, whole)


def test_a_checkpoint_that_lacks_something_is_named() -> None:
    tensors = train.to_tensors(begin(setting_of(1)))
    del tensors["exp_avg.means"]
    with pytest.raises(KeyError, match=r"exp_avg\.means"):
        train.from_tensors(tensors)


def test_the_clock_stands_still_while_paused() -> None:
    clock = Clock(5.0)
    clock.run()
    clock.pause()
    at = clock.seconds()
    assert at >= 5.0
    assert clock.seconds() == at


def test_refined_poses_move_back_towards_the_truth() -> None:
    setting = setting_of(300, dataclasses.replace(CONFIG, exposure=False))
    exact = begin(setting)
    for _ in train.run(exact, setting):
        pass
    shots = list(setting.photos)
    shift = torch.tensor([0.06, -0.05, 0.0])
    view = shots[2].camera.viewmat.clone()
    view[:3, 3] += shift
    wrong = dataclasses.replace(shots[2].camera, viewmat=view)
    shots[2] = dataclasses.replace(shots[2], camera=wrong)
    refining = dataclasses.replace(
        setting.config, refine_poses=True, coarse=(), densify_until=0.0, lr_means=0.0
    )
    moved = dataclasses.replace(setting, photos=shots, config=refining, horizon=Horizon(700, None))
    training = train.begin(exact.parameters.splats, shots, 0)
    training.step = 300  # Adam's warm-up is over; splats hardly move
    for _ in train.run(training, moved):
        pass
    left = training.corrections.viewmats[2][:3, 3] - setting.photos[2].camera.viewmat[:3, 3]
    # Sideways, where the shift was. Nearer or farther hardly changes so small a picture: over eight
    # seeds that part came to 0.1 to 0.5 of the shift, the sideways part to 0.02 to 0.2.
    assert float(left[:2].norm()) < 0.3 * float(shift.norm())
    assert float(left.norm()) < 0.8 * float(shift.norm())


def test_a_random_background_leaves_no_colour_behind_the_object() -> None:
    setting = setting_of(30)
    shots = [
        dataclasses.replace(p, alpha=torch.full(p.image.shape[:2], 255, dtype=torch.uint8))
        for p in setting.photos
    ]
    training = begin(setting)
    random = dataclasses.replace(setting, photos=shots, random_background=True)
    reports = list(train.run(training, random))
    assert reports[-1].loss < reports[0].loss
