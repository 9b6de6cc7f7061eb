"""How good is a scene after so many seconds of training?

One run of `tondo reconstruct --minutes M` for each length, because training anneals to its horizon:
this is what somebody gets who gives it that long. Held-out photos only; `chair` (NeRF-synthetic)
names its own, of the others every 8th is held out.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import load, save, shared_data
from tondo import _native

SETS = {"fox": 480, "chair": 400, "sceaux": 480}
SECONDS = (30, 60, 120, 300)


def reconstruct(
    data: Path,
    max_size: int,
    seconds: float,
    out: Path,
    method: str = "splats",
    at: Sequence[float] = (),
    more: Sequence[str] = (),
) -> dict[str, Any]:
    """A run in a process of its own, with `more` options; its figures, with CPU-seconds of the
    whole command, and PSNR `at` some seconds on the way."""
    command = [sys.executable, "-m", "tondo.cli.main", "reconstruct", str(data), "-o", str(out)]
    command += [
        "--minutes",
        str(seconds / 60),
        "--max-size",
        str(max_size),
        "--method",
        method,
        *more,
    ]
    if at:
        command += ["--evaluate-at", ",".join(f"{x:g}" for x in at)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    metrics = json.loads((out / "metrics.json").read_text())
    lines = (out / "events.jsonl").read_text().splitlines()
    events = [event for event in map(json.loads, lines) if event["event"] == "evaluation"]
    return {
        "on_the_way": [{k: event[k] for k in ("seconds", "psnr")} for event in events],
        "asked_seconds": seconds,
        "train_seconds": metrics["train_seconds"],
        "command_seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1
        ),
        "steps": metrics["steps"],
        "splats": metrics.get("splats"),
        "points": metrics.get("points"),
        "points_from": metrics.get("points_from"),
        "peak_memory_mb": metrics["peak_memory_mb"],
        "test": metrics["test"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seconds", nargs="+", type=float, default=SECONDS)
    args = parser.parse_args()
    before = load("quality") or {}
    found: dict[str, Any] = dict(before.get("sets", {}))
    for name in args.sets:
        runs = []
        for seconds in args.seconds:
            with tempfile.TemporaryDirectory() as folder:
                data = shared_data() / name
                runs.append(reconstruct(data, SETS[name], seconds, Path(folder) / "run"))
            print(f"{name} {seconds:g} s: {runs[-1]['test']['psnr']:.2f} dB")
        found[name] = {"max_size": SETS[name], "runs": runs}
        save("quality", {"threads": _native.num_threads(), "sets": found})


if __name__ == "__main__":
    main()
