"""Files that older commits wrote, each in a folder of its commit: they open, runs go on, and the
numbers are those that the commit itself got (`values.json`)."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from small_photos import write_photos
from tondo.api.generate import generate
from tondo.data.pictures import PictureSet
from tondo.gan.files import adapters
from tondo.gan.networks import discriminator, latent_mixture, skin_network
from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.options import TrainOptions
from tondo.gan.training import autoencoder, state_tensors, step
from tondo.gan.training.state import TrainInputs
from tondo.geometry.pose_prior import NAMED
from tondo.runs.checkpoints import load_latest_checkpoint
from tondo.runs.run_directory import RunDirectory
from tondo.runs.stored_options import stored_options
from tondo.scenes.options import ReconstructOptions
from tondo.scenes.reconstruct import reconstruct

HERE = Path(__file__).parent
GENERATORS = [p for p in sorted(HERE.glob("*/*.safetensors")) if p.stem != "adapter"]
TRAININGS = sorted(HERE.glob("*/train-*"))
RECONSTRUCTIONS = sorted(HERE.glob("*/reconstruct-*"))
SHAPE = GeneratorShape(
    z=4,
    w=8,
    rows=16,
    columns=32,
    channels=(8, 8, 8),
    size=32,
    light="none",
    basis_maps=2,
    mixture_components=2,
    has_inner_layer=True,
)
SHAPES = {
    "train-splats": replace(SHAPE, light="camera", mirror=True),
    "train-axial": replace(SHAPE, axial=True),
}


def values(path: Path) -> Any:
    return json.loads((path.parent / "values.json").read_text())[path.stem]


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def close(found: Tensor, wanted: Any) -> None:
    torch.testing.assert_close(
        found.double(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-4, atol=1e-5
    )


def check_models(path: Path) -> None:
    wanted = values(path)
    for index, model in enumerate(generate(path, [0, 1])):
        close(model.w, wanted["w"][index])
        close(model.mesh.vertices[::100], wanted["vertices"][index])
        close(model.mesh.colors[::100], wanted["colors"][index])
        close(model.splats.splats.opacity_logits[::100], wanted["opacities"][index])


@pytest.mark.parametrize("path", GENERATORS, ids=name)
def test_a_generator_makes_the_same_models(path: Path) -> None:
    check_models(path)


def test_an_adapter_makes_the_same_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "MOST_SHARE", 1.0)  # of so small a generator
    check_models(HERE / "1478497" / "adapter.safetensors")


class Features:
    """Of one scale, without a network."""

    def features(self, images: Tensor) -> list[Tensor]:
        return [F.avg_pool2d(images, 8)]


@pytest.mark.parametrize("path", TRAININGS, ids=name)
def test_a_training_goes_on_as_it_would_have(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, width, now in (
        (skin_network, "FOURTH", 4),
        (skin_network, "FIFTH", 4),
        (autoencoder, "HIDDEN", 8),
        (discriminator, "MIXED", 8),
        (step, "KEPT", 16),
        (latent_mixture, "KEPT", 16),
    ):
        monkeypatch.setattr(module, width, now)
    run = RunDirectory(path)
    options, source = stored_options(run, "train", TrainOptions(), ("device", "checkpoint_seconds"))
    assert source == Path("pictures")
    assert (options.kimg, options.schedule.batch, options.adversarial.r1_every) == (0.1, 8, 4)
    images = torch.zeros(12, 4, 32, 32, dtype=torch.uint8)
    images[:, :3, 12:20, 10:22], images[:, 3, 12:20, 10:22] = 128, 255
    standard = replace(TrainOptions(), schedule=options.schedule)  # what it was written with
    pictures = PictureSet(images, is_plain=True)
    inputs = TrainInputs(pictures, NAMED["turntable"], Features(), standard)
    checkpoint = load_latest_checkpoint(run)
    assert checkpoint is not None
    assert checkpoint.state == {"rollbacks": 1}
    state = state_tensors.from_tensors(checkpoint.tensors, inputs, SHAPES[path.name])
    report = step.one_step(state, inputs)
    for key, wanted in values(path).items():
        assert getattr(report, key) == pytest.approx(wanted, rel=1e-3, abs=1e-4), key


@pytest.mark.parametrize("path", RECONSTRUCTIONS, ids=name)
def test_a_reconstruction_goes_on_as_it_would_have(path: Path, tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 6)
    run = tmp_path / "run"
    shutil.copytree(path, run)
    for folder in ("renders", "tensorboard"):
        (run / folder).mkdir()
    config = json.loads((run / "config.json").read_text())
    config["source"] = str(tmp_path / "photos")
    (run / "config.json").write_text(json.dumps(config))
    reconstruct(tmp_path / "photos", run, ReconstructOptions(), resume=True)
    found = load_file(run / "scene.safetensors")
    wanted = values(path)
    assert found.keys() == wanted.keys()
    for key, tensor in found.items():
        sums = [float(tensor.double().sum()), float(tensor.double().abs().sum())]
        assert sums == pytest.approx(wanted[key], rel=1e-4, abs=1e-3), key
