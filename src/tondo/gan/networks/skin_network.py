"""Styles to splats on a deformed sphere: a small styled CNN on a map of the sphere.

It moves, sizes and colours one splat a cell. The cells stay neighbours of each other, so that the
splats form a closed skin: no strays, and its mesh is closed as it stands.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tondo.gan.networks.feature_maps import FeatureMaps
from tondo.gan.networks.layers import Linear, StyledConv, finer_conv, leaky_conv, normals
from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.networks.skin import (
    Skins,
    mirror_symmetric,
    radial_displacement,
    skin_of,
    slowly_bounded,
)
from tondo.kernels.sphere.sphere_maps import doubled

# Reach of the displacements of three levels, in object radii; chosen: together within the sphere
COARSE, MIDDLE, FINE = 0.5, 0.2, 0.06
FIRST_RADIUS = 0.7  # of the ball that training starts from; chosen
FOURTH, FIFTH = 24, 16  # channels of the finest maps; chosen: wider ones cost most of the time


class SkinNetwork(nn.Module):
    """w [B, W] to `Skins`; the first maps have a 16th of the grid's rows."""

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        self.shape = shape
        rows, columns = shape.rows // 16, shape.columns // 16
        first, second, third = shape.channels
        self.start = nn.Parameter(normals(1, first, rows, columns))
        self.from_w = Linear(shape.w, first * rows * columns)
        self.conv1 = StyledConv(shape.w, first, first, 3)
        self.conv2 = StyledConv(shape.w, first, second, 3)
        self.coarse = StyledConv(shape.w, second, 3, 1)
        self.conv3 = StyledConv(shape.w, second, third, 3)
        self.middle = StyledConv(shape.w, third, 3, 1)
        self.conv4 = StyledConv(shape.w, third, 4 * FOURTH, 3)
        self.fine = StyledConv(shape.w, FOURTH, 3, 1)
        self.conv5 = StyledConv(shape.w, FOURTH, 4 * FIFTH, 3)
        self.to_splats = StyledConv(shape.w, FIFTH, 3 + 1 + 3, 1)  # sizes, opacity, colour
        self.maps = FeatureMaps(shape, ((second, 2), (third, 4), (FOURTH, 8), (3, 16)))
        self.axes = nn.Parameter(torch.zeros(3))  # log half axes of the first body, relative

    def forward(self, w: Tensor, template: Tensor) -> Skins:
        """`template` [3, rows, columns] is `sphere_map`."""
        batch = len(w)
        x = self.start + self.from_w(w).view(batch, *self.start.shape[1:])
        x = leaky_conv(self.conv1, x, w)
        x = leaky_conv(self.conv2, doubled(x), w) + self.maps(0, w)
        offset = COARSE * slowly_bounded(self.coarse(x, w, demodulate=False))
        x = leaky_conv(self.conv3, doubled(x), w) + self.maps(1, w)
        offset = doubled(offset) + MIDDLE * slowly_bounded(self.middle(x, w, demodulate=False))
        x = finer_conv(self.conv4, x, w) + self.maps(2, w)
        offset = doubled(offset) + FINE * slowly_bounded(self.fine(x, w, demodulate=False))
        offset = doubled(offset)
        x = finer_conv(self.conv5, x, w)
        raw = self.to_splats(x, w, demodulate=False)
        raw = torch.cat([raw[:, :4], raw[:, 4:] + self.maps(3, w)], dim=1)
        radius = FIRST_RADIUS * torch.exp(self.axes)
        if self.shape.axial:
            offset = radial_displacement(offset, template, radius)
        if self.shape.mirror:
            flips = offset.new_tensor([-1.0, 1.0, 1.0])
            offset = mirror_symmetric(offset, flips)
            raw = mirror_symmetric(raw, offset.new_ones(1))
        grid = template * radius[:, None, None] + offset
        skins = skin_of(grid, raw, self.shape.has_inner_layer)
        return skins._replace(offset=offset, axial=self.shape.axial)
