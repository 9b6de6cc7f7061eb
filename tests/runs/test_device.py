"""Training where the networks do not lie on the CPU, and which device is chosen."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from pretended_device import Away, pretended
from tiny_trainings import Watched, pretrained, squares, train_inputs, tuned
from tondo.cli.main import main
from tondo.errors import OptionError
from tondo.gan.files.adapters import merged
from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.objects.contact_sheet import grid, latents
from tondo.gan.training import divergence, state_tensors
from tondo.gan.training.state import TrainInputs
from tondo.gan.training.step import begin, one_step
from tondo.geometry.pose_prior import NAMED
from tondo.runs.device import training_device

SHAPE = GeneratorShape(
    rows=16, columns=32, size=32, channels=(24, 24, 16), mixture_components=2, has_inner_layer=True
)
SPLATS = replace(SHAPE, light="camera", mirror=True, axial=True, basis_maps=4, background="scene")
FIELD = replace(SHAPE, representation="field")


def inputs(cameras: str, discriminator: str) -> TrainInputs:
    config = tuned(batch=8, strength=0.5, discriminator=discriminator)
    known = replace(train_inputs(squares(), Watched()), options=config)
    if cameras == "known":
        return known
    pictures = replace(squares(), viewmats=None, Ks=None)
    priors = NAMED["frontal"] if cameras == "looked for" else NAMED["turntable"] + NAMED["tumble"]
    return replace(known, pictures=pictures, camera_angles=None, priors=priors)


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
@pytest.mark.parametrize(
    ("shape", "discriminator", "cameras"),
    [
        (SPLATS, "projected", "known"),
        (SPLATS, "projected", "drawn"),
        (SPLATS, "plain", "looked for"),
        (FIELD, "projected", "known"),
        (FIELD, "plain", "drawn"),
    ],
)
def test_all_of_a_training_can_be_on_another_device(
    shape: GeneratorShape, discriminator: str, cameras: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pretended(monkeypatch) as device:
        there = replace(inputs(cameras, discriminator), device=device)
        state = begin(there, shape, seed=0)
        assert state.G.device == device
        pretrained(state, there, 8)
        assert math.isfinite(one_step(state, there).grad_g)
        assert divergence.diversity(state) >= 0
        tensors = state_tensors.to_tensors(state)
        assert not any(isinstance(tensor, Away) for tensor in tensors.values())
        again = state_tensors.from_tensors(tensors, there, shape)
        assert one_step(again, there) == one_step(state, there)
        w = state.G_ema.styles(latents([0, 1], shape.z).to(device))
        picture = grid(state.G_ema, w, there.priors, 32, with_depth=True)
        assert not isinstance(picture, Away)
        assert picture.shape == (4 * 32, 8 * 32, 3)
        assert merged(state.G_ema).device == torch.device("cpu")


def test_two_devices_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the test above would say nothing."""
    with pretended(monkeypatch) as device:
        there = torch.ones(3, device=device)
        assert there.device == device
        assert torch.equal((there + 1).cpu(), torch.full((3,), 2.0))
        with pytest.raises(RuntimeError, match="two devices"):
            there + torch.ones(3)


def gpus(patch: pytest.MonkeyPatch, count: int, processes: int) -> None:
    patch.setattr(torch.cuda, "is_available", lambda: count > 0)
    patch.setattr(torch.cuda, "device_count", lambda: count)
    patch.setattr(torch.cuda, "current_device", lambda: count - 1)
    patch.setenv("LOCAL_WORLD_SIZE", str(processes))


def test_each_process_has_a_gpu_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    for count, processes, wanted in ((0, 1, cpu), (1, 1, torch.device("cuda", 0)), (1, 2, cpu)):
        gpus(monkeypatch, count, processes)
        assert training_device("auto") == wanted
        assert training_device("cpu") == cpu
    with pytest.raises(OptionError, match=r"2 processes have 1 GPU.*--nproc-per-node 1"):
        training_device("cuda")
    gpus(monkeypatch, 2, 2)
    assert training_device("cuda") == torch.device("cuda", 1)


def test_a_gpu_that_is_not_there(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gpus(monkeypatch, 0, 1)
    assert main(["train", "pictures", "-o", f"{tmp_path}/run", "--device", "cuda"]) == 2
    told = capsys.readouterr().err
    assert "there is no GPU that PyTorch can use" in told
    assert "leave --device out" in told
