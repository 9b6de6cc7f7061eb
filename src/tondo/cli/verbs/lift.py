"""`tondo lift`: one photo in, one model out, through a trained generator."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tondo.api.options import LiftOptions
from tondo.cli.arguments import Flag, Typed, Verb
from tondo.cli.verbs.export import texture_size

if TYPE_CHECKING:
    from tondo.gan.inversion.lift import Lifted


@dataclass(frozen=True)
class Command:
    """Find the style and the camera with which a generator makes the thing on a photo, then tune
    the generator to it. Beside the model: a sheet of before and after (.png) and a report (.json)
    that says how far off it is. The thing is cut out by transparency or a plain background.

    Attributes:
        photo: a picture of one thing
        generator: of the kind that is on the photo: a run of `tondo train`, a
            generator.safetensors, or the name of an installed generator
        output: model.glb, .obj, .ply or .stl
        options: how long
    """

    photo: Path
    generator: str
    output: Path
    options: LiftOptions = field(default_factory=LiftOptions)


def run(command: Command, typed: Typed) -> None:
    """Lift the photo. Raises TondoError."""
    from tondo.api.lift import lift

    with typed.screen() as screen:
        lifted = lift(
            command.photo,
            command.generator,
            command.output,
            command.options,
            watch=screen.watch,
        )
    _print(lifted, command.output)


def _print(lifted: Lifted, output: Path) -> None:
    print(f"assumed: {lifted.target.assumed}")
    for stage in lifted.stages:
        overlap = "" if stage.overlap is None else f", outlines overlap {100 * stage.overlap:.0f} %"
        print(
            f"{stage.name:17} pixels off by {stage.pixels:.3f}, "
            f"perceptual distance {stage.perceptual:.3f}{overlap}"
        )
    print(lifted.verdict)
    print(f"{output}: {len(lifted.model.mesh.faces)} faces, {lifted.seconds:.1f} s")
    sheet, report = output.with_suffix(".png"), output.with_suffix(".json")
    print(f"before and after: {sheet}; report: {report}")


VERB = Verb(
    Command,
    run,
    {
        "photo": Flag(metavar="PHOTO"),
        "generator": Flag(("--generator",), "RUN|NAME"),
        "output": Flag(("-o", "--output"), "FILE"),
        "texture": Flag(metavar="SIZE", parse=texture_size),
    },
)
