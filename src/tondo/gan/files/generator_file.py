"""Trained generators as files: safetensors with JSON metadata, checked before use.

A file from outside decides nothing before it is checked: its size and header first, then the
description, then every tensor's shape against a network of that description that holds no memory
but its sphere's places, and only then the values.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from tondo.data.records import summary
from tondo.errors import InputError, OptionError
from tondo.gan.networks.generator import Generator
from tondo.gan.networks.layers import modulation
from tondo.gan.networks.shape import GeneratorShape
from tondo.geometry.pose_prior import NAMED, PosePrior
from tondo.io.atomic import write_bytes
from tondo.runs.migration import migrated

FORMAT = "tondo generator 1"
MOST_BYTES = 512 * 2**20  # of a file: bounds memory
MOST_PRIORS = 64  # of a file: bounds memory
LARGEST_NUMBER = 4096  # of any count in a generator's shape; bounds memory; chosen
MOST_CELLS = 2**21  # of its grid, whose places are computed first; bounds memory; chosen
COMPUTED = ("template",)  # buffers that follow from the shape
KNOWN_WORDS = {
    "background": ("white", "scene"),
    "light": ("none", "camera"),
    "representation": ("splats", "field"),
}
HALF_LIMIT = 6e4  # float16 ends at 65504
AGAIN = "copy it again, train again or give another file"


@dataclass(frozen=True)
class Card:
    """What a generator was made from and how good it is.

    Attributes:
        name: what it makes.
        pictures: how many different ones it was trained on. kimg: thousands shown to D.
        hours: of training.
        source, licence: of the training pictures. limits: what it cannot do, in words.
        poses: where the cameras came from: what --poses was, or "known".
        metrics: measurements by name, such as {"frechet": 21.3}.
    """

    name: str = ""
    pictures: int = 0
    kimg: float = 0.0
    hours: float = 0.0
    source: str = ""
    licence: str = ""
    limits: str = ""
    poses: str = ""
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """A generator and what one must know to use it.

    Attributes:
        generator: the averaged one, G_ema.
        priors: where the cameras of its training stood, at least one.
    """

    generator: Generator
    priors: tuple[PosePrior, ...] = NAMED["sphere"]
    card: Card = field(default_factory=Card)

    def __repr__(self) -> str:
        size = self.generator.shape.size
        told = f"{self.card.pictures:,} pictures", f"{self.card.kimg:.1f} thousand shown"
        return summary(self, repr(self.card.name), f"{size}x{size}", *told)


def save_generator(path: Path, trained: Trained) -> None:
    """Write weights, shape, poses and card; the same generator gives the same bytes.

    Matrices and kernels are stored as float16, which halves the file and moves no pixel by more
    than about 1/255; biases and averages stay float32.

    Raises:
        ValueError: weights that are not finite, or no priors.
        OutputError: the file cannot be written.
    """
    if not trained.priors:
        raise ValueError("a generator needs at least one pose prior")
    tensors = {}
    for name, tensor in trained.generator.state_dict().items():
        if name in COMPUTED:
            continue
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name} holds values that are not finite: not saved")
        small = tensor.dim() > 1 and float(tensor.abs().max()) < HALF_LIMIT
        kept = tensor.half() if small else tensor.float()
        tensors[name] = kept.detach().cpu().contiguous()
    about = {
        "format": FORMAT,
        "shape": dataclasses.asdict(trained.generator.shape),
        "priors": [dataclasses.asdict(prior) for prior in trained.priors],
        "card": dataclasses.asdict(trained.card),
    }
    write_tensors(path, "tondo_generator", about, tensors)


def load_generator(path: Path) -> Trained:
    """Read a generator that `save_generator` wrote, in evaluation mode and frozen, float32.

    Raises:
        InputError: missing, cut off, damaged, another kind of file, weights of another shape than
            announced, or values that are not finite.
    """
    path = Path(path)
    about, tensors = migrated(
        "generator", *read_tensors(path, "tondo_generator", "a generator of Tondo")
    )
    shape, priors, card = _parse_about(path, about)
    try:
        with torch.device("meta"):
            wanted = Generator(shape).state_dict()
    except (ValueError, RuntimeError, TypeError, ArithmeticError) as error:
        raise InputError(
            f"{path}: no generator can have the shape that it names ({error}): {AGAIN}"
        ) from None
    wanted = {name: tensor for name, tensor in wanted.items() if name not in COMPUTED}
    check_tensors(path, tensors, wanted)
    with torch.random.fork_rng(devices=[]):
        generator = Generator(shape)
    generator.load_state_dict({k: tensors[k].float() for k in wanted}, strict=False)
    return Trained(generator.eval().requires_grad_(False), priors, card)


def write_tensors(path: Path, key: str, about: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """A file for `read_tensors`. Raises OutputError."""
    text = json.dumps(about, allow_nan=False, sort_keys=True)
    write_bytes(path, safetensors.torch.save(tensors, metadata={key: text}))


def holds(path: Path, *keys: str) -> bool:
    """Whether `path` is a safetensors file with one of `keys` in its description."""
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            return not set(keys).isdisjoint(file.metadata() or {})
    except (safetensors.SafetensorError, OSError):
        return False


def read_tensors(
    path: Path, key: str, kind: str, advice: str = AGAIN
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The JSON object under `key` of a safetensors file's metadata, and the file's tensors.

    Args:
        kind: what the file should be. advice: what to do where it is not.

    Raises:
        InputError: missing, too large, cut off, damaged, or without that entry (so not `kind`).
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}: expected {kind}")
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path} is larger than {MOST_BYTES >> 20} MB: it is not {kind}: {advice}")
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            text = (file.metadata() or {}).get(key)
            if text is None:
                raise InputError(f"{path} is a safetensors file, but not {kind}: {advice}")
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path} is cut off or damaged, or not {kind} ({error}): {advice}"
        ) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        about = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: its description is damaged ({error}): {advice}") from None
    if not isinstance(about, dict):
        raise InputError(f"{path}: its description is damaged (not a JSON object): {advice}")
    return about, tensors


def check_tensors(
    path: Path, found: dict[str, Tensor], wanted: dict[str, Tensor], advice: str = AGAIN
) -> None:
    """Every tensor of `wanted` is there, with its shape, as finite floats, and nothing else is.

    Raises:
        InputError: with the first one that is not as announced.
    """
    for name, tensor in wanted.items():
        if name not in found:
            raise InputError(f"{path} does not hold what it announces, {name} is missing: {advice}")
        here = found[name]
        if here.shape != tensor.shape or here.dtype not in (torch.float16, torch.float32):
            kind = str(here.dtype).removeprefix("torch.")
            raise InputError(
                f"{path} does not hold what it announces, {name} is {list(here.shape)} {kind}, "
                f"expected {list(tensor.shape)} float16 or float32: {advice}"
            )
        if not bool(torch.isfinite(here).all()):
            raise InputError(f"{path}: {name} holds values that are NaN or infinite: {advice}")
    extra = sorted(found.keys() - wanted.keys() - set(COMPUTED))
    if extra:
        raise InputError(f"{path} holds something that it does not announce, {extra[0]}: {advice}")


def _parse_about(
    path: Path, about: dict[str, Any]
) -> tuple[GeneratorShape, tuple[PosePrior, ...], Card]:
    if about.get("format") != FORMAT:
        raise InputError(
            f"{path} is a generator of another version ({about.get('format')!r:.60}); this program "
            f"reads {FORMAT!r}: train again, or use the version of Tondo that wrote it"
        )
    try:
        priors = about["priors"]
        if not isinstance(priors, list) or not 1 <= len(priors) <= MOST_PRIORS:
            raise ValueError("no pose priors")
        return (
            shape_of(about["shape"]),
            tuple(PosePrior(**checked(PosePrior, each)) for each in priors),
            _card_of(about["card"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OptionError) as error:
        raise InputError(
            f"{path}: the generator's description is damaged ({error}): {AGAIN}"
        ) from None


def shape_of(fields: dict[str, Any]) -> GeneratorShape:
    """A shape from JSON; every count must lie within 1..4096 (that of basis maps may be 0), every
    word be a known one.

    Raises:
        ValueError, TypeError: it is not one.
    """
    counted = {name: value for name, value in fields.items() if (name, value) != ("basis_maps", 0)}
    values = checked(GeneratorShape, counted, least=1)
    for name, known in KNOWN_WORDS.items():
        if name in values and values[name] not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {values[name]!r}")
    for name in ("rows", "columns"):
        value = values.get(name, 16)
        if value < 16 or value % 16:
            raise ValueError(f"{name} cannot be {value}: it is not a multiple of 16")
    shape = GeneratorShape(**values)
    if shape.rows * shape.columns > MOST_CELLS:
        raise ValueError(f"{shape.rows} x {shape.columns} are more than {MOST_CELLS} splats")
    return shape


def _card_of(fields: dict[str, Any]) -> Card:
    metrics = fields.get("metrics", {})
    if not isinstance(metrics, dict) or not all(is_number(value) for value in metrics.values()):
        raise ValueError("metrics must be numbers by name")
    rest = {name: value for name, value in fields.items() if name != "metrics"}
    values = checked(Card, rest, longest=10_000)
    return Card(**values, metrics={str(k): float(v) for k, v in metrics.items()})


def checked(
    kind: Any, fields: dict[str, Any], least: float = -1e9, longest: int = 40
) -> dict[str, Any]:
    """The fields of a dataclass from JSON, each of the type that its annotation names; fields that
    are missing take their defaults, unknown ones are refused."""
    known = {one.name: str(one.type) for one in dataclasses.fields(kind)}
    unknown = sorted(fields.keys() - known.keys())
    if unknown:
        raise ValueError(f"unknown entry {unknown[0]!r}")
    return {name: _value(name, known[name], fields[name], least, longest) for name in fields}


def _value(name: str, annotation: str, value: Any, least: float, longest: int) -> Any:
    most = LARGEST_NUMBER if least > 0 else 1e12
    if annotation.startswith("tuple"):
        element = "int" if "int" in annotation else "float"
        if not isinstance(value, list) or not 1 <= len(value) <= 16:
            raise ValueError(f"{name} must be a short list, got {value!r:.60}")
        return tuple(_value(name, element, each, least, longest) for each in value)
    if annotation == "bool" and isinstance(value, bool):
        return value
    if annotation == "str" and isinstance(value, str) and len(value) <= longest:
        return value
    if annotation in ("int", "float") and is_number(value) and least <= value <= most:
        if annotation == "float":
            return float(value)
        if value == int(value):
            return int(value)
    raise ValueError(f"{name} cannot be {value!r:.60}")


def is_number(value: Any) -> bool:
    """Whether a value from JSON is a number that a float can hold: not NaN, not infinite, and not
    one of hundreds of digits, which JSON has too."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and abs(value) <= sys.float_info.max


def fingerprint(generator: Generator) -> str:
    """Which generator it is: a hash over its mapping network and modulation."""
    digest = hashlib.sha256(modulation(generator).float().numpy().tobytes())
    for name, tensor in sorted(generator.mapping.state_dict().items()):
        digest.update(name.encode() + tensor.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
