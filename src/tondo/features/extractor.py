"""What a pretrained network must offer to be compared with or measured by."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Extractor(Protocol):
    """Turns pictures into feature maps, from fine to coarse."""

    def features(self, images: Tensor) -> list[Tensor]:
        """Feature maps of [B, 3, H, W] float sRGB 0..1 pictures: a list of [B, C_i, H_i, W_i]."""
        ...
