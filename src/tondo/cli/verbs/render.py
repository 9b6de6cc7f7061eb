"""`tondo render`: pictures, depth, normals and videos of a scene or a mesh."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tondo.api.options import RenderOptions
from tondo.cli.arguments import Flag, Typed, Verb, color

if TYPE_CHECKING:
    from tondo.api.render_files import RenderedFiles


@dataclass(frozen=True)
class Command:
    """Write a PNG for each camera of a file, or a video along a path, or both.

    Attributes:
        run: a run, .safetensors, splat .ply or mesh
        cameras: transforms.json with the cameras, or nerfstudio's camera_path.json
        output: folder for the pictures
        video: video to write
        options: how
    """

    run: Path
    cameras: Path | None = None
    output: Path | None = None
    video: Path | None = None
    options: RenderOptions = field(default_factory=RenderOptions)


def run(command: Command, typed: Typed) -> None:
    """Render what was asked for and say what came of it. Raises TondoError."""
    from tondo.api.render_files import render_files

    with typed.screen() as screen:
        done = render_files(
            command.run,
            command.options,
            cameras=command.cameras,
            output=command.output,
            video=command.video,
            watch=screen.watch,
        )
    if done.pictures:
        print(f"{command.output}: {len(done.pictures)} pictures in {done.seconds:.1f} s")
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


VERB = Verb(
    Command,
    run,
    {
        "output": Flag(("-o", "--output"), "DIR"),
        "background": Flag(metavar="COLOR", parse=color),
        "video": Flag(metavar="FILE.mp4"),
    },
)
