"""Triangle meshes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tondo.checks import check_tensors
from tondo.data.records import summary
from tondo.data.similarity import IDENTITY, Similarity


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh, counter-clockwise faces seen from outside.

    Attributes:
        vertices: [V, 3] float32.
        faces: [F, 3] int64, indices into vertices.
        colors: [V, 3] uint8 sRGB, or None.
        normals: [V, 3] float32 unit vectors, or None.
        world_from_scene: brings the vertices into the world, where 32-bit numbers are too coarse.
    """

    vertices: Tensor
    faces: Tensor
    colors: Tensor | None = None
    normals: Tensor | None = None
    world_from_scene: Similarity = IDENTITY

    def __post_init__(self) -> None:
        sizes = check_tensors(self, torch.float32, vertices="V 3", normals="V 3")
        check_tensors(self, torch.int64, faces="F 3")
        check_tensors(self, torch.uint8, sizes=sizes, colors="V 3")
        if self.faces.numel() and not (
            int(self.faces.min()) >= 0 and int(self.faces.max()) < sizes["V"]
        ):
            raise ValueError(f"faces point outside the {sizes['V']} vertices")

    def __repr__(self) -> str:
        counts = f"{len(self.vertices):,} vertices", f"{len(self.faces):,} faces"
        extras = [name for name in ("colors", "normals") if getattr(self, name) is not None]
        return summary(self, *counts, *extras)
