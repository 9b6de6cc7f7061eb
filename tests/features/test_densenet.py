"""DenseNet-121 from a file: structure, values, both namings, and files that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tiny_weights import Weights, densenet_maps, tiny_densenet
from tondo.errors import InputError
from tondo.features.densenet import DENSENET121, DenseNetBlocks, DenseNetShape, load_densenet121

LAYERS = (2, 3, 1, 2)
SHAPE = DenseNetShape(width=6, growth=4, layers=LAYERS, bottleneck=2)


@pytest.fixture
def weights() -> Weights:
    return tiny_densenet(6, 4, LAYERS, 8)


def test_the_full_size_is_that_of_torchvision() -> None:
    with torch.device("meta"):
        network = DenseNetBlocks(DENSENET121)
    # Published: 7,978,856 with the classifier's 1,025,000.
    assert sum(p.numel() for p in network.parameters()) == 7_978_856 - 1_025_000
    maps = network(torch.zeros(2, 3, 64, 96, device="meta"))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (256, 16, 24), (512, 8, 12), (1024, 4, 6), (1024, 2, 3)
    ]  # fmt: skip


@pytest.mark.parametrize("old_names", [False, True])
def test_values_are_those_of_the_definition(
    tmp_path: Path, weights: Weights, old_names: bool
) -> None:
    path = tmp_path / "tiny.pth"
    saved = weights
    if old_names:
        parts = [(f"{kind}{i}.", f"{kind}.{i}.") for kind in ("norm", "conv") for i in (1, 2)]
        saved = {}
        for name, value in weights.items():
            if "denselayer" in name:
                for new, old in parts:
                    name = name.replace(new, old)
            saved[name] = value
        assert "features.denseblock2.denselayer3.norm.1.weight" in saved
    torch.save(saved, path)
    network = load_densenet121(path, SHAPE)
    images = torch.rand(2, 3, 64, 41, generator=torch.Generator().manual_seed(1))
    expected = densenet_maps(weights, images, LAYERS)
    for found, wanted in zip(network.features(images), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_gradients_reach_the_picture_and_nothing_else(tmp_path: Path, weights: Weights) -> None:
    save_file(weights, tmp_path / "tiny.safetensors")
    network = load_densenet121(tmp_path / "tiny.safetensors", SHAPE)
    images = torch.rand(1, 3, 32, 40).requires_grad_()
    network.features(images)[-1].sum().backward()
    assert images.grad is not None
    assert float(images.grad.abs().max()) > 0
    assert not any(p.requires_grad for p in network._network.parameters())


def test_weights_that_do_not_fit_are_refused_in_one_sentence(
    tmp_path: Path, weights: Weights
) -> None:
    path = tmp_path / "wrong.safetensors"
    save_file({k: v for k, v in weights.items() if "transition2" not in k}, path)
    with pytest.raises(InputError, match=r"lacks features\.transition2\.norm\.weight and 4 more$"):
        load_densenet121(path, SHAPE)
    save_file(weights, path)
    with pytest.raises(InputError, match="is not a DenseNet-121"):
        load_densenet121(path)


def test_small_pictures_are_refused(tmp_path: Path, weights: Weights) -> None:
    save_file(weights, tmp_path / "tiny.safetensors")
    network = load_densenet121(tmp_path / "tiny.safetensors", SHAPE)
    with pytest.raises(ValueError, match="at least 32x32, got 31x40"):
        network.features(torch.zeros(1, 3, 40, 31))
