"""How good do larger pictures become over time, with splats and lengths that follow their pixels?

`fox` at 480 and 960 pixels, and the object of `make demo` photographed at 1,600, 48 times; these
photographs are made on the first call, which takes ten CPU-minutes. `--fixed` measures the longest
training of each size with 60,000 splats.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from common import ROOT, load, save, shared_data
from quality import reconstruct
from tondo import _native
from tondo.demo.photographs import photograph_object
from tondo.splats.options import BASE_SPLATS

# Seconds of training; 405 are what photos of 540x960 get unasked
SECONDS = {480: (60, 180), 960: (120, 405), 1600: (180, 480)}
FOX = (480, 960)


def photos_of(size: int, demo: Path) -> tuple[str, Path]:
    if size in FOX:
        return "fox", shared_data() / "fox"
    if not (demo / "transforms_test.json").is_file():
        photograph_object(demo, size=size)
    return "demo", demo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, choices=SECONDS, default=list(SECONDS))
    parser.add_argument("--seconds", nargs="+", type=float, help="instead of those of each size")
    parser.add_argument("--demo", type=Path, default=ROOT / "build" / "demo1600", metavar="DIR")
    parser.add_argument("--fixed", action="store_true", help="only with 60,000 splats, beside them")
    args = parser.parse_args()
    found: dict[str, Any] = dict((load("detail") or {}).get("sizes", {}))
    for size in args.sizes:
        name, data = photos_of(size, args.demo)
        lengths = args.seconds or SECONDS[size]
        old = found.get(str(size), {}).get("runs", [])
        runs = [run for run in old if args.fixed != run["fixed"]]
        for seconds in lengths[-1:] if args.fixed else lengths:
            most = ["--max-splats", str(BASE_SPLATS)] if args.fixed else []
            with tempfile.TemporaryDirectory() as folder:
                run = reconstruct(data, size, seconds, Path(folder) / "run", more=most)
            print(f"{name} {size}, {seconds:g} s: {run['test']['psnr']:.2f} dB")
            runs.append({**run, "fixed": args.fixed})
        found[str(size)] = {"photos": name, "runs": runs}
        save("detail", {"threads": _native.num_threads(), "sizes": found})


if __name__ == "__main__":
    main()
