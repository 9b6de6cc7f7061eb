"""Corrections beside the splats: exposure, poses, background."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from small_photos import photos, points
from tondo.geometry.focus import camera_reach
from tondo.runs.horizon import Horizon
from tondo.runs.method import Background
from tondo.splats import from_points, per_photo, train
from tondo.splats import step as step_
from tondo.splats.options import SplatDensity, SplatOptions
from tondo.splats.targets import make_target

CONFIG = SplatOptions(max_splats=140, sh_degree=1, density=SplatDensity(every=10))


def inputs_of(steps: int, behind: torch.Tensor, *, learn: bool) -> train.TrainInputs:
    """Small photos, grey where the scene is empty."""
    shots = photos(8)
    reach = camera_reach([photo.camera for photo in shots])
    return train.TrainInputs(
        shots, CONFIG, Horizon(steps, None), Background(behind, is_learned=learn), reach, False
    )


def trained(inputs: train.TrainInputs) -> train.TrainState:
    first = from_points.splats_from_points(points(), sh_degree=1)
    state = train.begin(first, inputs.photos, 0)
    work, fraction = step_.Workspace(), 0.0
    while fraction < 1:
        fraction = train.advance(state, inputs, work, fraction).fraction
    return state


def test_the_background_gradient_is_that_of_finite_differences() -> None:
    inputs = inputs_of(1, torch.tensor([0.2, 0.5, 0.7]), learn=True)
    first = from_points.splats_from_points(points(), sh_degree=1)
    state = train.begin(first, inputs.photos, 0)
    target = make_target(inputs.photos[1], 1, inputs.background.color)
    work = step_.Workspace()

    def loss_at(behind: torch.Tensor) -> float:
        step_.render(work, state.parameters, target.camera, 1, behind)
        return step_.compare(work, target, 0.2, None)[0]

    loss_at(inputs.background.color)
    found = step_.background_gradient(work)
    h = 2e-3
    for channel in range(3):
        away = torch.zeros(3)
        away[channel] = h
        slope = (
            loss_at(inputs.background.color + away) - loss_at(inputs.background.color - away)
        ) / (2 * h)
        # float32 losses near 0.3 leave about 1e-5 of noise in the difference
        assert float(found[channel]) == pytest.approx(slope, rel=0.02, abs=1e-4)


def test_a_learned_background_finds_the_colour_behind_the_scene() -> None:
    first = torch.tensor([0.9, 0.2, 0.0])
    inputs = inputs_of(250, first, learn=True)
    state = trained(inputs)
    found = per_photo.background(state.corrections, first)
    # grey, as in the photos; random splats in front take part of the way
    assert bool(((found - 0.5).abs() < 0.25 * (first - 0.5).abs()).all())
    fixed = trained(dataclasses.replace(inputs, background=Background(first)))
    assert torch.equal(per_photo.background(fixed.corrections, first), first)


def test_a_background_stays_a_colour() -> None:
    shots = photos(3)
    fixes = per_photo.start(shots)
    white = torch.ones(3)
    for step in range(1, 20):
        pull = torch.tensor([-1.0, 0.0, 1.0])
        per_photo.update_background(fixes, white, pull, 0.5, step)
    assert per_photo.background(fixes, white).tolist() == [1.0, 1.0, 0.0]
    per_photo.update_background(fixes, white, torch.tensor([1.0, 0.0, 0.0]), 0.5, 20)
    # what lay beyond white was not collected: it takes no time to come back
    assert float(fixes.background_shift[0]) <= 0


def test_the_mean_of_all_exposures_stays_near_none() -> None:
    fixes = per_photo.start(photos(4))
    for visit in range(1, 60):
        for photo in range(4):
            fixes.visits[photo] = visit
            per_photo.update_exposure(fixes, photo, torch.full((3, 4), 1.0), 1e-2)
    off = fixes.exposures.mean(dim=0) - torch.eye(3, 4)
    assert float(off.abs().max()) < 0.1  # without the pull it would be 0.6


def test_corrections_come_back_from_a_checkpoint() -> None:
    fixes = per_photo.start(photos(3))
    fixes.background_shift.fill_(0.25)
    again = per_photo.from_tensors(per_photo.to_tensors(fixes))
    for name, tensor in vars(fixes).items():
        assert torch.equal(getattr(again, name), tensor)
