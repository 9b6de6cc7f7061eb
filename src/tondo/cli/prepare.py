"""`tondo prepare`: the poses of photos, and a report on the capture."""

from __future__ import annotations

import argparse
from pathlib import Path

from tondo.cli.options import positive_int


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the options of `tondo prepare`."""
    parser = subparsers.add_parser(
        "prepare",
        help="find the poses of photos, with a report on what to photograph again",
        description="Find where each photo was taken from (structure from motion) and write a "
        "report on the capture: OUT/images, OUT/sparse/0 (a COLMAP model), OUT/prepare.json and "
        "OUT/report.html. If fewer than half of the photos can be placed the exit status is 2, "
        "and OUT is written nevertheless.",
    )
    parser.add_argument(
        "photos",
        metavar="PHOTOS",
        type=Path,
        help="a folder of photos (JPEG, PNG, WebP, TIFF, HEIC), or a video",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", required=True)
    parser.add_argument(
        "--frames",
        type=positive_int,
        default=120,
        metavar="N",
        help="how many frames of a video to use (%(default)s)",
    )
    parser.add_argument(
        "--feature-size",
        type=positive_int,
        default=960,
        metavar="PIXELS",
        help="longest side at which features are looked for; more is finer and slower "
        "(%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(%(default)s)")
    parser.add_argument("--force", action="store_true", help="replace what an earlier run made")
    parser.set_defaults(verb="prepare")


def run(args: argparse.Namespace) -> None:
    """Run the command. Raises TondoError children."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from tondo.cli.terminal import progress_console, result_console
    from tondo.poses.prepare import prepare

    columns = (
        TextColumn("{task.description:<20}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=progress_console()) as bars:
        tasks: dict[str, int] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)  # type: ignore[arg-type]

        prepared = prepare(
            args.photos,
            args.output,
            force=args.force,
            frames=args.frames,
            max_size=args.feature_size,
            seed=args.seed,
            on_progress=show,
        )
    console = result_console()
    console.print(
        f"{prepared.registered} of {prepared.photos} photos placed, {prepared.points} points, "
        f"reprojection error {prepared.error:.2f} pixels"
    )
    for skipped in prepared.skipped:
        console.print(f"left out: {skipped.name}: {skipped.reason}")
    for line in prepared.advice:
        console.print(f"- {line}")
    console.print(f"report: {prepared.folder / 'report.html'}")
