"""What a generator's latent space can be moved along.

python examples/08_directions.py GENERATOR OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import tondo


def main(generator: str, out: str, count: int = 10, seed: int = 3) -> None:
    # A strip of pictures for each direction: look at them to find out what it changes.
    options = tondo.DirectionsOptions(count=count)
    found = tondo.directions(generator, options, output=Path(out) / "strips")
    print(f"{len(found.directions.closed)} of each kind: {found.folder}")

    # Two standard deviations along closed-form direction 0, and back; p0 is the first principal
    # component.
    for steps in (-2, 0, 2):
        options = tondo.GenerateOptions(move=(f"0={steps:+d}", f"p0={-steps:+d}"))
        (model,) = tondo.generate(generator, [seed], options)
        place = Path(out) / f"seed{seed}_moved{steps:+d}.glb"
        tondo.write_mesh(place, model.mesh, model.splats.up)
        print(place, model.mesh)


if __name__ == "__main__":
    main(*sys.argv[1:3])
