"""The field that training begins with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Generator, Tensor

from tondo.data.cameras import Camera
from tondo.data.field import (
    AnyField,
    DctEncoding,
    Field,
    FrequencyField,
    FrequencyShape,
    HashEncoding,
    Heads,
    Marching,
    Space,
    head_shapes,
)
from tondo.geometry.focus import focus, object_share
from tondo.nerf.options import NerfOptions

CONE = 1 / 128  # growth of steps with distance, in contracted spaces; 1/256 in Instant NGP; chosen
FAR = 100.0  # radii: the end of rays there; chosen
MARGIN = 1.25  # of a bounded space, beyond the ball that fills the pictures; chosen


def space_of(cameras: Sequence[Camera], bounded: bool, cells: int) -> Space:
    """Bounded: a cube around the ball that fills the pictures. Otherwise the cameras' own reach
    around what they look at keeps its shape, and the world beyond is drawn in."""
    center, distance = focus(cameras)
    radius = distance
    if bounded:
        radius = MARGIN * distance * object_share(cameras, center, distance)
    x, y, z = center.tolist()
    occupied = torch.ones(cells, cells, cells, dtype=torch.uint8)
    return Space((x, y, z), radius, not bounded, occupied)


def marching_of(space: Space, config: NerfOptions) -> Marching:
    """Steps along rays."""
    if space.contracted:
        step = 2 * space.radius / config.sampling.steps_across
        return Marching(step, CONE, 4 * config.sampling.steps_across)
    return Marching(2 * math.sqrt(3.0) * space.radius / config.sampling.steps_across)


def range_of(space: Space) -> tuple[float, float]:
    """Distances between which rays are followed; a bounded space's own ends count too."""
    if space.contracted:
        return 0.02 * space.radius, FAR * space.radius
    return 1e-3 * space.radius, math.inf


def first_field(space: Space, config: NerfOptions, rng: Generator) -> AnyField:
    """An encoding of nearly nothing, layers by He et al. 2015 (equation 12)."""
    if config.encoding == "frequency":
        return _frequencies(space, config, rng)
    is_dct = config.encoding == "dct"
    encoding = _cosines(config, rng) if is_dct else _hash(config, rng)
    hidden = config.dct.hidden if is_dct else config.hash.hidden
    weights = _layers(head_shapes(encoding.width, hidden), rng)
    return Field(encoding, Heads(weights, encoding.width, hidden), space)


def _layers(shapes: Iterable[tuple[int, ...]], rng: Generator) -> Tensor:
    """Matrices [out, in], and zeros to add, one after the other."""
    parts = []
    for part in shapes:
        if len(part) == 1:
            parts.append(torch.zeros(part))
        else:
            parts.append(torch.randn(part, generator=rng) * math.sqrt(2 / part[1]))
    return torch.cat([part.flatten() for part in parts])


def _frequencies(space: Space, config: NerfOptions, rng: Generator) -> FrequencyField:
    of = config.frequency
    samples = (of.coarse_samples, of.fine_samples)
    shape = FrequencyShape(of.place_octaves, of.direction_octaves, of.width, of.depth, samples)
    coarse, fine = (_layers(shape.parts(), rng) for _ in range(2))
    return FrequencyField(coarse, fine, space, shape)


def _hash(config: NerfOptions, rng: Generator) -> HashEncoding:
    of = config.hash
    ratio = (of.finest / of.coarsest) ** (1 / max(1, of.levels - 1))
    resolutions = tuple(round(of.coarsest * ratio**k) for k in range(of.levels))
    shape = (of.levels, 1 << of.log2_entries, of.features)
    return HashEncoding(1e-4 * (2 * torch.rand(shape, generator=rng) - 1), resolutions)


def _cosines(config: NerfOptions, rng: Generator) -> DctEncoding:
    """Lines near 1, so that the planes alone speak at first."""
    K, C = config.dct.frequencies, config.dct.features
    planes = 1e-2 * torch.randn(3, K, K, C, generator=rng)
    k = torch.arange(K)
    planes = planes / (1 + (k[:, None].square() + k.square()).sqrt())[:, :, None]
    lines = torch.zeros(3, K, C)
    lines[:, 0] = 1.0
    return DctEncoding(planes, lines, config.dct.cells)
