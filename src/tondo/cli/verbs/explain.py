"""`tondo explain`: which parts of a sample the discriminator found real or fake."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the options of `tondo explain`."""
    parser = subparsers.add_parser(
        "explain",
        help="which parts of a sample the discriminator found real or fake",
        description="Draws a sample from eight sides and below each the discriminator's opinion: "
        "blue where it sees a photograph, red where it sees a generated picture.",
    )
    add = parser.add_argument
    add("run", metavar="RUN", type=Path, help="a run of `tondo train` with its checkpoints")
    add("--seed", type=int, default=0, metavar="N", help="of the sample (%(default)s)")
    add("--truncation", type=float, default=1.0, metavar="T", help="(%(default)s: as trained)")
    add(
        "-o",
        "--output",
        type=Path,
        metavar="FILE.png",
        help="(default: RUN/renders/explain/seed0000.png)",
    )


def run(args: argparse.Namespace) -> None:
    """Draw the heat map. Raises TondoError."""
    from tondo.api.explain import explain
    from tondo.api.options import ExplainOptions

    found = explain(args.run, ExplainOptions(args.seed, args.truncation), output=args.output)
    heat = found.heat
    print(f"{found.path}: blue is taken for real, red for generated")
    print(
        f"mean logit of seed {args.seed}: {float(heat.mean()):+.2f} "
        f"(most real place {float(heat.max()):+.2f}, least {float(heat.min()):+.2f})"
    )
