"""Directions of w that mean something, found without labels.

Two families: closed-form factorisation of the weights that read w (Shen and Zhou 2021, SeFa,
equation 8) and principal components of w (Härkönen et al. 2020, GANSpace, section 2.1). The first
half of the closed-form ones moves the maps that are made from w most, and so the body; the others
move what modulates the layers most, and so mainly the colours. Of all weights together only colours
came.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.records import shown
from tondo.errors import InputError, OptionError
from tondo.gan.files.generator_file import check_tensors, fingerprint, read_tensors, write_tensors
from tondo.gan.networks.feature_maps import RATE
from tondo.gan.networks.generator import Generator
from tondo.gan.networks.layers import Linear, modulation

FORMAT = "tondo directions 2"
COUNT = 10  # directions; chosen, not measured
SAMPLES = 4096  # of w, whose spread is the unit of a step; chosen, not measured
MOST_STEPS = 20.0  # standard deviations along a direction; chosen, not measured
ADVICE = "make it again with `tondo directions`"
_MOVE = re.compile(r"(p?)(\d{1,3})=([+-]?\d+(?:\.\d*)?)")


@dataclass(frozen=True)
class Directions:
    """Steps in w: adding 1.0 times a row moves by one standard deviation of w along it.

    Attributes:
        closed: [N, W], the first half (rounded up) by their effect on the maps that w makes, the
            others by that on the modulation of the layers; in each the strongest first.
        principal: [M, W], largest variance of w first.
    """

    closed: Tensor
    principal: Tensor

    __repr__ = shown


@dataclass(frozen=True)
class Move:
    """So many standard deviations along one direction; `principal` says of which family."""

    index: int
    steps: float
    principal: bool = False


def find_directions(generator: Generator, count: int = COUNT) -> Directions:
    """The first `count` directions of each family; the same each time.

    Raises:
        ValueError: `count` is not within 1..W.
    """
    width = generator.shape.w
    if not 1 <= count <= width:
        raise ValueError(f"count must be within 1..{width}, got {count}")
    w = sample_w(generator, SAMPLES)
    centred = w - w.mean(dim=0)
    body = count - count // 2
    closed = torch.cat(
        [
            _strongest(into_maps(generator), body),
            _strongest(modulation(generator), count - body),
        ]
    )
    # no direction gets a longer step than the spread of w asks for, nor one that does nothing
    least = float(centred.square().mean().sqrt())
    rows = []
    for chosen, floor in ((closed, least), (_strongest(centred, count), 0.0)):
        largest = chosen.gather(1, chosen.abs().argmax(dim=1, keepdim=True))
        signed = chosen * largest.sign()
        spread = (centred @ signed.T).std(dim=0).clamp_min(floor)
        rows.append((signed * spread[:, None]).float().contiguous())
    return Directions(*rows)


def _strongest(matrix: Tensor, count: int) -> Tensor:
    """The `count` unit directions [count, W] that `matrix` [R, W] lengthens most."""
    _, vectors = torch.linalg.eigh(matrix.T @ matrix)
    return vectors.T.flip(0)[:count]


@torch.no_grad()
def sample_w(generator: Generator, count: int, seed: int = 0) -> Tensor:
    """[count, W] float64 styles of random latent codes."""
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(count, generator.shape.z, generator=rng)
    return generator.styles(z).double()


def into_maps(generator: Generator) -> Tensor:
    """[R, W] float64: the matrices that make maps of the body from w, as far as their lengths go:
    of the first map, and of the mixtures of traits that are added to later ones."""
    body = generator.skin_network or generator.planes
    assert body is not None
    found = [body.from_w.weight.detach().double()]
    if generator.skin_network is not None:
        own = generator.skin_network.maps
        for basis, weights in zip(own.basis, own.basis_weights, strict=True):
            maps = RATE / math.sqrt(len(basis)) * basis.detach().double().flatten(1)
            # (maps^T M)^T (maps^T M) = M^T (maps maps^T) M, whatever the maps' size
            values, vectors = torch.linalg.eigh(maps @ maps.T)
            root = vectors * values.clamp_min(0).sqrt()
            assert isinstance(weights, Linear)
            found.append(root.T @ weights.weight.detach().double())
    return torch.cat(found)


def moved(w: Tensor, moves: tuple[Move, ...], directions: Directions) -> Tensor:
    """Styles w [B, W] after all moves, with the length that they had before.

    Raises:
        OptionError: a direction that is not there.
    """
    after = w
    for move in moves:
        rows = directions.principal if move.principal else directions.closed
        if move.index >= len(rows):
            kind, prefix = ("principal", "p") if move.principal else ("closed-form", "")
            raise OptionError(
                f"`move={prefix}{move.index}`: there are {len(rows)} {kind} directions, "
                f"{prefix}0 to {prefix}{len(rows) - 1}"
            )
        after = after + move.steps * rows[move.index]
    length = w.norm(dim=1, keepdim=True)
    return F.normalize(after, dim=1) * length if moves else after


def parse_move(text: str) -> Move:
    """A move from "3=+2.0" (closed-form direction 3) or "p3=-1" (principal component 3).

    Raises:
        OptionError: another form, or more than 20 standard deviations.
    """
    match = _MOVE.fullmatch(text.strip())
    if match is None or abs(float(match[3])) > MOST_STEPS:
        raise OptionError(
            f"`move={text}`: expected DIRECTION=STEPS such as 3=+2.0 or p0=-1.5, with at most "
            f"{MOST_STEPS:g} steps (standard deviations)"
        )
    return Move(int(match[2]), float(match[3]), bool(match[1]))


def save_directions(path: Path, directions: Directions, generator: Generator) -> None:
    """Write both families. Raises OutputError."""
    about = {"format": FORMAT, "generator": fingerprint(generator)}
    tensors = {"closed": directions.closed, "principal": directions.principal}
    write_tensors(path, "tondo_directions", about, tensors)


def load_directions(path: Path, generator: Generator) -> Directions:
    """What `save_directions` wrote for this generator.

    Raises:
        InputError: missing, damaged, or made for another generator.
    """
    about, tensors = read_tensors(path, "tondo_directions", "a file of directions", ADVICE)
    if about.get("format") != FORMAT or about.get("generator") != fingerprint(generator):
        raise InputError(f"{path} was made for another generator or by another version: {ADVICE}")
    counts = {name: len(tensor) for name, tensor in tensors.items() if tensor.dim()}
    width = generator.shape.w
    wanted = {name: torch.empty(counts.get(name, 0), width) for name in ("closed", "principal")}
    check_tensors(path, tensors, wanted, ADVICE)
    return Directions(tensors["closed"].float(), tensors["principal"].float())
