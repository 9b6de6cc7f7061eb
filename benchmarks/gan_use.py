"""How long a user waits for a generator: a model, and a photograph lifted.

    python gan_use.py [NAME=RUN ...]

NAME is that of a set of pictures in the shared data; a picture of it is lifted. The installed
generator is measured without being named, with a render of one of its meshes.
"""

from __future__ import annotations

import argparse
import io
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from PIL import Image

import tondo
from common import ROOT, save, shared_data
from tondo.gan.files.open_generator import open_generator
from tondo.gan.inversion.lift import encoder_of
from tondo.kernels.threads import num_threads

TIMES = 7
SHIPPED = "fish"
PICTURE = 0.37  # of the way through a set's pictures


def seconds_of_a_model(generator: str) -> dict[str, float]:
    """Opening a generator and making one model, its mesh included: median and slowest."""
    spent = []
    for seed in range(TIMES + 1):
        started = time.perf_counter()
        (model,) = tondo.generate(generator, [seed])
        spent.append(time.perf_counter() - started)
        assert len(model.mesh.faces)
    return {"first": spent[0], "median": statistics.median(spent[1:]), "slowest": max(spent[1:])}


def picture_of(data: str, folder: Path) -> Path:
    """One picture out of a set, as a file; of fish, which are meshes, a render."""
    if data == SHIPPED:
        script = ROOT / "examples" / "photograph_meshes.py"
        words = [str(shared_data() / data), "-o", str(folder / data), "--count", "3"]
        subprocess.run([sys.executable, str(script), *words], check=True)
        return sorted((folder / data).rglob("*.png"))[0]
    with zipfile.ZipFile(shared_data() / f"{data}.zip") as archive:
        names = sorted(n for n in archive.namelist() if n.lower().endswith((".jpg", ".png")))
        content = archive.read(names[int(PICTURE * len(names))])
    path = folder / f"{data}.png"
    Image.open(io.BytesIO(content)).save(path)
    return path


def lifted(data: str, run: str, folder: Path) -> dict[str, Any]:
    """The encoder, if the run has none yet, and a photograph's model."""
    opened, found = open_generator(run), {}
    if not opened.companion("encoder").is_file():
        started = time.perf_counter()
        encoder_of(opened)
        found["encoder_seconds"] = time.perf_counter() - started
    started = time.perf_counter()
    result = tondo.lift(picture_of(data, folder), run)
    found["seconds"] = time.perf_counter() - started
    found["pixels"] = [stage.pixels for stage in result.stages]
    found["perceptual"] = [stage.perceptual for stage in result.stages]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("generators", nargs="*", metavar="NAME=RUN")
    args = parser.parse_args()
    pairs = dict(one.split("=", 1) for one in args.generators)
    models = {SHIPPED: seconds_of_a_model(SHIPPED)}
    models |= {name: seconds_of_a_model(run) for name, run in pairs.items()}
    with tempfile.TemporaryDirectory() as folder:
        pairs = {SHIPPED: SHIPPED, **pairs}
        lifts = {name: lifted(name, run, Path(folder)) for name, run in pairs.items()}
    save("gan_use", {"threads": num_threads(), "times": TIMES, "models": models, "lifts": lifts})


if __name__ == "__main__":
    main()
