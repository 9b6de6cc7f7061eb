"""What a pretrained network must offer to be compared with or measured by."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from tondo.checks import check_shape

Prepared = TypeVar("Prepared")
SMALLEST_SIDE = 32  # of a picture, pixels: the coarsest map has a 32nd of its side
# What torchvision's weights were trained with: mean and spread of ImageNet's sRGB values.
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


class Extractor(Protocol):
    """Turns pictures into feature maps, from fine to coarse, where the pictures lie."""

    def features(self, images: Tensor) -> list[Tensor]:
        """Feature maps of [B, 3, H, W] float sRGB 0..1 pictures: a list of [B, C_i, H_i, W_i]."""
        ...


class DeviceCopies(Generic[Prepared]):
    """A frozen network on every device from which pictures came; `prepared` makes of it, once for
    each device, what is applied to them."""

    def __init__(self, network: nn.Module, prepared: Callable[[nn.Module], Prepared]) -> None:
        self._network = network
        self._prepared = prepared
        self._made: dict[torch.device, Prepared] = {}

    def on(self, device: torch.device) -> Prepared:
        """What `prepared` made of the network on `device`."""
        if device not in self._made:
            here = next(self._network.parameters()).device == device
            network = self._network if here else copy.deepcopy(self._network).to(device)
            self._made[device] = self._prepared(network)
        return self._made[device]


class ImagenetNetwork:
    """A network under torchvision's weights, frozen, in channels_last layout.

    Args:
        network: gives a list of four maps for pictures normalised as ImageNet's were.
    """

    def __init__(self, network: nn.Module) -> None:
        network.eval().requires_grad_(False)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network = network
        self._copies = DeviceCopies(network, lambda network: network)
        self._mean = torch.tensor(_IMAGENET_MEAN)[:, None, None]
        self._std = torch.tensor(_IMAGENET_STD)[:, None, None]

    def features(self, images: Tensor) -> list[Tensor]:
        """The network's four maps, at strides 4, 8, 16, 32.

        Args:
            images: [B, 3, H, W] float32 sRGB 0..1, H and W at least 32. Gradients reach it.

        Raises:
            ValueError: another shape, or smaller than 32x32.
        """
        check_pictures(images)
        x = (images - self._mean.to(images)) / self._std.to(images)
        network = self._copies.on(x.device)
        found: list[Tensor] = network(x.contiguous(memory_format=torch.channels_last))
        return found


def check_pictures(images: Tensor) -> None:
    """Raise ValueError unless `images` is [B, 3, H, W] and no side is below `SMALLEST_SIDE`."""
    sizes = check_shape("images", images, "B 3 H W")
    if min(sizes["H"], sizes["W"]) < SMALLEST_SIDE:
        raise ValueError(f"images must be at least 32x32, got {sizes['W']}x{sizes['H']}")
