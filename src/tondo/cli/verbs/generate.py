"""`tondo generate`: new models from a trained generator."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path

from tondo.api.options import GenerateOptions
from tondo.cli.arguments import Flag, Typed, Verb
from tondo.cli.verbs.export import texture_size

MOST_SEEDS = 10_000  # guards against a slip of the keyboard; chosen


@dataclass(frozen=True)
class Command:
    """Make one model for each seed, and a grid of pictures of all of them.

    Attributes:
        generator: a run of `tondo train`, a generator.safetensors, or the name of an installed
            generator
        output: folder to make; None: NAME_models
        seeds: random seeds, one for each model, such as 0-7 or 1,5,9-12
        options: how
    """

    generator: str
    output: Path | None = None
    seeds: tuple[int, ...] = tuple(range(8))
    options: GenerateOptions = field(default_factory=GenerateOptions)


def run(command: Command, typed: Typed) -> None:
    """Write the models. Raises TondoError."""
    from tondo.api.generate import generate

    place = Path(command.generator).resolve()
    folder = command.output or Path(f"{place.name if place.is_dir() else place.stem}_models")
    started = time.perf_counter()
    with typed.screen() as screen:
        models = generate(
            command.generator, command.seeds, command.options, output=folder, watch=screen.watch
        )
    seconds, count = time.perf_counter() - started, len(models)
    print(f"{folder}: {count} model{'s' if count != 1 else ''} in {seconds:.1f} s")
    print(f"pictures: {folder / 'grid.png'}")
    if models.licence:
        print(f"made from pictures under: {models.licence}")


def seeds(text: str) -> tuple[int, ...]:
    """Numbers from "0-7", "3" or "1,5,9-12", in that order, without repeats."""
    found: list[int] = []
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        try:
            first = int(low)
            last = int(high) if dash else first
        except ValueError:
            first, last = 0, -1
        if not 0 <= first <= last < 2**31 or last - first >= MOST_SEEDS:
            raise argparse.ArgumentTypeError(
                f"expected seeds such as 0-7 or 1,5,9-12 (at most {MOST_SEEDS}), got {text!r}"
            )
        found.extend(range(first, last + 1))
    return tuple(dict.fromkeys(found))


def formats(text: str) -> tuple[str, ...]:
    """Formats from "glb,png"; the record knows which there are."""
    found = [part.strip().lower().removeprefix(".") for part in text.split(",")]
    return tuple(dict.fromkeys(found))


VERB = Verb(
    Command,
    run,
    {
        "output": Flag(("-o", "--output"), "DIR"),
        "seeds": Flag(metavar="A-B,C", parse=seeds),
        "format": Flag(metavar="F,F", parse=formats),
        "move": Flag(metavar="N=STEPS"),
        "texture": Flag(metavar="SIZE", parse=texture_size),
    },
)
