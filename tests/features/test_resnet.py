"""ResNet-50 from a file: structure, values, and files that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tiny_weights import Weights, resnet_maps, tiny_resnet
from tondo.errors import InputError
from tondo.features.resnet import RESNET50, ResNetShape, ResNetStages, load_resnet50

BLOCKS = (2, 1, 3, 1)
SHAPE = ResNetShape(width=4, blocks=BLOCKS)


@pytest.fixture
def weights() -> Weights:
    return tiny_resnet(4, BLOCKS)


def test_the_full_size_is_that_of_torchvision() -> None:
    with torch.device("meta"):
        network = ResNetStages(RESNET50)
    # Published: 25,557,032 with the classifier's 2,049,000, in 320 entries of which it has 2.
    assert sum(p.numel() for p in network.parameters()) == 25_557_032 - 2_049_000
    assert len(network.state_dict()) == 318
    maps = network.eval()(torch.zeros(2, 3, 64, 96, device="meta"))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (256, 16, 24), (512, 8, 12), (1024, 4, 6), (2048, 2, 3)
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_values_are_those_of_the_definition(tmp_path: Path, weights: Weights, suffix: str) -> None:
    path = tmp_path / f"tiny{suffix}"
    if suffix == ".pth":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    network = load_resnet50(path, SHAPE)
    images = torch.rand(2, 3, 37, 50, generator=torch.Generator().manual_seed(1))
    expected = resnet_maps(weights, images, BLOCKS)
    for found, wanted in zip(network.features(images), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_gradients_reach_the_picture_and_nothing_else(tmp_path: Path, weights: Weights) -> None:
    save_file(weights, tmp_path / "tiny.safetensors")
    network = load_resnet50(tmp_path / "tiny.safetensors", SHAPE)
    images = torch.rand(1, 3, 32, 40).requires_grad_()
    sum(m.square().mean() for m in network.features(images)).backward()  # type: ignore[union-attr]
    assert images.grad is not None
    assert float(images.grad.abs().max()) > 0
    assert not any(p.requires_grad for p in network._network.parameters())
    assert not network._network.training


def test_files_without_counts_or_classifier_are_fine(tmp_path: Path, weights: Weights) -> None:
    kept = {k: v for k, v in weights.items() if "num_batches" not in k and not k.startswith("fc")}
    save_file(kept, tmp_path / "tiny.safetensors")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_resnet50(tmp_path / "tiny.safetensors", SHAPE)
    assert torch.equal(torch.rand(3), expected)  # loading draws no random numbers


def test_weights_that_do_not_fit_are_refused_in_one_sentence(
    tmp_path: Path, weights: Weights
) -> None:
    path = tmp_path / "wrong.safetensors"

    def refused(changed: Weights, message: str) -> None:
        save_file(changed, path)
        with pytest.raises(InputError, match=message) as caught:
            load_resnet50(path, SHAPE)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)

    without = {k: v for k, v in weights.items() if not k.startswith("layer3.2.conv1")}
    refused(without, r"it lacks layer3\.2\.conv1\.weight$")
    refused({"model." + k: v for k, v in weights.items()}, "lacks conv1.weight and .* more and has")
    refused(weights | {"layer4.1.bn1.bias": torch.zeros(3)}, r"unknown layer4\.1\.bn1\.bias$")
    wider = weights | {"bn1.bias": torch.zeros(5)}
    refused(wider, r"bn1\.bias must be \[4\], got \[5\]")
    refused(weights | {"bn1.bias": torch.full((4,), torch.nan)}, "bn1.bias holds NaN")
    refused(weights | {"bn1.bias": torch.zeros(4, dtype=torch.int32)}, "must be floating point")


def test_a_tiny_file_is_no_resnet50(tmp_path: Path, weights: Weights) -> None:
    save_file(weights, tmp_path / "tiny.safetensors")
    with pytest.raises(InputError, match="is not a ResNet-50"):
        load_resnet50(tmp_path / "tiny.safetensors")


def test_small_and_wrong_pictures_are_refused(tmp_path: Path, weights: Weights) -> None:
    save_file(weights, tmp_path / "tiny.safetensors")
    network = load_resnet50(tmp_path / "tiny.safetensors", SHAPE)
    with pytest.raises(ValueError, match="at least 32x32, got 40x31"):
        network.features(torch.zeros(1, 3, 31, 40))
