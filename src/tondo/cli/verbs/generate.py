"""`tondo generate`: new models from a trained generator."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path

from tondo.cli.options import positive_int

FORMATS = ("glb", "ply", "obj", "stl", "splats", "png", "mp4")
MOST_SEEDS = 10_000


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the options of `tondo generate`."""
    parser = subparsers.add_parser(
        "generate",
        help="new models from a trained generator",
        description="One model for each seed, and a grid of pictures of all of them. RUN|NAME: a "
        "run of `tondo train`, a generator.safetensors, or the name of an installed generator.",
    )
    add = parser.add_argument
    add("generator", metavar="RUN|NAME")
    add("--seeds", type=seeds, default=list(range(8)), metavar="A-B,C", help="(0-7)")
    add("-o", "--output", type=Path, metavar="DIR", help="(default: NAME_models)")
    add(
        "--format",
        type=formats,
        default=["glb", "png"],
        metavar="F,F",
        help=f"of {', '.join(FORMATS)} (glb,png): meshes, splats as .ply, a strip of eight views, "
        "a turntable",
    )
    add(
        "--truncation",
        type=float,
        default=0.8,
        metavar="T",
        help="0..1.5: less is more typical and less varied, 1 is as trained (%(default)s)",
    )
    add(
        "--move",
        action="append",
        default=[],
        metavar="N=STEPS",
        help="go along a direction of `tondo directions`: 3=+2.0, or p0=-1 for a principal one",
    )
    add("--interpolate", action="store_true", help="also interpolation.mp4, from seed to seed")
    add("--size", type=positive_int, metavar="N", help="pixels a side of the pictures")


def run(args: argparse.Namespace) -> None:
    """Write the models. Raises TondoError."""
    import time

    from tondo.api.generate import generate
    from tondo.api.options import GenerateOptions
    from tondo.cli.terminal import Screen

    options = GenerateOptions(
        args.truncation, tuple(args.move), tuple(args.format), args.interpolate, args.size
    )
    place = Path(args.generator).resolve()
    folder = args.output or Path(f"{place.name if place.is_dir() else place.stem}_models")
    started = time.perf_counter()
    with Screen() as screen:
        models = generate(args.generator, args.seeds, options, output=folder, watch=screen.watch)
    seconds, count = time.perf_counter() - started, len(models)
    print(f"{folder}: {count} model{'s' if count != 1 else ''} in {seconds:.1f} s")
    print(f"pictures: {folder / 'grid.png'}")
    if models.licence:
        print(f"made from pictures under: {models.licence}")


def seeds(text: str) -> list[int]:
    """Numbers from "0-7", "3" or "1,5,9-12", in that order, without repeats."""
    found: list[int] = []
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        try:
            first = int(low)
            last = int(high) if dash else first
        except ValueError:
            first, last = 0, -1
        if not 0 <= first <= last < 2**31 or last - first >= MOST_SEEDS:
            raise argparse.ArgumentTypeError(
                f"expected seeds such as 0-7 or 1,5,9-12 (at most {MOST_SEEDS}), got {text!r}"
            )
        found.extend(range(first, last + 1))
    return list(dict.fromkeys(found))


def formats(text: str) -> list[str]:
    """Known formats from "glb,png"."""
    found = [part.strip().lower().removeprefix(".") for part in text.split(",")]
    for name in found:
        if name not in FORMATS:
            close = difflib.get_close_matches(name, FORMATS, n=1, cutoff=0.5)
            guess = f"; did you mean {close[0]}?" if close else ""
            raise argparse.ArgumentTypeError(
                f"expected some of {','.join(FORMATS)}, got {name!r}{guess}"
            )
    return list(dict.fromkeys(found))
