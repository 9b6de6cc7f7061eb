"""`tondo explain`: which parts of a sample the discriminator found real or fake."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tondo.errors import InputError, OptionError

if TYPE_CHECKING:
    from torch import Tensor

    from tondo.gan.files.open_generator import Opened
    from tondo.gan.objects.render import Rendered

SIDES = 8


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the options of `tondo explain`."""
    parser = subparsers.add_parser(
        "explain",
        help="which parts of a sample the discriminator found real or fake",
        description="Draws a sample from eight sides and below each the discriminator's opinion: "
        "blue where it sees a photograph, red where it sees a generated picture.",
    )
    add = parser.add_argument
    add("run", metavar="RUN", type=Path, help="a run of `tondo train` with its checkpoints")
    add("--seed", type=int, default=0, metavar="N", help="of the sample (%(default)s)")
    add("--truncation", type=float, default=1.0, metavar="T", help="(%(default)s: as trained)")
    add(
        "-o",
        "--output",
        type=Path,
        metavar="FILE.png",
        help="(default: RUN/renders/explain/seed0000.png)",
    )


def run(args: argparse.Namespace) -> None:
    """Draw the heat map. Raises TondoError."""
    if not 0 <= args.seed < 2**31:
        raise OptionError(f"--seed must be at least 0, got {args.seed}")
    if args.output is not None and args.output.suffix.lower() != ".png":
        raise OptionError(f"-o {args.output}: the heat map is a .png")

    import torch

    from tondo.gan.evaluation.explain import load_discriminator
    from tondo.gan.files.open_generator import open_generator
    from tondo.io.images import write_png

    opened = open_generator(args.run)
    if opened.run is None:
        raise InputError(
            f"{args.run} is a generator without its run: the discriminator is in the run's "
            "checkpoints, so give the run's folder"
        )
    D = load_discriminator(opened.run, opened.trained.generator.shape.size)
    from tondo.gan.evaluation.explain import colored, heat_maps

    rendered, angles = _pictures(opened, args.seed, args.truncation)
    images = rendered.images
    channels = torch.cat([images, rendered.alphas[..., None]], dim=3) if D.with_alpha else images
    heat = heat_maps(D, channels.permute(0, 3, 1, 2), angles if D.pose is not None else None)
    place = args.output or opened.run.renders_dir / "explain" / f"seed{args.seed:04d}.png"
    write_png(place, _sheet(images[:SIDES], colored(heat[:SIDES], images[:SIDES])))
    own = heat[:SIDES]
    print(f"{place}: blue is taken for real, red for generated")
    print(
        f"mean logit of seed {args.seed}: {float(own.mean()):+.2f} "
        f"(most real place {float(own.max()):+.2f}, least {float(own.min()):+.2f})"
    )


def _pictures(opened: Opened, seed: int, truncation: float) -> tuple[Rendered, Tensor]:
    """4 * SIDES pictures and the cameras' angles: the sample from all sides, then as many
    pictures of other samples three times, because D compares the pictures of a group."""
    import torch

    from tondo.gan.objects.contact_sheet import turning_angles
    from tondo.gan.objects.render import render_styles
    from tondo.gan.sampling.generate import styles_of
    from tondo.geometry.pose_prior import cameras_by, draw_cameras

    trained = opened.trained
    generator, priors = trained.generator, trained.priors
    size = generator.shape.size
    others = list(range(2_000_000, 2_000_000 + 3 * SIDES))
    w = styles_of(opened, [seed, *others], truncation)
    w = torch.cat([w[:1].expand(SIDES, -1), w[1:]])
    angles = turning_angles(priors, SIDES)
    viewmats, Ks = cameras_by(priors[0], angles, size)
    drawn = draw_cameras(priors, len(others), size, torch.Generator().manual_seed(0))
    viewmats, Ks = torch.cat([viewmats, drawn.viewmats]), torch.cat([Ks, drawn.Ks])
    with torch.no_grad():
        rendered, _ = render_styles(generator, w, viewmats, Ks, size)
    return rendered, torch.cat([angles, drawn.angles])


def _sheet(images: Tensor, heat: Tensor) -> Tensor:
    import torch
    import torch.nn.functional as F

    rows = [torch.cat(list(row), dim=1) for row in (images, heat)]
    sheet = torch.cat(rows, dim=0).permute(2, 0, 1)[None]
    scale = max(1, 128 // images.shape[1])
    return F.interpolate(sheet, scale_factor=scale, mode="nearest")[0].permute(1, 2, 0).clamp(0, 1)
