"""`tondo directions`: what a generator's latent space can be moved along, drawn as strips."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tondo.cli.options import positive_int
from tondo.errors import OptionError, OutputError

if TYPE_CHECKING:
    from torch import Tensor

    from tondo.gan.files.open_generator import Opened
    from tondo.gan.sampling.directions import Directions

STEPS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
SEEDS = (0, 1, 2)
SIDE = 96


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the options of `tondo directions`."""
    parser = subparsers.add_parser(
        "directions",
        help="what a generator can be moved along, drawn as strips",
        description="Find directions of w without labels: closed-form ones from the modulation "
        "weights (0, 1, ...) and principal components of w (p0, p1, ...). Each becomes a strip of "
        "three models at -3 to +3 standard deviations. `tondo generate --move 3=+2.0` goes along "
        "one.",
    )
    add = parser.add_argument
    add("generator", metavar="RUN|NAME")
    add(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="(default: RUN/renders/directions, without a run NAME_directions)",
    )
    add("--count", type=positive_int, default=10, metavar="N", help="of each kind (%(default)s)")
    add("--truncation", type=float, default=0.8, metavar="T", help="of the models (%(default)s)")


def run(args: argparse.Namespace) -> None:
    """Find, save and draw the directions. Raises TondoError."""
    from tondo.gan.files.open_generator import open_generator
    from tondo.gan.sampling.directions import find_directions, save_directions
    from tondo.gan.sampling.generate import styles_of

    opened = open_generator(args.generator)
    generator = opened.trained.generator
    if args.count > generator.shape.w:
        raise OptionError(f"--count: w has {generator.shape.w} numbers, got {args.count}")
    w = styles_of(opened, SEEDS, args.truncation)
    directions = find_directions(generator, args.count)
    folder = args.output or _folder(opened)
    # a strip's name must mean the same to --move: what is drawn is what is saved
    save_directions(folder / "directions.safetensors", directions, generator)
    _draw(folder, opened, w, directions)
    try:
        save_directions(opened.companion("directions"), directions, generator)
        print(f"saved for --move: {opened.companion('directions')}")
    except OutputError:
        print("the generator's own folder cannot be written to: --move finds them anew each time")
    print(f"{folder}: {args.count} closed-form directions and {args.count} principal ones")


def _folder(opened: Opened) -> Path:
    if opened.run is not None:
        return opened.run.renders_dir / "directions"
    return Path(f"{opened.name}_directions")


def _draw(folder: Path, opened: Opened, w: Tensor, directions: Directions) -> None:
    import torch
    from rich.progress import track

    from tondo.cli.terminal import progress_console
    from tondo.gan.objects.contact_sheet import turning_angles, view_from
    from tondo.gan.sampling.directions import Move, moved
    from tondo.io.images import write_png

    generator, priors = opened.trained.generator, opened.trained.priors
    angle = turning_angles(priors, 8)[1]
    families = (("closed", directions.closed, False), ("principal", directions.principal, True))
    for name, rows, principal in families:
        first = []
        for index in track(range(len(rows)), f"{name} strips", console=progress_console()):
            columns = [
                view_from(
                    generator,
                    moved(w, (Move(index, step, principal),), directions),
                    priors,
                    angle,
                    SIDE,
                )
                for step in STEPS
            ]
            strip = torch.cat([torch.cat(list(column), dim=0) for column in columns], dim=1)
            write_png(folder / f"{name}-{index:02d}.png", strip)
            first.append(strip[:SIDE])
        write_png(folder / f"{name}.png", torch.cat(first, dim=0))
