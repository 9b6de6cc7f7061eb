"""Weights of tiny networks under torchvision's names, made by a list of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = dict[str, Tensor]


def add_conv(weights: Weights, name: str, shape: tuple[int, ...], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    fan_in = shape[1] * shape[2] * shape[3]
    weights[f"{name}.weight"] = torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5


def add_norm(weights: Weights, name: str, channels: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights[f"{name}.weight"] = 0.5 + torch.rand(channels, generator=generator)
    weights[f"{name}.bias"] = 0.2 * torch.randn(channels, generator=generator)
    weights[f"{name}.running_mean"] = 0.2 * torch.randn(channels, generator=generator)
    weights[f"{name}.running_var"] = 0.5 + torch.rand(channels, generator=generator)
    weights[f"{name}.num_batches_tracked"] = torch.tensor(7)


def conv(weights: Weights, name: str, x: Tensor, stride: int = 1) -> Tensor:
    kernel = weights[f"{name}.weight"]
    return F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)


def norm(weights: Weights, name: str, x: Tensor) -> Tensor:
    mean, var, scale, shift = (
        weights[f"{name}.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (var + 1e-5).sqrt() * scale + shift


def imagenet(images: Tensor) -> Tensor:
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    return (images - mean) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def tiny_resnet(width: int, blocks: tuple[int, ...]) -> Weights:
    weights: Weights = {}
    add_conv(weights, "conv1", (width, 3, 7, 7), 1)
    add_norm(weights, "bn1", width, 2)
    channels, seed = width, 3
    for stage, count in enumerate(blocks, start=1):
        inner = width * 2 ** (stage - 1)
        for block in range(count):
            name = f"layer{stage}.{block}"
            sides = [(inner, channels, 1), (inner, inner, 3), (4 * inner, inner, 1)]
            for index, (out, into, side) in enumerate(sides, start=1):
                add_conv(weights, f"{name}.conv{index}", (out, into, side, side), seed)
                add_norm(weights, f"{name}.bn{index}", out, seed + 1)
                seed += 2
            if block == 0:
                add_conv(weights, f"{name}.downsample.0", (4 * inner, channels, 1, 1), seed)
                add_norm(weights, f"{name}.downsample.1", 4 * inner, seed + 1)
            channels = 4 * inner
    weights["fc.weight"], weights["fc.bias"] = torch.zeros(10, channels), torch.zeros(10)
    return weights


def resnet_maps(weights: Weights, images: Tensor, blocks: tuple[int, ...]) -> list[Tensor]:
    x = torch.relu(norm(weights, "bn1", conv(weights, "conv1", imagenet(images), 2)))
    x = F.max_pool2d(x, 3, 2, 1)
    found = []
    for stage, count in enumerate(blocks, start=1):
        for block in range(count):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = torch.relu(norm(weights, f"{name}.bn1", conv(weights, f"{name}.conv1", x)))
            y = torch.relu(norm(weights, f"{name}.bn2", conv(weights, f"{name}.conv2", y, stride)))
            y = norm(weights, f"{name}.bn3", conv(weights, f"{name}.conv3", y))
            if block == 0:
                shortcut = conv(weights, f"{name}.downsample.0", x, stride)
                x = norm(weights, f"{name}.downsample.1", shortcut)
            x = torch.relu(x + y)
        found.append(x)
    return found


def tiny_densenet(width: int, growth: int, layers: tuple[int, ...], inner: int) -> Weights:
    weights: Weights = {}
    add_conv(weights, "features.conv0", (width, 3, 7, 7), 1)
    add_norm(weights, "features.norm0", width, 2)
    channels, seed = width, 3
    for block, count in enumerate(layers, start=1):
        for layer in range(1, count + 1):
            name = f"features.denseblock{block}.denselayer{layer}"
            add_norm(weights, f"{name}.norm1", channels, seed)
            add_conv(weights, f"{name}.conv1", (inner, channels, 1, 1), seed + 1)
            add_norm(weights, f"{name}.norm2", inner, seed + 2)
            add_conv(weights, f"{name}.conv2", (growth, inner, 3, 3), seed + 3)
            channels, seed = channels + growth, seed + 4
        if block < len(layers):
            name = f"features.transition{block}"
            add_norm(weights, f"{name}.norm", channels, seed)
            add_conv(weights, f"{name}.conv", (channels // 2, channels, 1, 1), seed + 1)
            channels, seed = channels // 2, seed + 2
    add_norm(weights, "features.norm5", channels, seed)
    weights["classifier.weight"] = torch.zeros(10, channels)
    weights["classifier.bias"] = torch.zeros(10)
    return weights


def densenet_maps(weights: Weights, images: Tensor, layers: tuple[int, ...]) -> list[Tensor]:
    x = conv(weights, "features.conv0", imagenet(images), 2)
    x = F.max_pool2d(torch.relu(norm(weights, "features.norm0", x)), 3, 2, 1)
    found = []
    for block, count in enumerate(layers, start=1):
        for layer in range(1, count + 1):
            name = f"features.denseblock{block}.denselayer{layer}"
            y = conv(weights, f"{name}.conv1", torch.relu(norm(weights, f"{name}.norm1", x)))
            y = conv(weights, f"{name}.conv2", torch.relu(norm(weights, f"{name}.norm2", y)))
            x = torch.cat([x, y], 1)
        last = block == len(layers)
        behind = "features.norm5" if last else f"features.transition{block}.norm"
        found.append(torch.relu(norm(weights, behind, x)))
        if not last:
            x = F.avg_pool2d(conv(weights, f"features.transition{block}.conv", found[-1]), 2)
    return found
