"""Turn a run of `tondo train` into a generator that is installed with the program.

    python benchmarks/ship_generator.py RUN NAME --licence "CC0 1.0" --limits "..." --how "..."

Writes src/tondo/generators/NAME.safetensors, its encoder for `tondo lift`, its directions and the
model card NAME.md. `tondo evaluate RUN` comes first: its numbers go into the card.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from tondo.gan.files.generator_file import Card, save_generator
from tondo.gan.files.open_generator import open_generator
from tondo.gan.inversion.encoder import save_encoder, train_encoder
from tondo.gan.sampling.directions import find_directions, save_directions
from tondo.runs.run_directory import open_run, read_metrics

FOLDER = Path(__file__).resolve().parent.parent / "src" / "tondo" / "generators"
NUMBERS = ("frechet", "kernel", "precision", "recall", "diversity")
SAMPLES = 12_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--licence", required=True)
    parser.add_argument("--source", required=True, help="of the pictures, in words")
    parser.add_argument("--limits", required=True)
    parser.add_argument("--how", required=True, help="it was trained: the command, the commit")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="that the encoder learns from")
    args = parser.parse_args()
    opened = open_generator(args.run)
    measured: dict[str, Any] = read_metrics(open_run(args.run)).get("generator", {})
    if not measured:
        parser.error(f"{args.run} was not measured yet: tondo evaluate {args.run}")
    card = dataclasses.replace(
        opened.trained.card,
        name=args.name,
        licence=args.licence,
        source=args.source,
        limits=args.limits,
        metrics={name: float(measured[name]) for name in NUMBERS},
    )
    trained = dataclasses.replace(opened.trained, card=card)
    FOLDER.mkdir(exist_ok=True)
    save_generator(FOLDER / f"{args.name}.safetensors", trained)
    # the encoder and directions belong to the weights as they were rounded for the file
    shipped = open_generator(FOLDER / f"{args.name}.safetensors")
    encoder, report = train_encoder(shipped.trained, samples=args.samples)
    save_encoder(shipped.companion("encoder"), encoder, shipped.trained, report)
    generator = shipped.trained.generator
    save_directions(shipped.companion("directions"), find_directions(generator), generator)
    text = model_card(card, measured, generator.shape.size, args.how)
    (FOLDER / f"{args.name}.md").write_text(text, encoding="utf-8")
    print(f"{FOLDER / args.name}.*: encoder off by {report.degrees:.0f} degrees")


def model_card(card: Card, measured: dict[str, Any], size: int, how: str) -> str:
    """The page that lies beside the generator."""
    rows = "\n".join(f"| {name} | {measured[name]:.4g} |" for name in NUMBERS)
    checks = "\n".join(f"| {name} | {value:.4g} |" for name, value in measured["geometry"].items())
    return f"""# {card.name}

A generator of 3D models, {size}x{size} pixels in training.

- Trained on: {card.source}, {card.pictures:,} pictures, cameras: {card.poses}.
- Licence of the pictures and of this file: {card.licence}.
- Training: {card.kimg:.0f} thousand pictures shown, {card.hours:.2f} hours.
- Made by: {how}.
- Limits: {card.limits}

| measure, over {measured["extractor"]}, {measured["pictures"]} pictures, \
{measured["samples"]} samples | |
|---|--:|
{rows}
{checks}
"""


if __name__ == "__main__":
    main()
