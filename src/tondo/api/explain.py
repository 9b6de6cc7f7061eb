"""Which parts of a sample the discriminator found real or fake."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.api.options import ExplainOptions
from tondo.data.records import shown
from tondo.errors import InputError, OptionError
from tondo.gan.evaluation.explain import colored, heat_maps, load_discriminator
from tondo.gan.files.open_generator import Opened, open_generator
from tondo.gan.objects.contact_sheet import turning_angles
from tondo.gan.objects.render import Rendered, render_styles
from tondo.gan.sampling.generate import styles_of
from tondo.geometry.pose_prior import cameras_by, draw_cameras
from tondo.io.images import write_png

SIDES = 8  # views round the object, every 45 degrees; chosen, not measured
DEFAULTS = ExplainOptions()


@dataclass(frozen=True)
class Explanation:
    """D's opinion of one sample.

    Attributes:
        heat: [8, S, S] logits from eight sides: above 0 taken for real, below 0 for generated.
        images: [8, S, S, 3] sRGB 0..1, the sample.
        path: the picture of both that was written.
    """

    heat: Tensor
    images: Tensor
    path: Path

    __repr__ = shown


def explain(
    run: str | Path, options: ExplainOptions = DEFAULTS, *, output: str | Path | None = None
) -> Explanation:
    """Draw a sample from eight sides and below each the discriminator's opinion: blue where it sees
    a photograph, red where it sees a generated picture.

    Args:
        run: a run of `tondo train` with its checkpoints, which hold the discriminator.
        output: a .png; None: RUN/renders/explain/seed0000.png.

    Raises:
        InputError: no such run, or it has no discriminator.
        OptionError: a seed, truncation or ending that cannot be used.
        OutputError: the picture cannot be written.

    Example:
        >>> import tondo
        >>> found = tondo.explain("generator", tondo.ExplainOptions(seed=3))
        >>> found.heat.shape, found.path.as_posix()
        (torch.Size([8, 32, 32]), 'generator/renders/explain/seed0003.png')
    """
    if output is not None and Path(output).suffix.lower() != ".png":
        raise OptionError(f"`output={output}`: the heat map is a .png")
    opened = open_generator(run)
    if opened.run is None:
        raise InputError(
            f"{run} is a generator without its run: the discriminator is in the run's "
            "checkpoints, so give the run's folder"
        )
    D = load_discriminator(opened.run, opened.trained.generator.shape.size)
    rendered, angles = _pictures(opened, options)
    images = rendered.images
    channels = torch.cat([images, rendered.alphas[..., None]], dim=3) if D.with_alpha else images
    heat = heat_maps(D, channels.permute(0, 3, 1, 2), angles if D.pose is not None else None)
    path = opened.run.renders_dir / "explain" / f"seed{options.seed:04d}.png"
    found = Explanation(heat[:SIDES], images[:SIDES], path if output is None else Path(output))
    write_png(found.path, _sheet(found.images, colored(found.heat, found.images)))
    return found


@torch.no_grad()
def _pictures(opened: Opened, options: ExplainOptions) -> tuple[Rendered, Tensor]:
    """4 * SIDES pictures and the cameras' angles: the sample from all sides, then as many
    pictures of other samples three times, because D compares the pictures of a group."""
    generator, priors = opened.trained.generator, opened.trained.priors
    size = generator.shape.size
    others = list(range(2_000_000, 2_000_000 + 3 * SIDES))
    w = styles_of(opened, [options.seed, *others], options.truncation)
    w = torch.cat([w[:1].expand(SIDES, -1), w[1:]])
    angles = turning_angles(priors, SIDES)
    viewmats, Ks = cameras_by(priors[0], angles, size)
    drawn = draw_cameras(priors, len(others), size, torch.Generator().manual_seed(0))
    viewmats, Ks = torch.cat([viewmats, drawn.viewmats]), torch.cat([Ks, drawn.Ks])
    rendered, _ = render_styles(generator, w, viewmats, Ks, size)
    return rendered, torch.cat([angles, drawn.angles])


def _sheet(images: Tensor, heat: Tensor) -> Tensor:
    """Two rows, each picture enlarged to at least 128 pixels."""
    rows = [torch.cat(list(row), dim=1) for row in (images, heat)]
    sheet = torch.cat(rows, dim=0).permute(2, 0, 1)[None]
    scale = max(1, 128 // images.shape[1])
    return F.interpolate(sheet, scale_factor=scale, mode="nearest")[0].permute(1, 2, 0).clamp(0, 1)
