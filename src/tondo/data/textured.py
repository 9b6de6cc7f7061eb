"""Triangle meshes with a picture over them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tondo.checks import check_finite, check_tensors
from tondo.data.mesh import Mesh
from tondo.data.records import summary


@dataclass(frozen=True)
class Texture:
    """Pictures over a mesh, all of one size.

    Attributes:
        color: [H, W, 3] uint8 sRGB.
        normals: [H, W, 3] uint8, tangent space, (n + 1) / 2 * 255, +Y along the picture's upward
            side (OpenGL's and glTF's convention), or None.
        occlusion: [H, W] uint8, share of the sky that is open, 255 for all of it, or None.
    """

    color: Tensor
    normals: Tensor | None = None
    occlusion: Tensor | None = None

    def __post_init__(self) -> None:
        check_tensors(self, torch.uint8, color="H W 3", normals="H W 3", occlusion="H W")

    def __repr__(self) -> str:
        height, width = self.color.shape[:2]
        extras = [name for name in ("normals", "occlusion") if getattr(self, name) is not None]
        return summary(self, f"{width}x{height}", *extras)


@dataclass(frozen=True)
class TexturedMesh:
    """A triangle mesh and a picture over it.

    Attributes:
        mesh: vertices are shared across seams.
        uvs: [F, 3, 2] float32, where in the picture the corners of each face are: (0, 0) is its
            upper left corner and (1, 1) its lower right one (glTF), so that the centre of the
            texel in row i, column j is at ((j + 0.5) / W, (i + 0.5) / H).
        texture: the picture.
    """

    mesh: Mesh
    uvs: Tensor
    texture: Texture

    def __post_init__(self) -> None:
        check_tensors(self, torch.float32, sizes={"F": len(self.mesh.faces)}, uvs="F 3 2")
        check_finite("uvs", self.uvs)

    def __repr__(self) -> str:
        return summary(self, repr(self.mesh), repr(self.texture))
