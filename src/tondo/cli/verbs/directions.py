"""`tondo directions`: what a generator's latent space can be moved along, drawn as strips."""

from __future__ import annotations

import argparse
from pathlib import Path

from tondo.cli.options import positive_int


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
    from tondo.api.directions import directions
    from tondo.api.options import DirectionsOptions
    from tondo.cli.terminal import Screen

    options = DirectionsOptions(args.count, args.truncation)
    with Screen() as screen:
        found = directions(args.generator, options, output=args.output, watch=screen.watch)
    if found.saved is not None:
        print(f"saved for --move: {found.saved}")
    else:
        print("the generator's own folder cannot be written to: --move finds them anew each time")
    count = len(found.directions.closed)
    print(f"{found.folder}: {count} closed-form directions and {count} principal ones")
