"""Trains the generators of docs/gan.md from nothing, and measures them.

    python gan.py [NAME ...] [--runs FOLDER] [--threads N]

Each has one thread, and two go side by side; with --threads 2 one follows the other. A training
goes on where it was stopped; one that is finished and measured is left as it is. The results go to
results/gan.json, the pictures to docs/images; table.py makes the tables.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common import ROOT, load, machine, shared_data
from tondo.io.atomic import write_json

SAMPLES = 2000
FISH_PICTURES = 8000
CORES = 2  # of the machine that the trainings are meant for
IMAGES = ROOT / "docs" / "images"


@dataclass(frozen=True)
class Case:
    """One training: of which set, for how many minutes in all, and what differs from the defaults.
    The grid of one that is `shown` stands in the document."""

    data: str
    minutes: float
    words: tuple[str, ...] = ()
    shown: bool = False


APPLES = ("--poses", "turntable+tumble", "--axial")
FISH = ("--mirror", "--augment", "off")
FACES = ("--poses", "frontal", "--mirror")


def choice(*words: str, first: tuple[str, ...] = APPLES) -> Case:
    return Case("apples", 20, (*first, *words))


CASES = {
    "apples": Case("apples", 60, APPLES, shown=True),
    "faces": Case("faces", 60, FACES, shown=True),
    "fish": Case("fish", 120, FISH, shown=True),
    "default": choice(),
    "plain D": choice("--discriminator", "plain"),
    "nonsaturating": choice("--loss", "nonsaturating"),
    "minimax": choice("--loss", "minimax"),
    "relativistic": choice("--loss", "relativistic"),
    "field": choice("--representation", "field", first=APPLES[:2]),  # --axial is of splats
    "no augmentation": choice("--augment", "off"),
}


def tondo(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "tondo", *words], check=True)


def prepared(data: str, runs: Path) -> Path:
    """The training set of `data`, made once."""
    out = runs / f"{data}_prepared"
    if out.exists():
        return out
    source = shared_data() / f"{data}.zip"
    if data == "fish":
        source = runs / "fish_pictures"
        script = ROOT / "examples" / "photograph_meshes.py"
        words = [str(shared_data() / "fish"), "-o", str(source), "--count", str(FISH_PICTURES)]
        if not source.exists():
            subprocess.run([sys.executable, str(script), *words], check=True)
    tondo("prepare", str(source), "--for", "gan", "-o", str(out))
    return out


def run_of(name: str, runs: Path) -> Path:
    return runs / name.replace(" ", "_").lower()


def trained(name: str, runs: Path, threads: int) -> dict[str, Any]:
    """The figures of a finished training, after as much training and measuring as is missing."""
    case, run = CASES[name], run_of(name, runs)
    figures = run / "metrics.json"
    if not figures.exists():
        source = str(prepared(case.data, runs))
        words = ["--resume"] if run.exists() else list(case.words)
        words += ["--minutes", str(case.minutes), "--threads", str(threads)]
        tondo("train", source, "-o", str(run), *words)
    found: dict[str, Any] = json.loads(figures.read_text())
    if "generator" not in found:
        tondo("evaluate", str(run), "--samples", str(SAMPLES))
        found = json.loads(figures.read_text())
    if case.shown:
        shutil.copy(run / "renders" / "evaluate" / "grid.png", IMAGES / f"gan_{name}.png")
    return found


def kept(name: str, found: dict[str, Any], where: dict[str, Any], threads: int) -> None:
    """`found` into the file of results, where it is new."""
    results = load("gan") or {"trainings": {}}
    if results["trainings"].get(name, {}).get("figures") != found:
        case = CASES[name]
        results["trainings"][name] = {
            "data": case.data,
            "minutes": case.minutes,
            "shown": case.shown,
            "words": " ".join((*case.words, "--threads", str(threads))),
            "machine": where,
            "figures": found,
        }
        write_json(ROOT / "benchmarks" / "results" / "gan.json", results)
    print(f"{name}: Fréchet distance {found['generator']['frechet']:.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CASES))
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    parser.add_argument("--threads", type=int, choices=range(1, CORES + 1), default=1)
    args = parser.parse_args()
    for name in args.names:
        if name not in CASES:
            parser.error(f"no training is called {name!r}: choose from {', '.join(CASES)}")
    names = args.names or list(CASES)
    for name in names:
        prepared(CASES[name].data, args.runs)
    where = asdict(machine())
    with ThreadPoolExecutor(max_workers=CORES // args.threads) as beside:
        measured = beside.map(lambda name: trained(name, args.runs, args.threads), names)
        for name, found in zip(names, measured, strict=True):
            kept(name, found, where, args.threads)


if __name__ == "__main__":
    main()
