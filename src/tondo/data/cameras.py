"""Pinhole cameras."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tondo.checks import check_dtype, check_finite, check_shape
from tondo.data.records import summary


@dataclass(frozen=True)
class Camera:
    """One pinhole camera.

    Attributes:
        viewmat: [4, 4] float32, world-to-camera, OpenCV axes (x right, y down, z forward).
        K: [3, 3] float32, pixels, for an image of `width` x `height`; pixel centres at +0.5.
        width, height: image size in pixels.

    Raises:
        TypeError, ValueError: a shape, dtype or value that no pinhole camera can have.
    """

    viewmat: Tensor
    K: Tensor
    width: int
    height: int

    def __post_init__(self) -> None:
        for name, tensor, dims in (("viewmat", self.viewmat, "4 4"), ("K", self.K, "3 3")):
            check_shape(name, tensor, dims)
            check_dtype(name, tensor, torch.float32)
            check_finite(name, tensor)
        if self.width < 1 or self.height < 1:
            raise ValueError(
                f"a camera needs a size of at least 1x1, got {self.width}x{self.height}"
            )
        if not (self.K[0, 0] > 0 and self.K[1, 1] > 0):
            raise ValueError(
                f"focal lengths must be positive, got {self.K[0, 0]:g}, {self.K[1, 1]:g}"
            )
        rotation = self.viewmat[:3, :3].double()
        if not torch.allclose(rotation @ rotation.T, torch.eye(3, dtype=torch.float64), atol=1e-3):
            raise ValueError("viewmat's upper left 3x3 block must be a rotation")
        if torch.det(rotation) < 0:
            raise ValueError("viewmat mirrors (determinant -1): the axes are not right-handed")

    def __repr__(self) -> str:
        return summary(self, f"{self.width}x{self.height}", f"focal length {self.K[0, 0]:.5g}")
