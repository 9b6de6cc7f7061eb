"""Trained generators as files: safetensors with JSON metadata, checked before use."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from tondo.errors import InputError
from tondo.gan.config import GeneratorShape
from tondo.gan.generator import Generator
from tondo.io.atomic import write_bytes

FORMAT = "tondo generator 1"
LARGEST = {"z": 1024, "w": 1024, "rows": 256, "columns": 512, "size": 1024}


@dataclass(frozen=True)
class Card:
    """What a generator was made from and for; everything as text and numbers.

    Attributes:
        name: what it makes. poses: the cameras it was trained with, as given to --poses.
        pictures: how many different pictures. kpictures: thousands shown. hours: of training.
        licence, source: of the training pictures. limits: what it cannot do.
    """

    name: str = ""
    poses: str = "sphere"
    pictures: int = 0
    kpictures: float = 0.0
    hours: float = 0.0
    licence: str = ""
    source: str = ""
    limits: str = ""


def save_generator(path: Path, generator: Generator, card: Card) -> None:
    """Write weights, shape and card; the same generator gives the same bytes.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in generator.state_dict().items()
        if name != "template"
    }
    about = {
        "format": FORMAT,
        "shape": dataclasses.asdict(generator.shape),
        "card": dataclasses.asdict(card),
    }
    data = safetensors.torch.save(tensors, metadata={"tondo_generator": json.dumps(about)})
    write_bytes(path, data)


def load_generator(path: Path) -> tuple[Generator, Card]:
    """Read a generator that `save_generator` wrote, frozen.

    Raises:
        InputError: missing, damaged, another kind of file, or weights of another shape.
    """
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            about = (file.metadata() or {}).get("tondo_generator")
            if about is None:
                raise InputError(f"{path} is a safetensors file, but not a generator of Tondo.")
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} is not a readable generator: {error}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    shape, card = _parse_about(path, about)
    with torch.random.fork_rng(devices=[]):
        generator = Generator(shape)
    wanted = {k: v for k, v in generator.state_dict().items() if k != "template"}
    for name, tensor in wanted.items():
        found = tensors.get(name)
        if found is None or found.shape != tensor.shape or found.dtype != tensor.dtype:
            what = "is missing" if found is None else f"is {list(found.shape)} {found.dtype}"
            raise InputError(
                f"{path} does not hold the generator that it announces: {name} {what}, "
                f"expected {list(tensor.shape)} {tensor.dtype}."
            )
        if not bool(torch.isfinite(found).all()):
            raise InputError(f"{path}: {name} holds values that are not finite.")
    generator.load_state_dict({k: tensors[k] for k in wanted}, strict=False)
    return generator.eval().requires_grad_(False), card


def _parse_about(path: Path, text: str) -> tuple[GeneratorShape, Card]:
    try:
        about = json.loads(text)
        if about.get("format") != FORMAT:
            raise InputError(
                f"{path} is a generator of another version ({about.get('format')!r}, this program "
                f"reads {FORMAT!r})."
            )
        return _shape_of(about["shape"]), _card_of(about["card"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: the generator's description is damaged ({error}).") from None


def _shape_of(fields: dict[str, Any]) -> GeneratorShape:
    channels = tuple(int(c) for c in fields["channels"])
    if len(channels) != 3 or not all(1 <= c <= 1024 for c in channels):
        raise ValueError(f"channels {fields['channels']!r}")
    numbers = {name: int(fields[name]) for name in LARGEST}
    for name, value in numbers.items():
        if not 1 <= value <= LARGEST[name]:
            raise ValueError(f"{name} {value} is not within 1..{LARGEST[name]}")
    if numbers["rows"] % 8 or numbers["columns"] % 8:
        raise ValueError("rows and columns must be multiples of 8")
    if fields["background"] not in ("white", "scene"):
        raise ValueError(f"background {fields['background']!r}")
    first, second, third = channels
    return GeneratorShape(
        channels=(first, second, third), background=fields["background"], **numbers
    )


def _card_of(fields: dict[str, Any]) -> Card:
    values = {}
    for field in dataclasses.fields(Card):
        value = fields.get(field.name, field.default)
        values[field.name] = type(field.default)(value)
    return Card(**values)
