"""One photo in, one model out, through a trained generator.

    python examples/07_lift.py PHOTO GENERATOR OUT.glb

The photo shows one thing of the generator's kind, before a plain background or cut out by alpha.
"""

from __future__ import annotations

import sys

import tondo

STEPS = tondo.LiftOptions(latent_steps=240, tuning_steps=120)


def main(photo: str, generator: str, out: str, options: tondo.LiftOptions = STEPS) -> None:
    watch = tondo.Watch(note=print)
    lifted = tondo.lift(photo, generator, out, options, watch=watch)
    print(lifted.target.assumed)
    for stage in lifted.stages:
        print(
            f"{stage.name}: colours off by {stage.pixels:.3f}, features by {stage.perceptual:.3f}"
        )
    print(lifted.verdict)  # whether the generator makes such things at all
    print(lifted.model.mesh)

    # What the photo's camera sees of the model, and from where it was taken.
    print(lifted.stages[-1].image.shape, lifted.viewmat)


if __name__ == "__main__":
    main(*sys.argv[1:4])
