"""`tondo lift`: one photo in, one model out, through a trained generator."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tondo.errors import OptionError, OutputError

if TYPE_CHECKING:
    from torch import Tensor

    from tondo.gan.inversion.lift import Lifted
    from tondo.geometry.pose_prior import PosePrior

ENDINGS = (".glb", ".obj", ".ply", ".stl")
SIDES = 6
SIDE = 128


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the options of `tondo lift`."""
    parser = subparsers.add_parser(
        "lift",
        help="one photo in, a model out, through a trained generator",
        description="Find the style and the camera with which a generator makes the thing on a "
        "photo, then tune the generator to it. Beside the model: a sheet of before and after "
        "(.png) and a report (.json) that says how far off it is. The thing is cut out by "
        "transparency or a plain background.",
    )
    add = parser.add_argument
    add("photo", metavar="PHOTO", type=Path)
    add("--generator", metavar="RUN|NAME", required=True, help="of the kind that is on the photo")
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="model.glb .obj .ply .stl")
    add("--latent-steps", type=_steps, default=240, metavar="N", help="(%(default)s)")
    add("--tuning-steps", type=_steps, default=120, metavar="N", help="(%(default)s); 0 for none")


def run(args: argparse.Namespace) -> None:
    """Lift the photo. Raises TondoError."""
    if args.output.suffix.lower() not in ENDINGS:
        raise OptionError(
            f"-o {args.output}: a model can be written as {', '.join(ENDINGS)}, "
            f"got {args.output.suffix or 'no ending'!r}"
        )
    if args.output.is_dir():
        raise OutputError(f"cannot write {args.output}: a folder of that name is there already")
    sheet, report = (args.output.with_suffix(ending) for ending in (".png", ".json"))
    _spare_photo(args.photo, {"model": args.output, "sheet": sheet, "report": report})

    import torch
    from rich.progress import Progress

    from tondo.cli.terminal import progress_console
    from tondo.gan.files.open_generator import open_generator
    from tondo.gan.inversion.lift import lift, report_json
    from tondo.gan.objects.export import UP
    from tondo.io.atomic import write_json
    from tondo.io.images import write_png
    from tondo.io.models.mesh_files import write_mesh

    opened = open_generator(args.generator)
    if not opened.companion("encoder").is_file():
        print("no encoder beside this generator yet: training one (about a minute, once)")
    with Progress(console=progress_console()) as bar:
        tasks: dict[str, Any] = {}

        def watch(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of)
            bar.update(tasks[what], completed=done)

        lifted = lift(
            args.photo,
            args.generator,
            latent_steps=args.latent_steps,
            tuning_steps=args.tuning_steps,
            watch=watch,
        )
    write_mesh(args.output, lifted.model.mesh, torch.tensor(UP))
    write_png(sheet, _sheet(lifted, opened.trained.priors))
    write_json(report, report_json(lifted, args.photo, str(args.generator)))
    _print(lifted, args.output, sheet, report)


def _spare_photo(photo: Path, written: dict[str, Path]) -> None:
    """Raises OptionError where a file that is to be written is the photo, by whatever name."""
    for what, path in written.items():
        if photo.exists() and path.exists() and path.samefile(photo):
            raise OptionError(
                f"-o {written['model']}: the {what} would be written over the photo, {path}: "
                "choose another name with -o"
            )


def _sheet(lifted: Lifted, priors: tuple[PosePrior, ...]) -> Tensor:
    """Photo, encoder, style and camera, tuned; below, the model from all sides."""
    import torch
    import torch.nn.functional as F

    from tondo.gan.objects.contact_sheet import views

    def sized(image: Tensor) -> Tensor:
        x = image.permute(2, 0, 1)[None]
        return F.interpolate(x, size=(SIDE, SIDE), mode="bilinear")[0].permute(1, 2, 0)

    first = [lifted.target.image, *(stage.image for stage in lifted.stages)]
    blank = torch.ones(SIDE, SIDE, 3)
    top = [sized(image) for image in first] + [blank] * (SIDES - len(first))
    below = views(lifted.generator, lifted.w, priors, SIDE, SIDES).images
    return torch.cat([torch.cat(top, dim=1), torch.cat(list(below), dim=1)]).clamp(0, 1)


def _print(lifted: Lifted, output: Path, sheet: Path, report: Path) -> None:
    print(f"assumed: {lifted.target.assumed}")
    for stage in lifted.stages:
        overlap = "" if stage.overlap is None else f", outlines overlap {100 * stage.overlap:.0f} %"
        print(
            f"{stage.name:17} pixels off by {stage.pixels:.3f}, "
            f"perceptual distance {stage.perceptual:.3f}{overlap}"
        )
    print(lifted.verdict)
    print(f"{output}: {len(lifted.model.mesh.faces)} faces, {lifted.seconds:.1f} s")
    print(f"before and after: {sheet}; report: {report}")


def _steps(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 10000, got {text!r}")
    return value
