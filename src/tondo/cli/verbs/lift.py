"""`tondo lift`: one photo in, one model out, through a trained generator."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tondo.gan.inversion.lift import Lifted


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the options of `tondo lift`."""
    parser = subparsers.add_parser(
        "lift",
        help="one photo in, a model out, through a trained generator",
        description="Find the style and the camera with which a generator makes the thing on a "
        "photo, then tune the generator to it. Beside the model: a sheet of before and after "
        "(.png) and a report (.json) that says how far off it is. The thing is cut out by "
        "transparency or a plain background.",
    )
    add = parser.add_argument
    add("photo", metavar="PHOTO", type=Path)
    add("--generator", metavar="RUN|NAME", required=True, help="of the kind that is on the photo")
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="model.glb .obj .ply .stl")
    add("--latent-steps", type=_steps, default=240, metavar="N", help="(%(default)s)")
    add("--tuning-steps", type=_steps, default=120, metavar="N", help="(%(default)s); 0 for none")


def run(args: argparse.Namespace) -> None:
    """Lift the photo. Raises TondoError."""
    from tondo.api.lift import lift
    from tondo.api.options import LiftOptions
    from tondo.cli.terminal import Screen

    options = LiftOptions(args.latent_steps, args.tuning_steps)
    with Screen() as screen:
        lifted = lift(args.photo, args.generator, args.output, options, watch=screen.watch)
    _print(lifted, args.output)


def _print(lifted: Lifted, output: Path) -> None:
    from tondo.api.lift import lifted_files

    files = lifted_files(output)
    print(f"assumed: {lifted.target.assumed}")
    for stage in lifted.stages:
        overlap = "" if stage.overlap is None else f", outlines overlap {100 * stage.overlap:.0f} %"
        print(
            f"{stage.name:17} pixels off by {stage.pixels:.3f}, "
            f"perceptual distance {stage.perceptual:.3f}{overlap}"
        )
    print(lifted.verdict)
    print(f"{output}: {len(lifted.model.mesh.faces)} faces, {lifted.seconds:.1f} s")
    print(f"before and after: {files.sheet}; report: {files.report}")


def _steps(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 10000, got {text!r}")
    return value
