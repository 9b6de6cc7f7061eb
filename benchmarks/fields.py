"""What do the three encodings make of the same photos, and what does a conversion lose?

    python fields.py [NAME ...] [--runs FOLDER] [--threads N]

Runs of `tondo reconstruct` and `tondo convert`, one after the other. Those that are finished are
left as they are, also those of `nerf.py --runs`; all stay in the folder, to be looked at.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common import RESULTS, ROOT, load, machine, shared_data
from tondo.io.atomic import write_json


@dataclass(frozen=True)
class Case:
    """A run: of which photos (or, for a conversion, of which run), for how many minutes, how."""

    source: str
    minutes: float
    words: tuple[str, ...]


def field(photos: str, encoding: str, max_size: int, minutes: float) -> Case:
    words = ("--method", "nerf", "--encoding", encoding, "--max-size", str(max_size))
    return Case(photos, minutes, words)


ENCODINGS = {
    "chair_dct": field("chair", "dct", 400, 4),
    "fox_dct": field("fox", "dct", 480, 4),
    "chair_small_hash": field("chair", "hash", 80, 1),
    "chair_small_frequency": field("chair", "frequency", 80, 30),
    "fox_small_hash": field("fox", "hash", 80, 1),
    "fox_small_frequency": field("fox", "frequency", 80, 30),
}
SCENES = {
    "chair_nerf": field("chair", "hash", 400, 5),
    "chair_splats": Case("chair", 5, ("--method", "splats", "--max-size", "400")),
    "fox_nerf": field("fox", "hash", 480, 2),
    "fox_splats": Case("fox", 2, ("--method", "splats", "--max-size", "480")),
}
CONVERSIONS = {
    "chair_splats_of_nerf": Case("chair_nerf", 2, ("--method", "splats")),
    "chair_nerf_of_splats": Case("chair_splats", 2, ("--method", "nerf")),
    "fox_splats_of_nerf": Case("fox_nerf", 2, ("--method", "splats")),
    "fox_nerf_of_splats": Case("fox_splats", 2, ("--method", "nerf")),
}


def done(
    command: str, source: Path, case: Case, run: Path, threads: int, before: dict[str, Any] | None
) -> dict[str, Any]:
    """The figures of a run, made now if it is not there; `before`: as they were kept when it was
    made, on what machine and by what commit included."""
    where = machine()
    if not (run / "metrics.json").exists():
        words = [command, str(source), "-o", str(run), "--minutes", str(case.minutes), *case.words]
        words += ["--threads", str(threads), "--force"]
        subprocess.run([sys.executable, "-m", "tondo", *words], check=True)
    metrics = json.loads((run / "metrics.json").read_text())
    if before is not None and before["test"] == metrics["test"]:
        return before
    kept = ("steps", "train_seconds", "threads", "peak_memory_mb", "test")
    found = {"source": case.source, "words": " ".join(case.words), "machine": asdict(where)}
    found |= {name: metrics[name] for name in kept}
    found["kilobytes"] = round((run / "scene.safetensors").stat().st_size / 1024)
    print(f"{run.name}: {found['test']['psnr']:.2f} dB", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    every = ENCODINGS | SCENES | CONVERSIONS
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(every))
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "fields")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    for name in args.names:
        if name not in every:
            parser.error(f"no run is called {name!r}: choose from {', '.join(every)}")
    args.runs.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = load("fields") or {"runs": {}}
    for name in args.names or list(every):
        command, base = "reconstruct", shared_data()
        if name in CONVERSIONS:
            command, base = "convert", args.runs
        case, run = every[name], args.runs / name
        before = found["runs"].get(name)
        source = base / case.source
        found["runs"][name] = done(command, source, case, run, args.threads, before)
        write_json(RESULTS / "fields.json", found)


if __name__ == "__main__":
    main()
