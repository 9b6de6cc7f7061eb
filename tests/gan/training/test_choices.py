"""What a training can be made of: discriminators, losses, representations, gradient penalties."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import trimesh
from torch import Tensor, nn

from one_thread import one_thread
from small_pictures import training_set_of_balls
from tiny_generators import SHAPE
from tiny_trainings import Watched, squares, train_inputs, tuned
from tondo.cli.main import main
from tondo.gan.evaluation.explain import load_discriminator
from tondo.gan.files.generator_file import load_generator
from tondo.gan.networks.discriminator import PlainDiscriminator, ProjectedDiscriminator
from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.options import TrainOptions
from tondo.gan.training import stages, step
from tondo.gan.training.losses import gradient_penalty, loss_named
from tondo.gan.training.session import train_generator
from tondo.gan.training.state import TrainInputs, TrainState
from tondo.gan.training.step import begin, one_step
from tondo.io.models.mesh_files import read_mesh
from tondo.runs.run_directory import open_run, read_config

LOSSES = ("minimax", "minimax-log", "nonsaturating", "relativistic", "hinge")
SMALL = tuned(size=32, poses="turntable", batch=4)
# nothing is added to G's loss but what D says
ALONE = tuned(
    batch=8,
    reconstruction_weight=0,
    laplacian=0,
    normal_orientation=0,
    centring=0,
    depth_prior=0,
    augment="off",
)
FIELD = replace(SHAPE, rows=16, columns=32, representation="field")


@pytest.fixture(scope="module", autouse=True)
def calmly() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training set of balls."""
    return training_set_of_balls(tmp_path_factory.mktemp("choices"))


def tiny_training(
    config: TrainOptions, shape: GeneratorShape = SHAPE
) -> tuple[TrainState, TrainInputs]:
    inputs = replace(train_inputs(squares(), Watched()), options=config)
    return begin(inputs, shape, seed=0), inputs


def numbers(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in module.named_parameters() if p.requires_grad}


def check_it_learns(
    config: TrainOptions, shape: GeneratorShape = SHAPE, steps: int = 2
) -> TrainState:
    """Every weight of both networks moves and all numbers are finite. Where D compares, one number
    is as good as any other: what is added to all of its logits."""
    state, inputs = tiny_training(config, shape)
    networks = {"G": state.G, "D": state.D}
    before = {name: numbers(module) for name, module in networks.items()}
    for count in range(1, steps + 1):
        report = one_step(state, inputs)
        assert math.isfinite(report.loss_d + report.loss_g)
        assert report.step == count
        assert report.pictures == count * config.schedule.batch
        assert min(report.grad_d, report.grad_g) > 0
    for name, module in networks.items():
        after = numbers(module)
        still = {n for n, p in after.items() if torch.equal(p, before[name][n])}
        free = {n for n in after if n.endswith("last.bias")} if name == "D" else set()
        assert still == (free if loss_named(config.adversarial.loss).compares else set()), name
        assert all(bool(torch.isfinite(p).all()) for p in module.state_dict().values()), name
    assert any(bool((p != before["G"][n]).any()) for n, p in state.G_ema.named_parameters())
    return state


