"""Discriminators: frozen features, trained heads, spread within a group, cameras."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tiny_generators import SHAPE
from tiny_trainings import Watched, squares, train_inputs
from tiny_weights import tiny_densenet, tiny_resnet
from tondo.features.densenet import DenseNetShape, load_densenet121
from tondo.features.resnet import ResNetShape, load_resnet50
from tondo.gan.networks.discriminator import (
    MIXED,
    PlainDiscriminator,
    ProjectedDiscriminator,
    logits_of_both,
    with_spread,
)
from tondo.gan.training.step import begin, one_step


class TinyExtractor:
    """Two scales of fixed random features."""

    def __init__(self) -> None:
        torch.manual_seed(5)
        self.first = nn.Conv2d(3, 6, 4, 4).requires_grad_(False)
        self.second = nn.Conv2d(6, 10, 2, 2).requires_grad_(False)

    def features(self, images: Tensor) -> list[Tensor]:
        fine = self.first(images)
        return [fine, self.second(fine)]


def new(kind: str, *, with_cameras: bool = False) -> ProjectedDiscriminator | PlainDiscriminator:
    torch.manual_seed(0)
    if kind == "plain":
        return PlainDiscriminator(32, with_cameras=with_cameras, width=4)
    return ProjectedDiscriminator(TinyExtractor(), 32, with_cameras=with_cameras)


@pytest.mark.parametrize("kind", ["projected", "plain"])
def test_a_look_and_a_judgement(kind: str) -> None:
    D = new(kind)
    images = torch.rand(8, 3, 32, 32, requires_grad=True)
    logits = D.logits(D.features(images), None)
    assert logits.dim() == 2
    assert len(logits) == 8
    logits.sum().backward()
    assert images.grad is not None
    assert bool((images.grad.abs().amax(dim=(1, 2, 3)) > 0).all())
    for name, parameter in D.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


def test_mixing_is_fixed_and_heads_are_trained() -> None:
    D = new("projected")
    still = {n.split(".")[0] for n, p in D.named_parameters() if not p.requires_grad}
    moving = {n.split(".")[0] for n, p in D.named_parameters() if p.requires_grad}
    assert still == {"mix", "smooth"}
    assert moving == {"heads"}


def test_calibration_gives_each_scale_the_same_say() -> None:
    D = new("projected")
    assert isinstance(D, ProjectedDiscriminator)
    images = torch.rand(16, 3, 32, 32)
    D.calibrate(images)
    for index, found in enumerate(TinyExtractor().features(images)):
        mixed = D.mix[index](found) * D.scale[index]
        assert mixed.shape[1] == MIXED
        assert float(mixed.std()) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("kind", ["projected", "plain"])
def test_cameras_count_and_must_be_there(kind: str) -> None:
    D = new(kind, with_cameras=True)
    features = D.features(torch.rand(4, 3, 32, 32))
    with pytest.raises(ValueError, match="known cameras"):
        D.logits(features, None)
    front, side = D.logits(features, torch.zeros(4, 3)), D.logits(features, torch.ones(4, 3))
    assert not torch.allclose(front, side)


@pytest.mark.parametrize("batch", [8, 6])
@pytest.mark.parametrize("with_cameras", [True, False])
@pytest.mark.parametrize("kind", ["projected", "plain"])
def test_both_kinds_of_pictures_are_judged_as_each_by_itself(
    kind: str, with_cameras: bool, batch: int
) -> None:
    D = new(kind, with_cameras=with_cameras).eval()  # spectral norms stand still
    rng = torch.Generator().manual_seed(0)
    real, fake = (D.features(torch.rand(batch, 3, 32, 32, generator=rng)) for _ in range(2))
    angles = [torch.randn(batch, 3, generator=rng) if with_cameras else None for _ in range(2)]
    found = logits_of_both(D, real, fake, (angles[0], angles[1]))
    wanted = D.logits(real, angles[0]), D.logits(fake, angles[1])
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_spread_is_none_for_a_generator_that_repeats_itself() -> None:
    one = torch.randn(1, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    repeats = with_spread(one.expand(8, 5, 6, 7))
    assert repeats.shape == (8, 6, 6, 7)
    assert float(repeats[:, 5].max()) < 1e-3
    varied = with_spread(torch.randn(8, 5, 6, 7, generator=torch.Generator().manual_seed(1)))
    assert float(varied[:, 5].min()) > 0.5
    # groups are of pictures 0 2 4 6 and 1 3 5 7
    torch.testing.assert_close(varied[0, 5], varied[2, 5])
    assert not torch.allclose(varied[0, 5], varied[1, 5])


def test_heads_keep_lengths_by_their_spectral_norms() -> None:
    D = new("projected")
    convs = [x for head in D.heads for x in head.children() if isinstance(x, nn.Conv2d)]
    assert len(convs) == 7  # the scale of 4 x 4 places is not halved
    with torch.no_grad():
        for conv in convs:
            conv.parametrizations.weight.original.mul_(30.0)
        for _ in range(30):
            D.logits(D.features(torch.rand(8, 3, 32, 32)), None)
    for conv in convs:
        longest = torch.linalg.matrix_norm(conv.weight.detach().flatten(1), 2)
        assert float(longest) == pytest.approx(1.0, abs=0.1)


def test_coarse_features_are_mixed_into_finer_ones() -> None:
    D = new("projected")
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    before = D.features(images)
    with torch.no_grad():
        D._extractor.second.weight.mul_(2.0)
    after = D.features(images)
    assert [x.shape for x in after] == [x.shape for x in before]
    for fresh, old in zip(after, before, strict=True):
        assert float((fresh - old).abs().mean()) > 0.05 * float(old.std())


@pytest.mark.parametrize("name", ["resnet50", "densenet121"])
def test_other_networks_carry_a_training(name: str, tmp_path: Path) -> None:
    """By local weight files, tiny ones: D looks through them, G learns from what they see."""
    path = tmp_path / "weights.safetensors"
    if name == "resnet50":
        save_file(tiny_resnet(2, (1, 1, 1, 1)), path)
        extractor = load_resnet50(path, ResNetShape(width=2, blocks=(1, 1, 1, 1)))
    else:
        save_file(tiny_densenet(4, 2, (1, 1, 1, 1), 4), path)
        thin = DenseNetShape(width=4, growth=2, layers=(1, 1, 1, 1), bottleneck=2)
        extractor = load_densenet121(path, thin)
    inputs = replace(train_inputs(squares(), Watched()), extractor=extractor)
    state = begin(inputs, SHAPE, seed=0)
    before = state.G.skin_network.start.detach().clone()
    report = one_step(state, inputs)
    assert math.isfinite(report.loss_d + report.loss_g)
    assert report.grad_d > 0
    assert not torch.equal(state.G.skin_network.start, before)
