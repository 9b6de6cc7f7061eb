"""The generator: a latent code to splats on a deformed sphere, or to a field (`tondo.gan.field`).

A small styled CNN works on a map of the sphere and moves, sizes and colours one splat a cell. The
cells stay neighbours of each other, so that the splats form a closed skin: no strays, and its mesh
is closed as it stands.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tondo.gan.config import GeneratorShape
from tondo.gan.field import TriPlanes, surface
from tondo.gan.kinds import Kinds, codes_of, first_kinds, fit_kinds
from tondo.gan.layers import Linear, Mapping, StyledConv, finer_conv, leaky, leaky_conv, normals
from tondo.kernels.sphere_maps import doubled, frames
from tondo.kernels.tri_planes_torch import Planes

COARSE, MIDDLE, FINE = 0.5, 0.2, 0.06  # reach of the displacements, in object radii
FIRST_RADIUS = 0.7
FOURTH, FIFTH = 24, 16  # channels of the finest maps
# A splat's standard deviation relative to its cell, and how far its logarithm may go from there: at
# 2/3 of a cell neighbours still close the skin, below it shows the inside: as far as
# `MOST_SHRINK` they go only where a lining hides that.
SPREAD, MOST_STRETCH, MOST_SHRINK = 0.8, 0.4, 0.9
LIGHT = 8  # the lit ball's picture, pixels a side
PLACE_RATE = 5.0  # of what places have, relative to other weights' steps
FIRST_TRAIT = 0.02
TRAITED = 2  # levels of the maps that are mixed for each object, coarsest first
NEAR_AXIS = 0.1  # object radii from the axis within which cells are held back from it
TURN = 0.15  # radians round the axis by a displacement of 1 across, of a radial one: cells that are
# as far apart as the coarsest ones then keep their order, whatever G wants
OPAQUE = 3.0  # logit: 0.88 to 0.98, so that the skin is solid wherever it shows
MOST_GAIN, MOST_SHINE = 1.2, 0.8
THICKNESS = 0.3  # across the skin, relative to the smaller of the other two


class Skins(NamedTuple):
    """Splats of B objects, N = rows * columns of each, in rows from the north pole.

    Attributes:
        means: [B, N, 3], +y up, within about the unit sphere.
        quats: [B, N, 4] (w, x, y, z): along the meridian, along the parallel, outwards.
        scales: [B, N, 3]. opacities: [B, N] 0..1. colors: [B, N, 3] sRGB 0..1.
        grid: [B, 3, rows, columns] the means as a map.
        light: [B, 2, LIGHT, LIGHT] over the x and y (right and down, -1..1) of normals in camera
            space: log gain of the colours, zero on average, and what is added to them; or None.
        offset: [B, 3, rows, columns] how far `grid` is from G's first body, or None.
        lined: a second skin belongs inside these (`tondo.gan.lining`), which pictures of them and
            splats for viewers hold.
        radial: the rows are rings round the upright axis (`GeneratorShape.radial`).
    """

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor
    grid: Tensor
    light: Tensor | None = None
    offset: Tensor | None = None
    lined: bool = False
    radial: bool = False


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
        self.light = Light(shape.w) if shape.light == "camera" else None
        self.register_buffer("template", sphere_map(shape.rows, shape.columns))
        self.register_buffer("w_mean", torch.zeros(shape.w))
        # Of photographs' codes (`tondo.gan.codes`): random z are drawn as these lie
        first = first_kinds(shape.kinds, shape.z)
        # One kind stands without that dimension: files from before there were kinds
        one = shape.kinds == 1
        self.register_buffer("shares", first.shares, persistent=not one)
        self.register_buffer("centre", first.centres[0] if one else first.centres)
        self.register_buffer("spread", first.spreads[0] if one else first.spreads)

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
        traited = TRAITED if shape.traits else 0
        # Not nothing at first: mixtures of it would have no gradient.
        self.traits = nn.ParameterList(
            normals(shape.traits, *place.shape[1:]).mul_(FIRST_TRAIT)
            for place in self.places[:traited]
        )
        self.mixtures = nn.ModuleList(Linear(shape.w, shape.traits) for _ in self.traits)
        # Texture then comes from noise (Karras et al. 2019, section 3.2), the same for all objects
        noisy = sizes[:3] if shape.axial else ()
        self.loudness = nn.ParameterList(torch.zeros(1, one, 1, 1) for one, _ in noisy)
        for level, (_, times) in enumerate(noisy):
            self.register_buffer(f"noise{level}", normals(1, 1, times * rows, times * columns))
        self.axes = nn.Parameter(torch.zeros(3))
        self.register_buffer("twin", torch.tensor([-1.0, 1.0, 1.0]), persistent=False)

    def styles(self, z: Tensor, truncation: float = 1.0) -> Tensor:
        """Normally distributed z [B, Z] to w [B, W]; truncation 0..1 pulls towards the mean
        style, above 1 (to 1.5) away from it."""
        w = self.mapping(codes_of(z, self.kinds))
        return w if truncation == 1.0 else self.w_mean.lerp(w, truncation)

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return self.w_mean.device

    @property
    def kinds(self) -> Kinds:
        """How codes lie, and so z are drawn."""
        many, z = len(self.shares), self.shape.z
        return Kinds(self.shares, self.centre.view(many, z), self.spread.view(many, z, z))

    def follow(self, codes: Tensor) -> None:
        """Let random z lie as the codes [N, Z] of photographs, on any device, do."""
        found = fit_kinds(codes, Kinds(*(x.to(codes.device) for x in self.kinds)))
        self.shares.copy_(found.shares)
        self.centre.copy_(found.centres.view_as(self.centre))
        self.spread.copy_(found.spreads.view_as(self.spread))

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
                offset = once_round(offset, self.template, radius)
            else:
                offset = turned_along(offset, self.template)
        if self.shape.mirror:
            offset, raw = alike(offset, self.twin), alike(raw, -self.twin[:1])
        grid = self.template * radius[:, None, None] + offset
        skins = _skins(grid, raw, self.shape.lined)
        skins = skins._replace(offset=offset, radial=self.shape.radial)
        return skins if self.light is None else skins._replace(light=self.light(w))

    def _of_place(self, level: int, w: Tensor) -> Tensor:
        """[1 or B, C, rows, columns] what is added to a level's features at each place."""
        found = PLACE_RATE * self.places[level]
        if level < len(self.traits):
            mixture = self.mixtures[level](w) * (PLACE_RATE / math.sqrt(self.shape.traits))
            found = found + torch.einsum("bk,kchw->bchw", mixture, self.traits[level])
        if not self.shape.axial:
            return found
        noise: Tensor = getattr(self, f"noise{level}")
        return found + self.loudness[level] * noise

    def backdrop(self, w: Tensor, size: int) -> Tensor:
        """[B, H, W, 3] sRGB: what stands behind the objects."""
        if self.behind is None:
            return torch.ones(len(w), size, size, 3, device=w.device)
        return self.behind(w, size)


