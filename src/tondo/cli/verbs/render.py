"""`tondo render`: pictures, depth, normals and videos of a scene."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tondo.cli.options import UP_HELP, color, direction, positive_float, positive_int
from tondo.errors import InputError, OptionError

if TYPE_CHECKING:
    from tondo.data.cameras import Camera
    from tondo.io.models.depth_scale import DepthScale
    from tondo.io.posed.camera_path import CameraPath
    from tondo.scenes.open import OpenedScene

MOST_PIXELS = 2**27


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
    """Render what was asked for. Raises TondoError."""
    pictures = args.cameras is not None and args.output is not None
    if not pictures and args.video is None:
        raise OptionError(
            "nothing to render: give --cameras transforms.json with -o DIR, or --video file.mp4"
        )
    if args.output is not None and args.cameras is None:
        raise OptionError("-o DIR needs --cameras transforms.json, the cameras to render from")
    if (args.depth or args.normals) and not pictures:
        raise OptionError("--depth and --normals go with --cameras transforms.json and -o DIR")
    if args.video is not None and args.video.suffix.lower() != ".mp4":
        raise OptionError(f"--video writes .mp4 files, got {args.video}")

    from tondo.scenes.open import open_scene

    opened = open_scene(args.run, args.background, args.up)
    for note in opened.notes:
        print(note)
    given = _camera_path(args, opened)
    for note in () if given is None else given.notes:
        print(note)
    if pictures:
        _render_pictures(args, opened)
    if args.video is not None:
        _render_video(args, opened, None if given is None else given.fps)


def _camera_path(args: argparse.Namespace, opened: OpenedScene) -> CameraPath | None:
    """nerfstudio's camera path, if that is what --cameras gives."""
    from tondo.io.posed.camera_path import find_camera_path

    if args.cameras is None:
        return None
    found = find_camera_path(args.cameras, _size(opened))
    if found is not None and args.path is None:
        args.path = "cameras"
    return found


def _size(opened: OpenedScene) -> tuple[int, int] | None:
    """(width, height) of the run's photos, for files that say none."""
    from tondo.scenes.open import photo_cameras

    known = photo_cameras(opened)
    return (known[0].width, known[0].height) if known else None


def _render_pictures(args: argparse.Namespace, opened: OpenedScene) -> None:
    from rich.progress import track

    from tondo.cli.terminal import progress_console
    from tondo.geometry.cameras import fitted
    from tondo.io.file_names import unique_names
    from tondo.io.images import write_depth, write_png
    from tondo.io.models.depth_scale import rescale_depths
    from tondo.io.posed.photos import load_cameras
    from tondo.scenes.render import render_view

    place = opened.scene.world_from_scene
    size = _size(opened)  # Blender's files name none
    named = load_cameras(args.cameras, default_size=size, world_from_scene=place)
    if not named:
        raise InputError(f"{args.cameras} has no cameras")
    cameras = [fitted(one.camera, args.max_size) for one in named]
    _check_sizes(cameras)
    names = unique_names([one.name for one in named])
    stems = [one.name.split("/")[-1] for one in named]
    renamed = sum(name != stem for name, stem in zip(names, stems, strict=True))
    started = time.perf_counter()
    pairs = list(zip(names, cameras, strict=True))
    for name, camera in track(pairs, "rendering", console=progress_console()):
        view = render_view(
            opened.scene, camera, with_normals=args.normals, exposed=args.exposure == "predicted"
        )
        write_png(args.output / f"{name}.png", view.color)
        if args.depth:
            write_depth(args.output / "depth" / name, view.depth.double() * place.scale)
        if view.normals is not None:
            shown = view.normals * view.alpha[..., None]  # grey where nothing is
            write_png(args.output / "normals" / f"{name}.png", (shown + 1) / 2)
    seconds = time.perf_counter() - started
    print(f"{args.output}: {len(names)} pictures in {seconds:.1f} s")
    if args.depth:
        _print_scale(rescale_depths(args.output / "depth", names), args.output / "depth")
    if renamed:
        print(
            f"{renamed} pictures carry a folder's name or a number too, because frames share a "
            "file name (or have one that cannot be used)"
        )


def _print_scale(scale: DepthScale, folder: Path) -> None:
    """What differs from depth in thousandths of a unit, all of it within 16 bits."""
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


def _render_video(args: argparse.Namespace, opened: OpenedScene, fps: float | None) -> None:
    import torch
    from rich.progress import track

    from tondo.cli.terminal import progress_console
    from tondo.io.video import write_video
    from tondo.scenes.render import render_view

    scene = opened.scene
    cameras = [_even(camera, args.max_size) for camera in _path_cameras(args, opened)]
    _check_sizes(cameras)
    kind = args.path or "orbit"
    path = cameras if kind == "cameras" else _made_path(args, kind, opened, cameras)
    if len({(camera.width, camera.height) for camera in path}) > 1:
        raise InputError(f"the cameras of {args.cameras} have several sizes: a video has one")
    frames = (
        (render_view(scene, camera).color * 255).round().to(torch.uint8)
        for camera in track(path, "video", console=progress_console())
    )
    rate = args.fps or fps or 30.0
    write_video(args.video, frames, rate)
    print(f"{args.video}: {kind} of {len(path)} frames, {len(path) / rate:.1f} s long")


def _made_path(
    args: argparse.Namespace, kind: str, opened: OpenedScene, cameras: list[Camera]
) -> list[Camera]:
    """An orbit or a spiral around the scene."""
    from tondo.geometry.camera_paths import orbit, spiral
    from tondo.scenes.open import settled_up

    up, note = settled_up(opened, cameras)
    if note is not None:
        print(note)
    make = orbit if kind == "orbit" else spiral
    try:
        return make(cameras, opened.scene.center, up, args.frames)
    except ValueError as error:
        raise InputError(f"no {kind} can be made for {args.run}: {error}") from error


def _path_cameras(args: argparse.Namespace, opened: OpenedScene) -> list[Camera]:
    """The cameras that a path is derived from: those of the photos, or those given."""
    from tondo.scenes.open import photo_cameras, read_cameras

    cameras = photo_cameras(opened)
    if cameras is not None and not (args.path == "cameras" and args.cameras is not None):
        return cameras
    if args.cameras is None:
        raise OptionError(
            f"a path around {args.run} needs to know where the photos were taken: "
            "give --cameras transforms.json"
        )
    return read_cameras(args.cameras, opened.scene.world_from_scene)


def _even(camera: Camera, max_size: int | None) -> Camera:
    """No larger than asked for, and with even sides, as video wants them."""
    from tondo.geometry.cameras import fitted, scaled

    camera = fitted(camera, max_size)
    return scaled(camera, max(2, camera.width // 2 * 2), max(2, camera.height // 2 * 2))


def _check_sizes(cameras: list[Camera]) -> None:
    largest = max(cameras, key=lambda camera: camera.width * camera.height)
    if largest.width * largest.height > MOST_PIXELS:
        raise OptionError(
            f"a picture of {largest.width}x{largest.height} is too large: give --max-size"
        )
