"""ResNet-50 (He et al. 2016, Deep Residual Learning) as extractor, from a local weight file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tondo.features.extractor import ImagenetNetwork
from tondo.features.weights import load_weights, read_weights

EXPANSION = 4  # of a bottleneck's output over its inner width; He et al. 2016


@dataclass(frozen=True)
class ResNetShape:
    """How large a bottleneck ResNet is.

    Attributes:
        width: channels of the stem; the four stages' outputs have 4, 8, 16 and 32 times as many.
        blocks: bottlenecks in each of the four stages.
    """

    width: int = 64
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)


RESNET50 = ResNetShape()


def load_resnet50(path: Path, shape: ResNetShape = RESNET50) -> ImagenetNetwork:
    """The extractor with the weights of `path`, in torchvision's naming; the classifier is unused.

    The maps are the outputs of its four stages: 256, 512, 1024, 2048 channels.

    Args:
        path: .safetensors, or .pth or .pt with a plain state dict.
        shape: another size of the same structure, as the file's.

    Raises:
        InputError: no such file, damaged, or not the weights of this network.
    """
    weights = read_weights(path)
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced
        network = ResNetStages(shape)
    load_weights(network, weights, "ResNet-50", path, unused="fc.")
    return ImagenetNetwork(network)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; torchvision's variant: stride in the 3x3."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = EXPANSION * width
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            shortcut = nn.Conv2d(channels, out, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class ResNetStages(nn.Module):
    """Stem and stages under torchvision's names; gives the four stages' outputs."""

    def __init__(self, shape: ResNetShape) -> None:
        super().__init__()
        width = shape.width
        self.conv1 = nn.Conv2d(3, width, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        stages, channels = [], width
        for index, count in enumerate(shape.blocks):
            inner = width << index
            blocks = []
            for block in range(count):
                stride = 2 if index and not block else 1
                blocks.append(Bottleneck(channels, inner, stride))
                channels = EXPANSION * inner
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        found = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            found.append(x)
        return found
