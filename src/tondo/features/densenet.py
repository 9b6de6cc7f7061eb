"""DenseNet-121 (Huang et al. 2017, Densely Connected Networks) as extractor, from a local file."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tondo.features.extractor import ImagenetNetwork
from tondo.features.weights import load_weights, read_weights

# torchvision's published files are older than its names: norm.1 there is norm1 in the network.
_OLD_NAME = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


@dataclass(frozen=True)
class DenseNetShape:
    """How large a DenseNet is.

    Attributes:
        width: channels of the stem.
        growth: channels that each layer adds.
        layers: in each of the four blocks.
        bottleneck: inner width of a layer in multiples of `growth`.
    """

    width: int = 64
    growth: int = 32
    layers: tuple[int, int, int, int] = (6, 12, 24, 16)
    bottleneck: int = 4


DENSENET121 = DenseNetShape()


def load_densenet121(path: Path, shape: DenseNetShape = DENSENET121) -> ImagenetNetwork:
    """The extractor with the weights of `path`, in torchvision's naming (the published files' older
    one too); the classifier is unused.

    The maps are the outputs of its four dense blocks, each normalised and rectified by
    the layer behind it: 256, 512, 1024, 1024 channels.

    Args:
        path: .safetensors, or .pth or .pt with a plain state dict.
        shape: another size of the same structure, as the file's.

    Raises:
        InputError: no such file, damaged, or not the weights of this network.
    """
    weights = {_OLD_NAME.sub(r"\1\2", name): value for name, value in read_weights(path).items()}
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced
        network = DenseNetBlocks(shape)
    load_weights(network, weights, "DenseNet-121", path, unused="classifier.")
    return ImagenetNetwork(network)


class DenseLayer(nn.Module):
    """Adds `growth` channels made from all that came before."""

    def __init__(self, channels: int, shape: DenseNetShape) -> None:
        super().__init__()
        inner = shape.bottleneck * shape.growth
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, shape.growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(torch.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(torch.relu(self.norm2(y)))], dim=1)


class Transition(nn.Module):
    """Halves the channels and the size; its normalised, rectified input is what is tapped."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        tapped = torch.relu(self.norm(x))
        return tapped, self.pool(self.conv(tapped))


class DenseNetBlocks(nn.Module):
    """Stem and dense blocks under torchvision's names; gives four maps."""

    def __init__(self, shape: DenseNetShape) -> None:
        super().__init__()
        parts: dict[str, nn.Module] = {
            "conv0": nn.Conv2d(3, shape.width, 7, 2, padding=3, bias=False),
            "norm0": nn.BatchNorm2d(shape.width),
            "pool0": nn.MaxPool2d(3, 2, padding=1),
        }
        channels = shape.width
        for index, count in enumerate(shape.layers, start=1):
            layers: OrderedDict[str, nn.Module] = OrderedDict()
            for layer in range(1, count + 1):
                layers[f"denselayer{layer}"] = DenseLayer(channels, shape)
                channels += shape.growth
            parts[f"denseblock{index}"] = nn.Sequential(layers)
            if index < len(shape.layers):
                parts[f"transition{index}"] = Transition(channels)
                channels //= 2
        parts["norm5"] = nn.BatchNorm2d(channels)
        self.features = nn.ModuleDict(parts)

    def forward(self, x: Tensor) -> list[Tensor]:
        parts = self.features
        x = parts["pool0"](torch.relu(parts["norm0"](parts["conv0"](x))))
        found = []
        for index in (1, 2, 3):
            tapped, x = parts[f"transition{index}"](parts[f"denseblock{index}"](x))
            found.append(tapped)
        found.append(torch.relu(parts["norm5"](parts["denseblock4"](x))))
        return found