@pytest.mark.parametrize("discriminator", ["projected", "plain"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_moves_both_networks(loss: str, discriminator: str) -> None:
    """With either discriminator."""
    config = tuned(batch=8, loss=loss, discriminator=discriminator, r1_every=1)
    state = check_it_learns(config)
    kind = PlainDiscriminator if discriminator == "plain" else ProjectedDiscriminator
    assert type(state.D) is kind


def test_a_field_learns_as_splats_do() -> None:
    check_it_learns(tuned(batch=8, r1_every=1), FIELD)


def test_a_plain_discriminator_as_typed(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run says what it was made with, and its discriminator is found again."""
    monkeypatch.setattr(stages, "GRID_SEEDS", 1)
    run = tmp_path / "run"
    words = ["train", str(pictures), "-o", str(run), "--size", "32", "--batch", "4"]
    words += ["--kimg", "0.008", "--discriminator", "plain", "--loss", "relativistic"]
    assert main(words) == 0
    trained = load_generator(run / "generator.safetensors")
    assert trained.card.kimg == pytest.approx(0.008)
    opened = open_run(run)
    assert isinstance(load_discriminator(opened, 32), PlainDiscriminator)
    config = read_config(opened)["adversarial"]
    assert (config["discriminator"], config["loss"]) == ("plain", "relativistic")


def test_a_field_stopped_and_going_on_ends_where_going_straight_does(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what it makes is a closed mesh."""
    monkeypatch.setattr(stages, "GRID_SEEDS", 1)
    field = replace(SMALL, representation="field")
    for name, kimgs in (("a", (0.008,)), ("b", (0.004, 0.008))):
        for kimg in kimgs:
            options = replace(field, kimg=kimg)
            train_generator(pictures, tmp_path / name, options, resume=kimg != kimgs[0])
    first, second = (
        load_generator(tmp_path / name / "generator.safetensors").generator for name in "ab"
    )
    assert first.shape.representation == "field"
    assert first.planes is not None
    found = second.state_dict()
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, found[name]), name
    out = tmp_path / "models"
    words = ["generate", str(tmp_path / "b"), "-o", str(out), "--seeds", "3", "--format", "glb"]
    assert main(words) == 0
    mesh = read_mesh(out / "seed0003.glb")
    model = trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=True)
    assert model.is_watertight
    assert model.volume > 0.01


def first_gradients(loss: str) -> tuple[Tensor, Tensor]:
    """Of G and of D in the first step of a training of nothing but the game, with a D that is
    sure of itself: it takes everything for generated."""
    state, inputs = tiny_training(tuned(ALONE, loss=loss, r1_every=1000, r1_gamma=0.0))
    assert isinstance(state.D, ProjectedDiscriminator)
    with torch.no_grad():
        for head in state.D.heads:
            head.last.bias -= 8.0
    one_step(state, inputs)
    # with beta1 = 0 they are Adam's first moments
    of_g, of_d = (
        torch.cat([moments["exp_avg"].flatten() for moments in optimiser.state.values()])
        for optimiser in (state.opt_g, state.opt_d)
    )
    return of_g, of_d


def test_minimax_log_is_nonsaturating_and_pushes_where_minimax_does_not() -> None:
    """D's gradient is the same in all three; G's in two, and nearly none in the third."""
    minimax, log, nonsaturating = (first_gradients(name) for name in LOSSES[:3])
    assert torch.equal(log[0], nonsaturating[0])
    assert torch.equal(log[1], nonsaturating[1])
    torch.testing.assert_close(minimax[1], log[1])
    assert float(log[0].norm()) > 0
    assert 0 < float(minimax[0].norm()) < 0.01 * float(log[0].norm())


class Penalties:
    """Stands in for `gradient_penalty`: what it was asked for, and what it found."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.features: list[list[Tensor]] = []
        self.found: list[Tensor] = []
        monkeypatch.setattr(step, "gradient_penalty", self)

    def __call__(self, logits: Tensor, features: list[Tensor]) -> Tensor:
        self.features.append(features)
        self.found.append(gradient_penalty(logits, features))
        return self.found[-1]


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_on_generated_pictures_cost_for_relativistic_alone(
    loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R1 on photographs for every loss, R2 beside it for relativistic, at penalty * lazy."""
    state, inputs = tiny_training(tuned(batch=8, loss=loss, r1_every=4, r1_gamma=3000.0))
    shown = step._forward(state, inputs, step._draw(state, inputs))
    asked = Penalties(monkeypatch)
    total, told = step._loss_d(state, inputs.options.adversarial, shown)
    wanted = [shown.real, shown.fake] if loss == "relativistic" else [shown.real]
    assert len(asked.features) == len(wanted)
    for features, of_kind in zip(asked.features, wanted, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(features, of_kind, strict=True))
    added = float((total - told[0]).detach())
    assert added > 0
    assert added == pytest.approx(3000.0 * 4 * float(sum(asked.found).detach()), rel=1e-3)
    on_real = state.D.logits(shown.real, shown.angles_real)
    on_fake = state.D.logits(shown.fake, shown.angles_fake)
    bare = float(loss_named(loss).of_d(on_real, on_fake).detach())
    assert float(told[0]) == pytest.approx(bare, rel=1e-2), "what is told is without the penalty"


@pytest.mark.parametrize("lazy", [1, 3])
def test_the_penalty_is_asked_for_every_so_many_steps(
    lazy: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At steps 0, lazy, 2 * lazy, ..., and its weight then makes up for the steps between."""
    state, inputs = tiny_training(tuned(batch=8, r1_every=lazy))
    asked = Penalties(monkeypatch)
    counts = []
    for _ in range(7):
        before = len(asked.found)
        one_step(state, inputs)
        counts.append(len(asked.found) - before)
    assert counts == [int(step % lazy == 0) for step in range(7)]


def test_no_penalty_where_its_weight_is_0(monkeypatch: pytest.MonkeyPatch) -> None:
    state, inputs = tiny_training(tuned(batch=8, r1_every=1, r1_gamma=0.0))
    asked = Penalties(monkeypatch)
    one_step(state, inputs)
    assert not asked.found