class Backdrop(nn.Module):
    """A picture behind the object, from w alone: small, soft, and the same for every camera."""

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        self.start = Linear(shape.w, 32 * 4 * 4)
        self.conv1 = nn.Conv2d(32, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 3, 3, padding=1)

    def forward(self, w: Tensor, size: int) -> Tensor:
        x = leaky(self.start(w)).view(len(w), 32, 4, 4)
        x = leaky(self.conv1(F.interpolate(x, scale_factor=2, mode="bilinear")))
        x = self.conv2(F.interpolate(x, scale_factor=2, mode="bilinear"))
        x = F.interpolate(x, size=(size, size), mode="bilinear")
        return torch.sigmoid(x).permute(0, 2, 3, 1)


class Light(nn.Module):
    """Light that stands still with the camera, as a picture of a lit ball (Sloan et al. 2001, The
    Lit Sphere): the shade of a splat depends on its normal in camera space alone.

    Things photographed on a turntable turn under such a light; without it their shadows would have
    to be painted on them, and turn along. The gain is as smooth as that of any light on a matt
    thing: spherical harmonics up to the second order (Ramamoorthi and Hanrahan 2001, section 3).
    Finer, it would hold spots that belong to the thing.
    """

    disc: Tensor
    basis: Tensor

    def __init__(self, w: int) -> None:
        super().__init__()
        even = (torch.arange(LIGHT, device="cpu") + 0.5) * (2 / LIGHT) - 1
        y, x = torch.meshgrid(even, even, indexing="ij")
        z = (1 - x * x - y * y).clamp_min(0).sqrt()
        harmonics = torch.stack([x, y, z, x * y, x * z, y * z, x * x - y * y, z * z])
        inside = (x * x + y * y < 1).float()
        disc = inside / inside.sum()
        basis = harmonics - (harmonics * disc).sum(dim=(1, 2), keepdim=True)
        self.register_buffer("disc", disc, persistent=False)
        self.register_buffer("basis", basis, persistent=False)
        self.from_w = Linear(w, len(harmonics) + LIGHT * LIGHT)
        with torch.no_grad():
            self.from_w.weight.mul_(0.1)

    def forward(self, w: Tensor) -> Tensor:
        raw = self.from_w(w)
        smooth, shine = raw[:, : len(self.basis)], raw[:, len(self.basis) :]
        gain = torch.einsum("bk,kij->bij", smooth, self.basis)
        gain = MOST_GAIN * torch.tanh(gain)
        gain = gain - (gain * self.disc).sum(dim=(1, 2), keepdim=True)
        shine = MOST_SHINE * torch.sigmoid(shine.view(-1, LIGHT, LIGHT) - 4.0)
        return torch.stack([gain, shine], dim=1)


