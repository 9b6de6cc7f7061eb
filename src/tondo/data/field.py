"""Radiance fields: light and density everywhere in a space, kept by features and two networks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tondo.checks import check_shape, check_tensors
from tondo.data.records import shown, summary
from tondo.data.similarity import IDENTITY, Similarity
from tondo.data.splats import Exposures

GEOMETRY = 16  # numbers of the density network, the first the log density; Instant NGP, section 5.4
HARMONICS = 16  # of the direction, to degree 3; Instant NGP, section 5.4


@dataclass(frozen=True)
class HashEncoding:
    """Multi-resolution hash grid (Müller et al. 2022, Instant Neural Graphics Primitives, 3).

    Attributes:
        tables: [L, T, F] float32, T entries of F (2 or 4) numbers for each of L levels; T a power
            of two.
        resolutions: cells along a side of the unit cube, a level each.
    """

    tables: Tensor
    resolutions: tuple[int, ...]

    def __post_init__(self) -> None:
        sizes = check_tensors(self, torch.float32, torch.float64, tables="L T F")
        if len(self.resolutions) != sizes["L"] or min(self.resolutions) < 1:
            raise ValueError(
                f"resolutions must be {sizes['L']} positive numbers, got {self.resolutions}"
            )
        if sizes["T"] & (sizes["T"] - 1) or sizes["F"] not in (2, 4):
            raise ValueError(
                "tables must have a power of two of entries with 2 or 4 features, got "
                f"{sizes['T']} with {sizes['F']}"
            )

    __repr__ = shown

    @property
    def width(self) -> int:
        """Features of a point."""
        return self.tables.shape[0] * self.tables.shape[2]


@dataclass(frozen=True)
class DctEncoding:
    """Planes and lines given by cosines: compact, and of limited bandwidth.

    Of each axis, the plane over the two others times the line along it (Chen et al. 2022, TensoRF,
    equation 8); both are sums of cosines (Ahmed et al. 1974, Discrete Cosine Transform),
    f(u) = sum_k a_k n_k cos(pi k u), n_0 = 1, else sqrt(2), evaluated at `cells` nodes and
    interpolated linearly.

    Attributes:
        planes: [3, K, K, C] float32 coefficients: of axis x over (z, y), of y over (z, x), of z
            over (y, x).
        lines: [3, K, C] coefficients along x, y, z. C a multiple of 8.
        cells: nodes along a side of the unit cube.
        band: frequencies above it, sqrt(k^2 + l^2) on planes, count as zero: coarse to fine.
    """

    planes: Tensor
    lines: Tensor
    cells: int
    band: float = math.inf

    def __post_init__(self) -> None:
        floats = (torch.float32, torch.float64)
        sizes = check_tensors(self, *floats, planes="3 K K C", lines="3 K C")
        if sizes["C"] % 8 or not 8 <= sizes["C"] <= 256:
            raise ValueError(f"features must be a multiple of 8 up to 256, got {sizes['C']}")
        if not sizes["K"] <= self.cells <= 2**14 or not self.band > 0:
            raise ValueError(
                f"cells must be from the {sizes['K']} frequencies to 16384 and band above 0, got "
                f"{self.cells} and {self.band}"
            )

    __repr__ = shown

    @property
    def width(self) -> int:
        """Features of a point."""
        return 3 * self.planes.shape[3]


@dataclass(frozen=True)
class Space:
    """Where in the world a field is.

    Attributes:
        center: world units. radius: world units, > 0.
        contracted: False: the field fills the cube of half a side `radius` around `center`, and
            nothing is outside. True: what lies within `radius` keeps its shape, and all else is
            drawn into a shell around it, x -> (2 - 1 / |x|) x / |x| (Barron et al. 2022, Mip-NeRF
            360, equation 10).
        occupied: [C, C, C] bool or uint8, indexed [z, y, x], of the cells of the unit cube: whether
            they may hold something; or how many steps of a ray a sample there stands for, because
            more would find hardly anything, and 0 where nothing is. Training changes it in place.
    """

    center: tuple[float, float, float]
    radius: float
    contracted: bool
    occupied: Tensor

    def __post_init__(self) -> None:
        check_tensors(self, torch.bool, torch.uint8, occupied="C C C")
        if not 0 < self.radius < math.inf:
            raise ValueError(f"radius must be above 0, got {self.radius}")

    __repr__ = shown

    def steps(self) -> Tensor:
        """[C, C, C] uint8: `occupied` as numbers of steps, on the same memory."""
        return self.occupied.view(torch.uint8)


@dataclass(frozen=True)
class Heads:
    """The two networks: features -> H -> (log density, 15 more); these 16 and the harmonics of the
    direction -> H -> colour.

    Attributes:
        weights: one float32 array: w1 [H, E], b1 [H], w2 [16, H], b2 [16], w3 [H, 16 + 16], b3 [H],
            w4 [3, H], b4 [3]. After layers 1 and 3 comes max(0, x); density = exp(min(x, 11)) per
            world unit, colours by the logistic function.
        inputs, hidden: E and H, multiples of 8, H up to 256.
    """

    weights: Tensor
    inputs: int
    hidden: int

    def __post_init__(self) -> None:
        if self.inputs % 8 or self.hidden % 8 or not 8 <= self.hidden <= 256:
            raise ValueError(
                "inputs and hidden must be multiples of 8, hidden from 8 to 256, got "
                f"{self.inputs} and {self.hidden}"
            )
        check_shape(
            "weights", self.weights, str(sum(map(math.prod, head_shapes(self.inputs, self.hidden))))
        )

    __repr__ = shown

    def parts(self) -> tuple[Tensor, ...]:
        """Views of `weights`: w1, b1, w2, b2, w3, b3, w4, b4."""
        shapes = head_shapes(self.inputs, self.hidden)
        split = self.weights.split([math.prod(shape) for shape in shapes])
        return tuple(part.view(shape) for part, shape in zip(split, shapes, strict=True))


def head_shapes(inputs: int, hidden: int) -> tuple[tuple[int, ...], ...]:
    """Of the parts of `Heads.weights`, in their order."""
    both = GEOMETRY + HARMONICS
    return (
        (hidden, inputs),
        (hidden,),
        (GEOMETRY, hidden),
        (GEOMETRY,),
        (hidden, both),
        (hidden,),
        (3, hidden),
        (3,),
    )


@dataclass(frozen=True)
class Field:
    """A radiance field (Mildenhall et al. 2020, NeRF).

    Attributes:
        encoding: of places, to features.
        heads: of features and directions, to density and colour.
        space: where it is.
    """

    encoding: HashEncoding | DctEncoding
    heads: Heads
    space: Space

    def __post_init__(self) -> None:
        if self.encoding.width != self.heads.inputs:
            raise ValueError(
                f"heads take {self.heads.inputs} features, the encoding gives {self.encoding.width}"
            )

    def __repr__(self) -> str:
        return _field_summary(self)


@dataclass(frozen=True)
class FrequencyShape:
    """Of the networks of a `FrequencyField`.

    Attributes:
        places, directions: L of gamma for each (equation 4), octaves of sines and cosines.
        width, depth: of the layers; the one that is told the direction has half the width.
        samples: of a ray, by the coarse network alone, and more by the fine one.
    """

    places: int = 10
    directions: int = 4
    width: int = 256
    depth: int = 8
    samples: tuple[int, int] = (64, 128)

    @property
    def again(self) -> int:
        """The layer that reads the place once more."""
        return self.depth // 2 + 1

    def parts(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of a network's weights, in their order: `depth` layers; density; a layer without
        activation; the one that is told the direction; colour. Each is a matrix [out, in] and what
        is added [out]."""
        width, place = self.width, 6 * self.places
        layers = [(width, place)]
        layers += [(width, width + place * (k == self.again)) for k in range(1, self.depth)]
        layers += [(1, width), (width, width), (width // 2, width + 6 * self.directions)]
        layers += [(3, width // 2)]
        return tuple(shape for layer in layers for shape in (layer, layer[:1]))


@dataclass(frozen=True)
class FrequencyField:
    """The field of the first NeRF (Mildenhall et al. 2020, sections 4 and 5, figure 7): two
    networks of one shape; what the coarse one says of a ray tells where the fine one looks.

    Attributes:
        coarse, fine: [W] float32, the weights of each, in the order of `FrequencyShape.parts`.
        space: where it is. Its occupancy is not used.
        shape: of both networks.
    """

    coarse: Tensor
    fine: Tensor
    space: Space
    shape: FrequencyShape = FrequencyShape()

    def __post_init__(self) -> None:
        count = str(sum(map(math.prod, self.shape.parts())))
        check_tensors(self, torch.float32, torch.float64, coarse=count, fine=count)

    def __repr__(self) -> str:
        return _field_summary(self)


AnyField = Field | FrequencyField


def in_band(encoding: DctEncoding) -> tuple[Tensor, Tensor]:
    """`planes` and `lines` with the frequencies above the band set to zero; differentiable."""
    k = torch.arange(encoding.lines.shape[1], device=encoding.lines.device)
    on_planes = (k[:, None].square() + k.square()).sqrt() <= encoding.band
    return encoding.planes * on_planes[:, :, None], encoding.lines * (k <= encoding.band)[:, None]


def arrays_of(field: AnyField) -> dict[str, Tensor]:
    """All that is learned, by name: of the encoding, then the networks' weights."""
    if isinstance(field, FrequencyField):
        return {"coarse": field.coarse, "fine": field.fine}
    encoding, weights = field.encoding, {"weights": field.heads.weights}
    if isinstance(encoding, HashEncoding):
        return {"tables": encoding.tables, **weights}
    return {"planes": encoding.planes, "lines": encoding.lines, **weights}


def _field_summary(field: AnyField) -> str:
    encoding = "" if isinstance(field, FrequencyField) else type(field.encoding).__name__
    count = sum(array.numel() for array in arrays_of(field).values())
    return summary(field, encoding, f"{count:,} parameters")


def with_arrays(field: AnyField, arrays: Mapping[str, Tensor]) -> AnyField:
    """The field with other values of `arrays_of`; KeyError names what lacks."""
    if isinstance(field, FrequencyField):
        return replace(field, coarse=arrays["coarse"], fine=arrays["fine"])
    encoding = field.encoding
    heads = replace(field.heads, weights=arrays["weights"])
    if isinstance(encoding, HashEncoding):
        return replace(field, encoding=replace(encoding, tables=arrays["tables"]), heads=heads)
    changed = replace(encoding, planes=arrays["planes"], lines=arrays["lines"])
    return replace(field, encoding=changed, heads=heads)


@dataclass(frozen=True)
class Marching:
    """How rays are sampled.

    Attributes:
        step: length of a step, world units.
        cone: a step is at least this share of the distance: 0 for bounded scenes.
        max_steps: of one ray, empty ones included.
        stop: a ray ends when less light than this is left.
    """

    step: float
    cone: float = 0.0
    max_steps: int = 1024
    stop: float = 1e-3


@dataclass(frozen=True)
class FieldScene:
    """A field with what is needed to show it.

    Attributes:
        field: the field.
        marching: how its rays are sampled.
        background: [3] float32 sRGB 0..1, shown where nothing is.
        up: [3] float32 unit vector, the world's up direction.
        radius: the reach of the part that the cameras look at (> 0).
        center: [3] float32, the middle of that part.
        exposures: of the photos that it was made from, or None where none were fitted.
        world_from_scene: all of the above is in the scene; this brings it into the world.
    """

    field: AnyField
    marching: Marching
    background: Tensor
    up: Tensor
    radius: float
    center: Tensor
    exposures: Exposures | None = None
    world_from_scene: Similarity = IDENTITY

    def __post_init__(self) -> None:
        check_tensors(self, torch.float32, background="3", up="3", center="3")
        if not 0 < self.radius < math.inf:
            raise ValueError(f"radius must be above 0, got {self.radius}")

    def __repr__(self) -> str:
        return summary(self, repr(self.field), f"radius {self.radius:.3g}")
