"""A trained generator adapted to another kind of thing: low-rank adapters (LoRA), few pictures.

    python examples/09_adapt.py PICTURES GENERATOR OUT

Only the adapters are trained; OUT/adapter.safetensors holds them, some percent of a generator.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import tondo

TRAINING = tondo.TrainOptions(lora=4, minutes=15)


def main(pictures: str, generator: str, out: str, training: tondo.TrainOptions = TRAINING) -> None:
    training = replace(training, base=generator)
    result = tondo.train_generator(pictures, out, training, watch=tondo.Watch(note=print))
    adapter = Path(out) / "adapter.safetensors"
    whole = Path(out) / "generator.safetensors"
    print(result.model)
    print(f"adapter {adapter.stat().st_size:,} bytes, generator {whole.stat().st_size:,} bytes")

    # The adapter is opened as a generator is; it names the one that it belongs to.
    (before,), (after,) = tondo.generate(generator, [0]), tondo.generate(adapter, [0])
    moved = float((after.splats.splats.means - before.splats.splats.means).norm(dim=1).mean())
    print(f"the splats of seed 0 moved by {moved:.4f} on average")


if __name__ == "__main__":
    main(*sys.argv[1:4])
