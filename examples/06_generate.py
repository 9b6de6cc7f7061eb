"""New models from a trained generator.

    python examples/06_generate.py GENERATOR OUT

GENERATOR: a run of 05_train_a_generator.py, or the name of an installed one: fish.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tondo


def main(generator: str, out: str, count: int = 8) -> None:
    # In memory. A seed always gives the same model, which is made when it is asked for.
    models = tondo.generate(generator, range(count))
    print(models, models[0].mesh, models[0].splats)
    print(models.textured(0))  # a picture over the mesh, as .glb and .obj have it

    # As files: a textured mesh, splats and a strip of pictures for each seed, and a grid of all.
    options = tondo.GenerateOptions(format=("glb", "splats", "png"), truncation=0.7)
    tondo.generate(generator, range(count), options, output=out)
    print(sorted(path.name for path in Path(out).iterdir()))

    # Truncation: how far from the mean model. At 0 all are alike.
    for truncation in (0.0, 0.5, 1.0):
        options = tondo.GenerateOptions(truncation=truncation)
        one, other = tondo.generate(generator, [0, 1], options)
        apart = float((one.mesh.vertices.mean(dim=0) - other.mesh.vertices.mean(dim=0)).norm())
        print(f"truncation {truncation}: the two models' middles are {apart:.4f} apart")


if __name__ == "__main__":
    main(*sys.argv[1:3])
