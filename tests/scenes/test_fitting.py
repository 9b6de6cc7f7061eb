"""A reconstruction of either kind as the run loop drives it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from small_photos import photos, points
from tondo.data.photos import PhotoSet
from tondo.errors import InputError
from tondo.runs.checkpoints import load_latest_checkpoint, save_checkpoint
from tondo.runs.horizon import Horizon
from tondo.runs.method import Background, Request
from tondo.runs.run_directory import create_run
from tondo.scenes import fitting
from tondo.scenes.options import ReconstructOptions

METHODS = ("splats", "nerf")


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> Request:
    """For a scene from six photos, two more held out, in four steps."""
    shots, up = photos(8), torch.tensor([0.0, 0.0, 1.0])
    both = PhotoSet(tuple(shots[:6]), tuple(shots[6:]), points(), up, False, (), "test")
    grey = Background(torch.full((3,), 0.5))
    return Request(both, tmp_path_factory.mktemp("posed"), 72, 0, Horizon(4, None), grey, True)


@pytest.mark.parametrize("method", METHODS)
def test_it_advances_measures_and_shows_itself(
    method: str, request_: Request, tmp_path: Path
) -> None:
    one, where = fitting.begin(request_, ReconstructOptions(method=method))
    assert ("80 points" in where) == (method == "splats")
    report = one.advance(0.0)
    assert (report.event.step, report.fraction, one.step) == (1, 0.25, 1)
    assert one.done == "step 1"
    measured = one.measure()
    assert measured is not None
    assert (measured.step, measured.images) == (1, 2)
    assert 5 < measured.psnr < 50
    shown = one.pictures(create_run(tmp_path / "run", {"tondo": "1"}))
    assert set(shown) == {"train/photo and render", "test/photo and render"}
    assert shown["test/photo and render"].shape == (56, 2 * 72, 3)
    assert one.event(report.event).memory > 10
    assert len(one.fitting.cameras()) == 6
    assert ("points" in one.summary()) == (method == "splats")


@pytest.mark.parametrize("method", METHODS)
def test_it_goes_on_from_its_checkpoint_bit_for_bit(
    method: str, request_: Request, tmp_path: Path
) -> None:
    options = ReconstructOptions(method=method)
    run = create_run(tmp_path / "run", {"tondo": "1"})
    whole, _ = fitting.begin(request_, options)
    for step in range(4):
        whole.advance(step / 4)
        if step == 1:
            save_checkpoint(run, whole.step, whole.tensors(), whole.facts())
    checkpoint = load_latest_checkpoint(run)
    assert checkpoint is not None
    again = fitting.resume(request_, options, checkpoint)
    assert again.fraction() == 0.5
    assert again.begun == whole.begun
    for step in (2, 3):
        again.advance(step / 4)
    for name, tensor in whole.tensors().items():
        if name != "seconds":
            assert torch.equal(again.tensors()[name], tensor), name
    fewer = replace(request_, photos=replace(request_.photos, train=request_.photos.train[1:]))
    with pytest.raises(InputError, match="started with 6 training photos, now there are 5"):
        fitting.resume(fewer, options, checkpoint)


def test_the_psnr_of_an_event_is_a_mean(request_: Request) -> None:
    one, _ = fitting.begin(request_, ReconstructOptions(method="nerf"))
    found = [one.advance(k / 4).event for k in range(3)]
    written = one.event(found[-1])
    assert written.psnr == pytest.approx(sum(event.psnr for event in found) / 3)
