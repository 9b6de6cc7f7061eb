"""What a place of the sphere has beside what the CNN makes of it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tondo.gan.networks.layers import Linear, normals
from tondo.gan.networks.shape import GeneratorShape

RATE = 5.0  # of these maps' steps, relative to other weights' (docs/notes/gan.md: portraits)
FIRST_BASIS = 0.02  # standard deviation at first; with none, the weights had no gradient; chosen
BASIS_LEVELS = 2  # coarsest maps, which have basis maps; finer ones: untried (docs/notes/gan.md)


class FeatureMaps(nn.Module):
    """Maps that are added to a CNN's features, learned directly and not through the CNN.

    Each level has one constant map. Where nobody knows from which side a round thing was
    photographed, that is random: then (`axial`) it has one value for each latitude, or mistaken
    cameras carve the same creases into all objects, and texture comes from noise (Karras et al.
    2019, section 3.2), the same for all objects. The coarsest levels also have basis maps, of which
    each object has its own weighted sum, as of eigenfaces (Turk and Pentland 1991).

    Args:
        sizes: (channels, rows per row of the first map) of each level; the last has neither noise
            nor basis maps.
    """

    def __init__(self, shape: GeneratorShape, sizes: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        rows, columns = shape.rows // 16, shape.columns // 16
        self.constant = nn.ParameterList(
            torch.zeros(1, channels, times * rows, 1 if shape.axial else times * columns)
            for channels, times in sizes
        )
        self.basis = nn.ParameterList(
            normals(shape.basis_maps, *constant.shape[1:]).mul_(FIRST_BASIS)
            for constant in self.constant[: BASIS_LEVELS if shape.basis_maps else 0]
        )
        self.basis_weights = nn.ModuleList(Linear(shape.w, shape.basis_maps) for _ in self.basis)
        noisy = sizes[:-1] if shape.axial else ()
        self.noise_strength = nn.ParameterList(torch.zeros(1, each, 1, 1) for each, _ in noisy)
        for level, (_, times) in enumerate(noisy):
            self.register_buffer(f"noise{level}", normals(1, 1, times * rows, times * columns))

    def forward(self, level: int, w: Tensor) -> Tensor:
        """[1 or B, C, rows, columns] what is added to a level's features for styles w [B, W]."""
        found = RATE * self.constant[level]
        if level < len(self.basis):
            basis = self.basis[level]
            weights = self.basis_weights[level](w) * (RATE / math.sqrt(len(basis)))
            found = found + torch.einsum("bk,kchw->bchw", weights, basis)
        if level < len(self.noise_strength):
            noise: Tensor = getattr(self, f"noise{level}")
            found = found + self.noise_strength[level] * noise
        return found
