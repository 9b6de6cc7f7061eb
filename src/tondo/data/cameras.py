"""Pinhole cameras."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tondo.checks import check_finite, check_tensors
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
        check_tensors(self, torch.float32, viewmat="4 4", K="3 3")
        if self.width < 1 or self.height < 1:
            raise ValueError(
                f"a camera needs a size of at least 1x1, got {self.width}x{self.height}"
            )
        check_pinholes(self.viewmat, self.K)

    def __repr__(self) -> str:
        return summary(self, f"{self.width}x{self.height}", f"focal length {self.K[0, 0]:.5g}")


def check_pinholes(viewmats: Tensor, Ks: Tensor) -> None:
    """Raise ValueError unless viewmats [..., 4, 4] turn and move, and Ks [..., 3, 3] have focal
    lengths."""
    check_finite("viewmat", viewmats)
    check_finite("K", Ks)
    focals = Ks[..., [0, 1], [0, 1]]
    if not bool((focals > 0).all()):
        raise ValueError(f"focal lengths must be positive, got one of {focals.min():g}")
    rotations = viewmats[..., :3, :3].double()
    if not torch.allclose(rotations @ rotations.mT, torch.eye(3, dtype=torch.float64), atol=1e-3):
        raise ValueError("the upper left 3x3 block of viewmat must be a rotation")
    if bool((torch.det(rotations) < 0).any()):
        raise ValueError("viewmat mirrors (determinant -1): the axes are not right-handed")
