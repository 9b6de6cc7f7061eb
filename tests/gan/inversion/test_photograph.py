"""The photograph of a lifted model as a picture that its texture is taken from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import tondo
from tiny_generators import SHAPE, photo_of_sample, tiny_generator, tiny_run
from tondo.gan.files.open_generator import open_generator
from tondo.gan.inversion.lift import Lifted, encoder_of
from tondo.gan.inversion.photograph import pictures_of
from tondo.mesh.render import render_mesh


@pytest.fixture(scope="module")
def lifted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lifted, Path]:
    folder = tmp_path_factory.mktemp("lifted")
    photo, run = photo_of_sample(folder / "photo.png"), tiny_run(folder / "run")
    encoder_of(open_generator(run), samples=64)
    return tondo.lift(photo, run, options=tondo.LiftOptions(12, 2)), photo


def test_it_is_as_sharp_as_the_photo_and_shows_what_faces_it(lifted: tuple[Lifted, Path]) -> None:
    model, photo = lifted
    (picture,) = pictures_of(model, photo)
    assert picture.image.shape == (96, 96, 3)  # compared at 64
    assert (picture.camera.width, picture.camera.height) == (96, 96)
    assert torch.allclose(picture.camera.K[0, 0], model.K[0, 0] * 96 / 64)
    alpha = render_mesh(model.model.mesh, picture.camera, torch.ones(3)).alpha
    shown = picture.coverage > 0
    assert 0.3 < float(shown.sum() / (alpha > 0.5).sum()) < 0.95
    assert float(alpha[shown].min()) > 0
    white = (picture.image == 255).all(dim=-1)
    assert not bool((shown & white).any())


def test_a_generator_with_light_takes_none(lifted: tuple[Lifted, Path]) -> None:
    model, photo = lifted
    lit = replace(model, generator=tiny_generator(0, replace(SHAPE, light="camera")))
    assert pictures_of(lit, photo) == []
