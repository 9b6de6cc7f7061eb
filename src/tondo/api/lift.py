"""One photo in, one model out, through a trained generator."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.api.options import LiftOptions
from tondo.errors import OptionError, OutputError
from tondo.gan.files.open_generator import open_generator
from tondo.gan.inversion.lift import Lifted, lift_photo, report_json
from tondo.gan.inversion.photograph import pictures_of
from tondo.gan.objects.contact_sheet import views
from tondo.gan.sampling.write import write_model
from tondo.geometry.pose_prior import PosePrior
from tondo.io.atomic import write_json
from tondo.io.images import write_png
from tondo.io.models.mesh_files import UP_AXES
from tondo.runs.watch import SILENT, Watch

SHEET, REPORT = ".png", ".json"
SIDES, SIDE = 6, 128  # of the sheet; chosen
DEFAULTS = LiftOptions()


def lift(
    photo: str | Path,
    generator: str | Path,
    output: str | Path | None = None,
    options: LiftOptions = DEFAULTS,
    *,
    watch: Watch = SILENT,
) -> Lifted:
    """The model that a generator makes of one photograph; the same each time.

    Finds the style and the camera with which the generator makes the thing on the photo, then tunes
    the generator to it. The generator's encoder is read from beside it, or trained first (about a
    minute) and kept.

    Args:
        photo: of one thing of the generator's kind; cut out by its alpha or a plain background
            where there is one.
        generator: a run's folder, a generator's file, or the name of an installed generator.
        output: model.glb, .obj, .ply or .stl; beside it come a sheet of before and after (.png) and
            a report (.json). None: no files.

    Raises:
        InputError: the photo or the generator cannot be read.
        OptionError: an ending or number of steps that cannot be used, or the photo would be
            written over.
        OutputError: the files cannot be written.

    Example:
        >>> import tondo
        >>> options = tondo.LiftOptions(latent_steps=2, tuning_steps=1)
        >>> lifted = tondo.lift("photo.png", "fish", "lifted.glb", options)
        >>> [stage.name for stage in lifted.stages]
        ['encoder', 'style and camera', 'tuned']
        >>> lifted.verdict.split(":")[0] in ("close", "rough", "far off")
        True
    """
    photo, output = Path(photo), None if output is None else Path(output)
    if output is not None:
        _check_files(output, photo)
    opened = open_generator(generator)
    if not opened.companion("encoder").is_file():
        watch.note("no encoder beside this generator yet: training one (about a minute, once)")
    lifted = lift_photo(opened, photo, (options.latent_steps, options.tuning_steps), watch.stage)
    if output is not None:
        shape, pictures = lifted.generator.shape, pictures_of(lifted, photo)
        write_model([output], lifted.model, shape, options.texture, watch, photographs=pictures)
        write_png(output.with_suffix(SHEET), _sheet(lifted, opened.trained.priors))
        write_json(output.with_suffix(REPORT), report_json(lifted, photo, str(generator)))
    return lifted


def _check_files(model: Path, photo: Path) -> None:
    """Find out before the work that a file cannot be written, or is the photo by another name."""
    if model.suffix.lower() not in UP_AXES:
        raise OptionError(
            f"`output={model}`: a model can be written as {', '.join(UP_AXES)}, "
            f"got {model.suffix or 'no ending'!r}"
        )
    if model.is_dir():
        raise OutputError(f"cannot write {model}: a folder of that name is there already")
    for what, ending in (("model", model.suffix), ("sheet", SHEET), ("report", REPORT)):
        path = model.with_suffix(ending)
        if photo.exists() and path.exists() and path.samefile(photo):
            raise OptionError(
                f"`output={model}`: the {what} would be written over the photo, {path}: "
                "choose another name for `output`"
            )


def _sheet(lifted: Lifted, priors: tuple[PosePrior, ...]) -> Tensor:
    """Photo, encoder, style and camera, tuned; below, the model from all sides."""

    def sized(image: Tensor) -> Tensor:
        x = image.permute(2, 0, 1)[None]
        return F.interpolate(x, size=(SIDE, SIDE), mode="bilinear")[0].permute(1, 2, 0)

    first = [lifted.target.image, *(stage.image for stage in lifted.stages)]
    blank = torch.ones(SIDE, SIDE, 3)
    top = [sized(image) for image in first] + [blank] * (SIDES - len(first))
    below = views(lifted.generator, lifted.w, priors, SIDE, SIDES).images
    return torch.cat([torch.cat(top, dim=1), torch.cat(list(below), dim=1)]).clamp(0, 1)
