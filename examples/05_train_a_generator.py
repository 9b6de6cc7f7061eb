"""Pictures of one kind of thing in, a generator of new 3D things out.

    python examples/05_train_a_generator.py PICTURES OUT

PICTURES: a folder of at least 16 pictures, better some hundreds, of one thing each, or a zip.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tondo

TRAINING = tondo.TrainOptions(size=64, minutes=60)


def main(pictures: str, out: str, training: tondo.TrainOptions = TRAINING) -> None:
    # Squares of one size, without near-duplicates and blurred ones; the report says what is
    # missing. `train_generator` does this by itself where it gets other pictures.
    options = tondo.PictureOptions(size=training.size)
    prepared = tondo.prepare_pictures(pictures, Path(out) / "pictures", options)
    print(f"{prepared.count} pictures: {prepared.kind}")
    for sentence in prepared.advice:
        print(f"- {sentence}")

    watch = tondo.Watch(note=print)
    result = tondo.train_generator(prepared.folder, Path(out) / "run", training, watch=watch)
    print(f"shown {result.summary['kimg']} thousand pictures; samples: {result.run.renders_dir}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
