"""What a generator's latent space can be moved along, with a strip of pictures for each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tondo.api.options import DirectionsOptions
from tondo.errors import OptionError, OutputError
from tondo.gan.files.open_generator import Opened, open_generator
from tondo.gan.objects.contact_sheet import turning_angles, view_from
from tondo.gan.sampling.directions import (
    Directions,
    Move,
    find_directions,
    moved,
    save_directions,
)
from tondo.gan.sampling.generate import styles_of
from tondo.io.images import write_png
from tondo.runs.watch import SILENT, Watch

STEPS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)  # standard deviations; chosen
SEEDS = (0, 1, 2)  # rows of the strips; chosen
SIDE = 96  # pixels of their pictures; chosen
DEFAULTS = DirectionsOptions()


@dataclass(frozen=True)
class FoundDirections:
    """What was found.

    Attributes:
        directions: steps in w, [N, W] of each kind.
        folder: of the strips. saved: the file beside the generator by which `generate` moves, or
            None where its folder cannot be written to (then they are found anew each time).
    """

    directions: Directions
    folder: Path
    saved: Path | None


def directions(
    generator: str | Path,
    options: DirectionsOptions = DEFAULTS,
    *,
    output: str | Path | None = None,
    watch: Watch = SILENT,
) -> FoundDirections:
    """Find directions of w without labels: closed-form ones from the modulation weights (Shen and
    Zhou 2021, SeFa, equation 8) and principal components of w (Härkönen et al. 2020, GANSpace,
    section 2.1). Write each as a strip of three models at -3 to +3 standard deviations.

    Args:
        generator: a run's folder, a generator's file, or the name of an installed generator.
        output: folder for the strips; None: RUN/renders/directions, without a run NAME_directions.

    Raises:
        InputError: no such generator, or its file is damaged.
        OptionError: a count or truncation that cannot be used.
        OutputError: the strips cannot be written.

    Example:
        >>> import tondo
        >>> found = tondo.directions("fish", tondo.DirectionsOptions(count=2), output="strips")
        >>> found.directions.closed.shape[0], (found.folder / "closed-00.png").exists()
        (2, True)
        >>> moved = tondo.generate("fish", [3], tondo.GenerateOptions(move=("0=+2", "p1=-1")))
        >>> moved[0].mesh.faces.shape[1]
        3
    """
    opened = open_generator(generator)
    made = opened.trained.generator
    if not 1 <= options.count <= made.shape.w:
        raise OptionError(f"`count`: w has {made.shape.w} numbers, got {options.count}")
    w = styles_of(opened, SEEDS, options.truncation)
    found = find_directions(made, options.count)
    if output is not None:
        folder = Path(output)
    elif opened.run is not None:
        folder = opened.run.renders_dir / "directions"
    else:
        folder = Path(f"{opened.name}_directions")
    # a strip's name must mean the same to `generate`: what is drawn is what is saved
    save_directions(folder / "directions.safetensors", found, made)
    _draw(folder, opened, w, found, watch)
    saved: Path | None = opened.companion("directions")
    try:
        save_directions(opened.companion("directions"), found, made)
    except OutputError:
        saved = None
    return FoundDirections(found, folder, saved)


def _draw(folder: Path, opened: Opened, w: Tensor, found: Directions, watch: Watch) -> None:
    generator, priors = opened.trained.generator, opened.trained.priors
    angle = turning_angles(priors, 8)[1]
    for name, rows in (("closed", found.closed), ("principal", found.principal)):
        first = []
        for index in watch.over(range(len(rows)), f"{name} strips"):
            columns = []
            for step in STEPS:
                style = moved(w, (Move(index, step, name == "principal"),), found)
                columns.append(view_from(generator, style, priors, angle, SIDE))
            strip = torch.cat([torch.cat(list(column), dim=0) for column in columns], dim=1)
            write_png(folder / f"{name}-{index:02d}.png", strip)
            first.append(strip[:SIDE])
        write_png(folder / f"{name}.png", torch.cat(first, dim=0))
