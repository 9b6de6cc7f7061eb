"""A training on a GPU beside the same one on the CPU."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tiny_trainings import Watched, squares, train_inputs, tuned
from tondo.data.pictures import PictureSet
from tondo.gan.files.generator_file import load_generator
from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.training.session import train_generator
from tondo.gan.training.state import TrainInputs
from tondo.gan.training.step import begin, one_step
from tondo.geometry.pose_prior import NAMED
from tondo.io.collections.picture_shards import Manifest, write_manifest, write_shard
from tondo.runs.checkpoints import load_latest_checkpoint
from tondo.runs.run_directory import open_run

SHAPE = GeneratorShape(
    rows=16, columns=32, size=32, channels=(24, 24, 16), basis_maps=4, mixture_components=2
)


def varied() -> PictureSet:
    """Squares of noise, each another: what all have in common is divided by its spread."""
    images, rng = squares().images.clone(), torch.Generator().manual_seed(1)
    noise = torch.randint(0, 256, images[:, :3].shape, dtype=torch.uint8, generator=rng)
    images[:, :3] = noise
    return replace(squares(), images=images)


def with_known_cameras() -> TrainInputs:
    return train_inputs(varied(), Watched())


def with_drawn_cameras() -> TrainInputs:
    priors = NAMED["turntable"] + NAMED["tumble"]
    pictures = replace(varied(), viewmats=None, Ks=None)
    return replace(with_known_cameras(), pictures=pictures, camera_angles=None, priors=priors)


def with_cameras_looked_for() -> TrainInputs:
    return replace(with_drawn_cameras(), priors=NAMED["frontal"])


@pytest.mark.parametrize(
    "inputs", [with_known_cameras(), with_drawn_cameras(), with_cameras_looked_for()]
)
@pytest.mark.parametrize("representation", ["splats", "field"])
def test_steps_are_the_cpus(cuda: torch.device, inputs: TrainInputs, representation: str) -> None:
    shape = replace(SHAPE, representation=representation, light="none")
    if representation == "splats":
        shape = replace(shape, light="camera", mirror=True)
    config = tuned(batch=8, strength=0.5, reconstruction_weight=10.0, blur=0.0)
    inputs = replace(inputs, options=config)
    here = begin(inputs, shape, seed=3)
    there = begin(replace(inputs, device=cuda), shape, seed=3)
    assert there.G.device == cuda
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        wanted = one_step(here, inputs)
        found = one_step(there, replace(inputs, device=cuda))
    for name in ("loss_d", "loss_g", "real", "fake", "grad_d", "grad_g"):
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), rel=0.01, abs=1e-3), (
            name
        )
    assert torch.equal(found_rows(there), found_rows(here))
    for _ in range(3):
        assert one_step(there, replace(inputs, device=cuda)).finite


def write(folder: Path, pictures: PictureSet) -> None:
    count, channels, size, _ = pictures.images.shape
    assert pictures.viewmats is not None
    assert pictures.Ks is not None
    write_shard(folder, 0, pictures.images, (pictures.viewmats, pictures.Ks))
    counts = (count,)
    write_manifest(
        folder, Manifest("squares", size, channels, True, counts, None, True, (), (), {})
    )


def found_rows(state: object) -> torch.Tensor:
    """Which photographs have cameras now, and of which prior."""
    return state.camera_estimates.priors  # type: ignore[attr-defined, no-any-return]


def test_a_run_begun_on_the_gpu_goes_on_on_the_cpu_and_back(
    cuda: torch.device, tmp_path: Path
) -> None:
    source = tmp_path / "set"
    source.mkdir()
    write(source, varied())
    run = tmp_path / "run"
    options = tuned(size=32, batch=8)
    for kimg, device in ((0.024, "cuda"), (0.04, "cpu"), (0.056, "auto")):
        told = replace(options, kimg=kimg, device=device)
        train_generator(source, run, told, resume=device != "cuda")
        checkpoint = load_latest_checkpoint(open_run(run))
        assert checkpoint is not None
        assert {tensor.device.type for tensor in checkpoint.tensors.values()} == {"cpu"}
        assert json.loads((run / "metrics.json").read_text())["kimg"] == pytest.approx(kimg)
    generator = load_generator(run / "generator.safetensors").generator
    assert all(bool(value.isfinite().all()) for value in generator.parameters())
