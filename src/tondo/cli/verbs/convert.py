"""`tondo convert`: splats from a radiance field, or a field from splats, without the photos."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from tondo.cli.options import positive_int
from tondo.errors import OptionError

if TYPE_CHECKING:
    from tondo.scenes.options import ReconstructOptions


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the options of `tondo convert`."""
    parser = subparsers.add_parser(
        "convert",
        help="splats from a radiance field, or a field from splats, without the photos",
        description="Make a scene of another kind from pictures of a scene, taken where its photos "
        "were. Every 8th of these pictures is kept for measuring what was lost.",
    )
    add = parser.add_argument
    add("scene", metavar="RUN", type=Path, help="a run, .safetensors or splat .ply")
    add("-o", "--output", metavar="RUN2", type=Path, required=True, help="folder to make")
    add("--method", choices=["splats", "nerf"], required=True, help="what it is to be made of")
    add("--max-size", type=positive_int, metavar="N", help="longest side (480)")
    add("--steps", type=int, metavar="N", help="train so many steps: the same scene every time")
    add("--minutes", type=float, metavar="M", help="train so long (3, if --steps is not given)")
    add("--seed", type=int, metavar="N", help="of every random choice (0)")
    add("--max-splats", type=int, metavar="N", help="budget of splats")
    add("--encoding", choices=["hash", "dct", "frequency"], help="of a field (hash)")
    add("--threads", type=positive_int, metavar="N", help="(default: all cores)")
    add("--resume", action="store_true", help="go on from RUN2's last checkpoint")
    add("--force", action="store_true", help="replace a run that is there")


def run(args: argparse.Namespace) -> None:
    """Convert and print the table of results. Raises TondoError, KeyboardInterrupt."""
    from tondo.cli.verbs.reconstruct import check_target, print_result, reconstruct_shown
    from tondo.scenes.open import open_scene

    check_target(args)
    options = _options(args)
    open_scene(args.scene)  # before anything is written
    if args.output.resolve() == args.scene.resolve():
        raise OptionError(f"{args.output} is the scene itself: choose another folder with -o")
    again = shlex.join(
        ["tondo", "convert", str(args.scene), "-o", str(args.output), "--method", args.method]
    )
    again += " --resume"
    print_result(reconstruct_shown(args.scene, args, options, again))
    print(f"measured against held-out pictures of {args.scene}, not against photos")


def _options(args: argparse.Namespace) -> ReconstructOptions:
    import dataclasses

    from tondo.nerf.config import config_for
    from tondo.scenes.options import ReconstructOptions
    from tondo.splats.config import SplatConfig

    begins = not args.resume  # a run that goes on has its own method
    if begins and args.method == "splats" and args.encoding is not None:
        raise OptionError("--encoding goes with --method nerf, not with splats")
    if begins and args.method == "nerf" and args.max_splats is not None:
        raise OptionError("--max-splats goes with --method splats, not with nerf")
    splats = SplatConfig()
    if args.max_splats is not None:
        splats = dataclasses.replace(splats, max_splats=args.max_splats)
    chosen = {name: getattr(args, name) for name in ("method", "max_size", "seed")}
    return ReconstructOptions(
        **{name: value for name, value in chosen.items() if value is not None},
        steps=args.steps,
        minutes=args.minutes,
        exposure=False,
        splats=splats,
        nerf=config_for(args.encoding or "hash"),
    )
