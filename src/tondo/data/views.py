"""Rendered pictures of a scene."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.records import summary


@dataclass(frozen=True)
class View:
    """What one camera sees of a scene.

    Attributes, float32:
        camera: the camera, of the picture's size.
        color: [H, W, 3] sRGB 0..1, the scene's background included.
        depth: [H, W] expected distance along the camera's z axis, world units, 0 where nothing is.
        alpha: [H, W] coverage 0..1.
        normals: [H, W, 3] world space, unit length or 0, towards the camera; None if not asked for.
    """

    camera: Camera
    color: Tensor
    depth: Tensor
    alpha: Tensor
    normals: Tensor | None = None

    def __repr__(self) -> str:
        size = f"{self.camera.width}x{self.camera.height}"
        return summary(self, size, "" if self.normals is None else "normals")
