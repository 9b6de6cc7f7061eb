"""`tondo render`: pictures, depth, normals and videos of a scene."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tondo.cli.options import UP_HELP, color, direction, positive_float, positive_int

if TYPE_CHECKING:
    from tondo.api.render_files import RenderedFiles


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the options of `tondo render`."""
    parser = subparsers.add_parser(
        "render",
        help="pictures, depth, normals and videos of a scene",
        description="Write a PNG for each camera of a file, or a video along a path, or both.",
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="a run, .safetensors or splat .ply")
    parser.add_argument(
        "--cameras",
        type=Path,
        metavar="FILE",
        help="transforms.json with the cameras, or nerfstudio's camera_path.json",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for the pictures")
    parser.add_argument(
        "--max-size", type=positive_int, metavar="N", help="longest side at most N pixels"
    )
    parser.add_argument(
        "--depth",
        action="store_true",
        help="also DIR/depth/NAME.npy and .png (16 bit, 1/1000 or as depth_scale.json there says)",
    )
    parser.add_argument(
        "--normals", action="store_true", help="also DIR/normals/NAME.png, world space"
    )
    parser.add_argument(
        "--background", type=color, metavar="COLOR", help="white, black or r,g,b (0..1 each)"
    )
    parser.add_argument(
        "--exposure",
        choices=("predicted", "mean"),
        default="predicted",
        help="brightness of the pictures where it varied between the photos: as photos from nearby "
        "suggest, or their mean, as in videos (%(default)s)",
    )
    parser.add_argument("--video", type=Path, metavar="FILE.mp4", help="write a video")
    parser.add_argument(
        "--path",
        choices=("orbit", "spiral", "cameras"),
        help="the video's path; cameras: through those of --cameras, one a frame (orbit; cameras "
        "with a camera_path.json)",
    )
    parser.add_argument("--up", type=direction, metavar="DIR", help=UP_HELP)
    parser.add_argument(
        "--frames", type=positive_int, default=120, help="frames of the video (%(default)s)"
    )
    parser.add_argument(
        "--fps", type=positive_float, help="frames per second (30, or that of a camera_path.json)"
    )


def run(args: argparse.Namespace) -> None:
    """Render what was asked for and say what came of it. Raises TondoError."""
    from tondo.api.options import RenderOptions
    from tondo.api.render_files import render_files
    from tondo.cli.terminal import Screen

    options = RenderOptions(
        max_size=args.max_size,
        depth=args.depth,
        normals=args.normals,
        background=args.background,
        exposure=args.exposure,
        path=args.path,
        up=args.up,
        frames=args.frames,
        fps=args.fps,
    )
    with Screen() as screen:
        done = render_files(
            args.run,
            options,
            cameras=args.cameras,
            output=args.output,
            video=args.video,
            watch=screen.watch,
        )
    if done.pictures:
        print(f"{args.output}: {len(done.pictures)} pictures in {done.seconds:.1f} s")
    _print_scale(done)
    if done.renamed:
        print(
            f"{done.renamed} pictures carry a folder's name or a number too, because frames share "
            "a file name (or have one that cannot be used)"
        )
    if done.video is not None:
        film, seconds = done.video, done.video.frames / done.video.fps
        print(f"{film.path}: {film.kind} of {film.frames} frames, {seconds:.1f} s long")


def _print_scale(done: RenderedFiles) -> None:
    """What differs from depth in thousandths of a unit, all of it within 16 bits."""
    folder, scale = done.depth, done.depth_scale
    if scale is None:
        return
    if not scale.is_usual:
        print(
            f"{folder}/*.png have {scale.steps_per_world_unit:g} steps in a world unit "
            "(depth_scale.json says so too)"
        )
    if scale.pixels_beyond:
        print(
            f"{scale.pixels_beyond} pixels of {folder}/*.png are farther than {scale.farthest:g} "
            "world units and hold 65535; the .npy beside them are exact"
        )
