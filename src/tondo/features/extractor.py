"""What a pretrained network must offer to be compared with or measured by."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

Prepared = TypeVar("Prepared")


class Extractor(Protocol):
    """Turns pictures into feature maps, from fine to coarse, where the pictures lie."""

    def features(self, images: Tensor) -> list[Tensor]:
        """Feature maps of [B, 3, H, W] float sRGB 0..1 pictures: a list of [B, C_i, H_i, W_i]."""
        ...


class Copies(Generic[Prepared]):
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
