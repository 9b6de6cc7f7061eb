"""`tondo prepare`: the poses of photos of one scene, or a training set out of many pictures."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tondo.cli.options import MASKS_HELP, positive_int
from tondo.errors import OptionError

# Options of one purpose, refused with the other; their defaults come in at the end.
_OF_SCENE = {"frames": 120, "feature_size": 960, "seed": 0, "masks": "auto", "lens": "auto"}
_OF_GAN = {"size": 64, "classes": (), "crop": "auto", "similar": None, "keep_blurred": False}
_SHOWN = 10


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the options of `tondo prepare`."""
    parser = subparsers.add_parser(
        "prepare",
        help="find the poses of photos, or make a training set, with a report",
        description="For a scene (the default): find where each photo was taken from (structure "
        "from motion) and write a report on the capture: OUT/images, OUT/sparse/0 (a COLMAP "
        "model), OUT/prepare.json and OUT/report.html. If fewer than half of the photos can be "
        "placed the exit status is 2, and OUT is written nevertheless. With --for gan: make a "
        "training set out of pictures of one kind of thing, with a report on its diversity: "
        "OUT/pictures.json, OUT/shards and OUT/report.html.",
    )
    parser.add_argument(
        "photos",
        metavar="PHOTOS",
        type=Path,
        help="a folder of photos (sub-folders included), or a video; with --for gan a "
        "folder (sub-folders may be classes), a zip file, or CelebA's folder",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", required=True)
    parser.add_argument(
        "--for",
        dest="purpose",
        choices=("scene", "gan"),
        default="scene",
        help="what the photos are for: one scene to reconstruct, or a generator to train "
        "(%(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="replace what an earlier run made")
    _add_scene_options(parser.add_argument_group("for a scene"))
    _add_gan_options(parser.add_argument_group("for a generator (--for gan)"))
    parser.set_defaults(verb="prepare")


def _add_scene_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--frames",
        type=positive_int,
        metavar="N",
        help=f"how many frames of a video to use ({_OF_SCENE['frames']})",
    )
    group.add_argument(
        "--feature-size",
        type=positive_int,
        metavar="PIXELS",
        help="longest side at which features are looked for; more is finer and slower "
        f"({_OF_SCENE['feature_size']})",
    )
    group.add_argument("--seed", type=int, metavar="N", help=f"({_OF_SCENE['seed']})")
    group.add_argument(
        "--lens",
        choices=("auto", "simple_radial", "radial", "opencv", "opencv_fisheye"),
        help="lens model of COLMAP; auto: square pixels, and as much distortion as the photos can "
        f"tell; opencv: two focal lengths and decentring too ({_OF_SCENE['lens']})",
    )
    group.add_argument("--masks", metavar="auto|none|DIR", help=f"{MASKS_HELP} (auto)")


def _add_gan_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--size", type=positive_int, metavar="PIXELS", help=f"a side ({_OF_GAN['size']})"
    )
    group.add_argument(
        "--class",
        dest="classes",
        action="append",
        metavar="NAME",
        help="only pictures of this class (a sub-folder, or an attribute of CelebA); may be "
        "repeated",
    )
    group.add_argument(
        "--crop",
        choices=("auto", "object", "centre", "whole"),
        help="object: its box, where the background is plain or transparent; centre: the largest "
        "square; whole: with bars beside it; auto: object where it can be found, otherwise centre "
        "(auto)",
    )
    group.add_argument(
        "--similar",
        type=float,
        metavar="X",
        help="distance under which a picture is a near-duplicate, as a share of its contrast; 0 "
        "keeps all (0.012 on a plain background, 0.1 otherwise)",
    )
    group.add_argument(
        "--keep-blurred", action="store_true", default=None, help="leave no blurred ones out"
    )


def run(args: argparse.Namespace) -> None:
    """Run the command. Raises TondoError children."""
    others = _OF_GAN if args.purpose == "scene" else _OF_SCENE
    for name in others:
        if getattr(args, name) is not None:
            option = "--" + {"classes": "class"}.get(name, name).replace("_", "-")
            other = "gan" if args.purpose == "scene" else "scene"
            raise OptionError(f"{option} belongs to tondo prepare --for {other}")
    for name, value in (_OF_SCENE | _OF_GAN).items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    if args.purpose == "gan":
        _prepare_pictures(args)
    else:
        _prepare_scene(args)


def _prepare_scene(args: argparse.Namespace) -> None:
    from tondo.cli.terminal import result_console
    from tondo.sfm.prepare import PrepareOptions, prepare

    options = PrepareOptions(
        frames=args.frames,
        max_size=args.feature_size,
        seed=args.seed,
        masks=args.masks,
        lens=args.lens,
    )
    with _bars() as show:
        prepared = prepare(args.photos, args.output, options, force=args.force, on_progress=show)
    console = result_console()
    console.print(
        f"{prepared.registered} of {prepared.photos} photos placed, {prepared.points} points, "
        f"reprojection error {prepared.error:.2f} pixels"
    )
    for note in (*prepared.notes, f"lens: {prepared.lens}"):
        console.print(note)
    for doubt in prepared.doubts:
        console.print(f"in doubt: {doubt}")
    for skipped in (*prepared.skipped, *prepared.left_out):
        console.print(f"left out: {skipped.name}: {skipped.reason}")
    _print_advice(prepared.advice, prepared.folder)


def _prepare_pictures(args: argparse.Namespace) -> None:
    from tondo.cli.terminal import result_console
    from tondo.pictures.prepare import PictureOptions, prepare_pictures

    options = PictureOptions(
        size=args.size,
        classes=tuple(args.classes),
        crop=args.crop,
        similar=args.similar,
        keep_blurred=args.keep_blurred,
        force=args.force,
    )
    with _bars() as show:
        prepared = prepare_pictures(args.photos, args.output, options, show)
    console = result_console()
    size = f"{prepared.size}x{prepared.size}"
    cameras = "with cameras" if prepared.has_cameras else "no cameras known"
    console.print(f"{prepared.count:,} pictures of {size}, {prepared.kind}, {cameras}")
    if prepared.class_names:
        names = prepared.class_names
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        console.print(f"{len(names)} classes: {', '.join(names[:_SHOWN])}{more}")
    reasons = Counter(one.reason.split(":")[0] for one in prepared.left_out)
    for reason, count in reasons.most_common():
        first = next(one for one in prepared.left_out if one.reason.split(":")[0] == reason)
        example = first.name if count == 1 else f"{count:,} pictures, e.g. {first.name}"
        console.print(f"left out: {example}: {first.reason}")
    _print_advice(prepared.advice, prepared.folder)


def _print_advice(advice: Sequence[str], folder: Path) -> None:
    from tondo.cli.terminal import result_console

    console = result_console()
    for line in advice:
        console.print(f"- {line}")
    console.print(f"report: {folder / 'report.html'}")


@contextmanager
def _bars() -> Iterator[Callable[[str, int, int], None]]:
    """A function that shows (stage, done, total) as bars."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from tondo.cli.terminal import progress_console

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

        yield show
