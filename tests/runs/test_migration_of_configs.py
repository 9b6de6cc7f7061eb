"""Configs with flat options, as they were written before options were nested."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tondo.nerf.options import NerfOptions
from tondo.runs.migration import migrated
from tondo.runs.stored_options import restored
from tondo.scenes.options import ReconstructOptions
from tondo.splats.options import SplatOptions

SPLATS = {
    "max_splats": 900,
    "sh_degree": 2,
    "ssim_weight": 0.3,
    "lr_means": 1e-4,
    "lr_means_end": 0.02,
    "lr_end": 0.2,
    "lr_poses": 2e-3,
    "noise": 4e5,
    "opacity_reg": 0.02,
    "densify_every": 40,
    "growth": 0.06,
    "min_opacity": 0.006,
    "coarse": [[0.2, 4]],
    "degree_every": 0.2,
    "exposure": True,
    "refine_poses": True,
}
NERF = {
    "encoding": "dct",
    "levels": 3,
    "frequencies": 9,
    "plane_features": 5,
    "plane_cells": 7,
    "place_octaves": 6,
    "hidden": 8,
    "cells": None,
    "steps_across": 99,
    "batch": 77,
    "by_error": 0.5,
    "lr_tables": 0.5,
    "lr_end": 0.25,
    "distortion": 0.1,
    "distortion_steps": 9,
    "exposure": False,
    "lr_exposure": 0.125,
}


def of_today(**config: Any) -> dict[str, Any]:
    return migrated("config", {"command": "reconstruct", **config}, {})[0]


def test_splats() -> None:
    found = restored(SplatOptions, of_today(splats=SPLATS)["splats"])
    assert (found.max_splats, found.sh_degree, found.refine_poses) == (900, 2, True)
    assert (found.rates.means, found.rates.means_end, found.rates.end) == (1e-4, 0.02, 0.2)
    assert (found.rates.poses, found.rates.sh0) == (2e-3, SplatOptions().rates.sh0)
    assert (found.density.noise, found.density.every, found.density.growth) == (4e5, 40, 0.06)
    assert (found.loss.ssim, found.loss.opacity) == (0.3, 0.02)
    assert (found.schedule.coarse, found.schedule.degree_every) == (((0.2, 4),), 0.2)


@pytest.mark.parametrize("encoding", ["hash", "dct", "frequency"])
def test_fields(encoding: str) -> None:
    found = restored(NerfOptions, of_today(nerf={**NERF, "encoding": encoding})["nerf"])
    assert (found.rates.batch, found.rates.tables, found.rates.end) == (77, 0.5, 0.25)
    assert found.rates.exposure == 0.125
    assert (found.hash.levels, found.frequency.place_octaves) == (3, 6)
    assert (found.dct.frequencies, found.dct.features, found.dct.cells) == (9, 5, 7)
    assert (found.dct.hidden if encoding == "dct" else found.hash.hidden) == 8
    assert (found.sampling.steps_across, found.sampling.by_error) == (99, 0.5)
    assert (found.distortion.weight, found.distortion.steps) == (0.1, 9)


@pytest.mark.parametrize(("old", "new"), [(True, "on"), (False, "off"), (None, "auto")])
def test_exposure_has_words(old: bool | None, new: str) -> None:
    assert of_today(exposure=old)["exposure"] == new


def test_configs_of_today_stay_as_they_are() -> None:
    config = {"command": "reconstruct", **dataclasses.asdict(ReconstructOptions())}
    assert migrated("config", config, {})[0] == config


def test_length_and_splats_that_were_the_defaults_stay() -> None:
    """Today's follow the pixels; a run that began with three minutes goes on with them."""
    old = {"steps": None, "minutes": None, "steps_done": 9, "splats": {"max_splats": 60_000}}
    found = of_today(**old)
    assert found["minutes"] == 3.0
    assert restored(SplatOptions, found["splats"]).max_splats == 60_000
    assert of_today(**{**old, "steps": 7})["minutes"] is None
    assert of_today(steps=None, minutes=None)["minutes"] is None  # begun, but not trained yet


def test_runs_that_compared_no_normals_go_on_without() -> None:
    assert of_today(splats=SPLATS)["splats"]["loss"]["normals"] == 0.0
    assert of_today(splats={"loss": {"ssim": 0.3}})["splats"]["loss"]["normals"] == 0.0
    assert of_today(splats={"loss": {"normals": 0.1}})["splats"]["loss"] == {"normals": 0.1}


def test_fields_that_had_no_loss_against_bumps_go_on_without() -> None:
    assert of_today(nerf=NERF)["nerf"]["smoothness"] == {"weight": 0.0}
    assert of_today(nerf={"encoding": "dct"})["nerf"]["smoothness"] == {"weight": 0.0}
    kept = {"weight": None, "share": 0.2}
    assert of_today(nerf={"smoothness": kept})["nerf"]["smoothness"] == kept
