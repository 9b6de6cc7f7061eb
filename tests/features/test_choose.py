"""Extractors by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tiny_weights import tiny_densenet, tiny_resnet
from tondo.errors import InputError, OptionError
from tondo.features import choose
from tondo.features.choose import load_extractor
from tondo.features.densenet import DenseNetShape, load_densenet121
from tondo.features.efficientnet_lite import EfficientNetLite0
from tondo.features.resnet import ResNetShape, load_resnet50


def test_the_default_is_the_network_in_the_package() -> None:
    assert isinstance(load_extractor(), EfficientNetLite0)
    assert load_extractor("efficientnet-lite0") is load_extractor()


def test_names_with_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "with:colon.safetensors"
    small = ResNetShape(width=2, blocks=(1, 1, 1, 1))
    monkeypatch.setattr(choose, "load_resnet50", lambda p: load_resnet50(p, small))
    save_file(tiny_resnet(2, (1, 1, 1, 1)), path)
    maps = load_extractor(f"resnet50:{path}").features(torch.rand(1, 3, 32, 64))
    assert [m.shape[1] for m in maps] == [8, 16, 32, 64]
    thin = DenseNetShape(width=4, growth=2, layers=(1, 1, 1, 1), bottleneck=2)
    monkeypatch.setattr(choose, "load_densenet121", lambda p: load_densenet121(p, thin))
    save_file(tiny_densenet(4, 2, (1, 1, 1, 1), 4), path)
    maps = load_extractor(f"densenet121:{path}").features(torch.rand(1, 3, 32, 64))
    assert [m.shape[1] for m in maps] == [6, 5, 4, 4]


@pytest.mark.parametrize("name", ["", "vgg16", "ResNet50:x.pth", "efficientnet-lite0:x.pth"])
def test_unknown_names_say_which_there_are(name: str) -> None:
    with pytest.raises(OptionError, match=r"expected efficientnet-lite0, resnet50, densenet121"):
        load_extractor(name)


@pytest.mark.parametrize("name", ["resnet50:", "densenet121:"])
def test_names_that_need_a_file(name: str) -> None:
    with pytest.raises(OptionError, match="needs a file of weights"):
        load_extractor(name)


def test_a_missing_file() -> None:
    with pytest.raises(InputError, match=r"there is no weight file nowhere\.pth"):
        load_extractor("resnet50:nowhere.pth")