def _covering(planes: Planes, template: Tensor) -> Skins:
    """Opaque splats on the surface of fields."""
    grid, colors = surface(planes, template)
    shade = torch.logit(colors.clamp(1e-3, 1 - 1e-3))
    sizes = torch.zeros_like(grid)
    return _skins(grid, torch.cat([sizes, torch.full_like(grid[:, :1], 5.0), shade], dim=1))


def sphere_map(rows: int, columns: int) -> Tensor:
    """[3, rows, columns] points of the unit sphere, +y at the north, even in latitude; on the CPU,
    also where networks are described on the meta device (`normals`)."""
    polar = (torch.arange(rows, device="cpu") + 0.5) * (math.pi / rows)
    around = (torch.arange(columns, device="cpu") + 0.5) * (2 * math.pi / columns)
    sin, cos = polar.sin()[:, None], polar.cos()[:, None].expand(rows, columns)
    return torch.stack([sin * around.sin(), cos, sin * around.cos()])


def alike(x: Tensor, signs: Tensor) -> Tensor:
    """Maps [B, C, rows, columns] made the same at x < 0 and x > 0 by their mean; `signs`
    [C] is -1 for what points along x, and so turns round in a mirror."""
    return 0.5 * (x + signs[:, None, None] * x.flip(3))


def turned_along(offset: Tensor, sphere: Tensor) -> Tensor:
    """Displacements [B, 3, rows, columns] across, up and outward, to x, y, z; those to the sides
    are none at the poles. `sphere` [3, rows, columns] is `sphere_map`."""
    x, _, z = sphere  # sine and cosine of the azimuth, times the distance from the axis
    across, up, outward = offset.unbind(1)
    return torch.stack([outward * x + across * z, up, outward * z - across * x], dim=1)


def once_round(offset: Tensor, sphere: Tensor, radius: Tensor) -> Tensor:
    """Displacements [B, 3, rows, columns] across, up and outward, to x, y, z, such that every ring
    of a body with half axes `radius` [3] goes once round the upright axis. `sphere`
    [3, rows, columns] is `sphere_map`.

    With r the smaller half axis across, q = r + outward becomes (q + sqrt(q^2 + NEAR_AXIS^2)) / 2 >
    0, so no cell crosses the axis; across turns cells round it, too little to pass each other.
    """
    across, up, outward = offset.unbind(1)
    least = torch.minimum(radius[0], radius[2])
    wanted = least + outward
    kept = 0.5 * (wanted + (wanted.square() + NEAR_AXIS**2).sqrt()) - least
    x, z = ((radius[axis] + kept) * sphere[axis] for axis in (0, 2))
    sin, cos = (TURN * across).sin(), (TURN * across).cos()
    body = radius[:, None, None] * sphere
    return torch.stack([x * cos + z * sin - body[0], up, z * cos - x * sin - body[2]], dim=1)


def _gently(x: Tensor) -> Tensor:
    """-1..1, with slope 1/8 at 0: the body changes slower than its colours, or the first, aimless
    steps of training crumple it."""
    return torch.tanh(0.125 * x)


def _bounded(x: Tensor) -> Tensor:
    """-1..1, with slope 1/2 at 0."""
    return torch.tanh(0.5 * x)


def _skins(grid: Tensor, raw: Tensor, lined: bool = False) -> Skins:
    """Splats that cover the cells of `grid`, from the maps raw [B, 7, rows, columns]."""
    batch = len(grid)
    # The cells' own directions say how the splats lie: as data, or the skin would be bent to
    # turn its splats.
    quats, reach = frames(grid, THICKNESS)
    size = _bounded(raw[:, :3])
    shrink = MOST_SHRINK if lined else MOST_STRETCH
    scales = SPREAD * reach * torch.exp(torch.where(size < 0, shrink, MOST_STRETCH) * size)
    return Skins(
        means=_rows(grid),
        quats=quats,
        scales=_rows(scales),
        opacities=torch.sigmoid(OPAQUE + _bounded(raw[:, 3])).view(batch, -1),
        colors=torch.sigmoid(_rows(raw[:, 4:7])),
        grid=grid,
        lined=lined,
    )


def _rows(maps: Tensor) -> Tensor:
    """[B, C, rows, columns] to [B, N, C]."""
    return maps.flatten(2).transpose(1, 2)
