"""The generator: a latent code to splats on a deformed sphere, or to a field (`tri_planes`).

A small styled CNN works on a map of the sphere and moves, sizes and colours one splat a cell. The
cells stay neighbours of each other, so that the splats form a closed skin: no strays, and its mesh
is closed as it stands.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tondo.gan.networks.backdrop import Backdrop
from tondo.gan.networks.latent_mixture import (
    LatentMixture,
    fit_mixture,
    sample_latents,
    standard_mixture,
)
from tondo.gan.networks.layers import (
    Linear,
    Mapping,
    StyledConv,
    finer_conv,
    leaky_conv,
    normals,
)
from tondo.gan.networks.light import Matcap
from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.networks.skin import (
    Skins,
    _covering,
    _gently,
    _skins,
    cylindrical_displacement,
    mirror_symmetric,
    radial_displacement,
    sphere_map,
)
from tondo.gan.networks.tri_planes import TriPlanes
from tondo.kernels.sphere.sphere_maps import doubled

COARSE, MIDDLE, FINE = 0.5, 0.2, 0.06  # reach of the displacements, in object radii
FIRST_RADIUS = 0.7
FOURTH, FIFTH = 24, 16  # channels of the finest maps
PLACE_RATE = 5.0  # of what places have, relative to other weights' steps
FIRST_TRAIT = 0.02
TRAITED = 2  # levels of the maps that are mixed for each object, coarsest first


class Generator(nn.Module):
    """z -> w -> `Skins`, and the picture behind them where the shape asks for one."""

    template: Tensor
    w_mean: Tensor
    shares: Tensor
    centre: Tensor
    spread: Tensor
    twin: Tensor

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        self.shape = shape
        self.mapping = Mapping(shape.z, shape.w)
        self.planes = None
        if shape.representation == "field":
            self.planes = TriPlanes(shape.w, shape.rows // 2, shape.channels)
        else:
            self._add_skin(shape)
        self.behind = Backdrop(shape) if shape.background == "scene" else None
        self.light = Matcap(shape.w) if shape.light == "camera" else None
        self.register_buffer("template", sphere_map(shape.rows, shape.columns))
        self.register_buffer("w_mean", torch.zeros(shape.w))
        # Of photographs' codes (`tondo.gan.training.autoencoder`): random z are drawn as these lie
        first = standard_mixture(shape.kinds, shape.z)
        # One kind stands without that dimension: files from before there were kinds
        one = shape.kinds == 1
        self.register_buffer("shares", first.weights, persistent=not one)
        self.register_buffer("centre", first.means[0] if one else first.means)
        self.register_buffer("spread", first.roots[0] if one else first.roots)

    def _add_skin(self, shape: GeneratorShape) -> None:
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
        self.skin = StyledConv(shape.w, FIFTH, 3 + 1 + 3, 1)
        # What a place of the sphere has in all objects, learned at once and not through the CNN.
        # Where nobody knows from which side a round thing was photographed, that is by chance: then
        # all can only have in common what a latitude has, or mistaken cameras carve the same
        # creases into all of them.
        sizes = ((second, 2), (third, 4), (FOURTH, 8), (3, 16))
        self.places = nn.ParameterList(
            torch.zeros(1, channels, times * rows, 1 if shape.axial else times * columns)
            for channels, times in sizes
        )
        # What it has of its own is, beside what the CNN makes of it, a mixture of as many maps as
        # there are traits: as eigenfaces make faces (Turk and Pentland 1991), learned at once, too.
        traited = TRAITED if shape.basis_maps else 0
        # Not nothing at first: mixtures of it would have no gradient.
        self.basis_maps = nn.ParameterList(
            normals(shape.basis_maps, *place.shape[1:]).mul_(FIRST_TRAIT)
            for place in self.places[:traited]
        )
        self.basis_weights = nn.ModuleList(
            Linear(shape.w, shape.basis_maps) for _ in self.basis_maps
        )
        # Texture then comes from noise (Karras et al. 2019, section 3.2), the same for all objects
        noisy = sizes[:3] if shape.axial else ()
        self.noise_strength = nn.ParameterList(torch.zeros(1, one, 1, 1) for one, _ in noisy)
        for level, (_, times) in enumerate(noisy):
            self.register_buffer(f"noise{level}", normals(1, 1, times * rows, times * columns))
        self.axes = nn.Parameter(torch.zeros(3))
        self.register_buffer("twin", torch.tensor([-1.0, 1.0, 1.0]), persistent=False)

    def styles(self, z: Tensor, truncation: float = 1.0) -> Tensor:
        """Normally distributed z [B, Z] to w [B, W]; truncation 0..1 pulls towards the mean
        style, above 1 (to 1.5) away from it."""
        w = self.mapping(sample_latents(z, self.kinds))
        return w if truncation == 1.0 else self.w_mean.lerp(w, truncation)

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return self.w_mean.device

    @property
    def kinds(self) -> LatentMixture:
        """How codes lie, and so z are drawn."""
        many, z = len(self.shares), self.shape.z
        return LatentMixture(self.shares, self.centre.view(many, z), self.spread.view(many, z, z))

    def update_mixture(self, codes: Tensor) -> None:
        """Let random z lie as the codes [N, Z] of photographs, on any device, do."""
        found = fit_mixture(codes, LatentMixture(*(x.to(codes.device) for x in self.kinds)))
        self.shares.copy_(found.weights)
        self.centre.copy_(found.means.view_as(self.centre))
        self.spread.copy_(found.roots.view_as(self.spread))

    def forward(self, w: Tensor) -> Skins:
        """w [B, W] to the splats of B objects; those of a field cover its surface as seen from
        the outside along rays to the origin."""
        if self.planes is not None:
            return _covering(self.planes(w), self.template)
        batch = len(w)
        x = self.start + self.from_w(w).view(batch, *self.start.shape[1:])
        x = leaky_conv(self.conv1, x, w)
        x = leaky_conv(self.conv2, doubled(x), w) + self._of_place(0, w)
        offset = COARSE * _gently(self.coarse(x, w, demodulate=False))
        x = leaky_conv(self.conv3, doubled(x), w) + self._of_place(1, w)
        offset = doubled(offset) + MIDDLE * _gently(self.middle(x, w, demodulate=False))
        x = finer_conv(self.conv4, x, w) + self._of_place(2, w)
        offset = doubled(offset) + FINE * _gently(self.fine(x, w, demodulate=False))
        offset = doubled(offset)
        x = finer_conv(self.conv5, x, w)
        raw = self.skin(x, w, demodulate=False)
        raw = torch.cat([raw[:, :4], raw[:, 4:] + PLACE_RATE * self.places[3]], dim=1)
        radius = FIRST_RADIUS * torch.exp(self.axes)
        if self.shape.axial:
            if self.shape.radial:
                offset = radial_displacement(offset, self.template, radius)
            else:
                offset = cylindrical_displacement(offset, self.template)
        if self.shape.mirror:
            offset, raw = mirror_symmetric(offset, self.twin), mirror_symmetric(raw, -self.twin[:1])
        grid = self.template * radius[:, None, None] + offset
        skins = _skins(grid, raw, self.shape.has_inner_layer)
        skins = skins._replace(offset=offset, radial=self.shape.radial)
        return skins if self.light is None else skins._replace(light=self.light(w))

    def _of_place(self, level: int, w: Tensor) -> Tensor:
        """[1 or B, C, rows, columns] what is added to a level's features at each place."""
        found = PLACE_RATE * self.places[level]
        if level < len(self.basis_maps):
            mixture = self.basis_weights[level](w) * (PLACE_RATE / math.sqrt(self.shape.basis_maps))
            found = found + torch.einsum("bk,kchw->bchw", mixture, self.basis_maps[level])
        if not self.shape.axial:
            return found
        noise: Tensor = getattr(self, f"noise{level}")
        return found + self.noise_strength[level] * noise

    def backdrop(self, w: Tensor, size: int) -> Tensor:
        """[B, H, W, 3] sRGB: what stands behind the objects."""
        if self.behind is None:
            return torch.ones(len(w), size, size, 3, device=w.device)
        return self.behind(w, size)
