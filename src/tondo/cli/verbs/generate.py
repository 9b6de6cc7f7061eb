"""`tondo generate`: new models from a trained generator."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from tondo.cli.options import positive_int
from tondo.errors import OptionError

if TYPE_CHECKING:
    from torch import Tensor

    from tondo.gan.files.open_generator import Opened

FORMATS = ("glb", "ply", "obj", "stl", "splats", "png", "mp4")
MOST_SEEDS = 10_000
MOST_PIXELS = 2048
GRID_ROWS = 16
FRAMES, FPS = 72, 24
STEPS_BETWEEN = 36


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the options of `tondo generate`."""
    parser = subparsers.add_parser(
        "generate",
        help="new models from a trained generator",
        description="One model for each seed, and a grid of pictures of all of them. RUN|NAME: a "
        "run of `tondo train`, a generator.safetensors, or the name of an installed generator.",
    )
    add = parser.add_argument
    add("generator", metavar="RUN|NAME")
    add("--seeds", type=seeds, default=list(range(8)), metavar="A-B,C", help="(0-7)")
    add("-o", "--output", type=Path, metavar="DIR", help="(default: NAME_models)")
    add(
        "--format",
        type=formats,
        default=["glb", "png"],
        metavar="F,F",
        help=f"of {', '.join(FORMATS)} (glb,png): meshes, splats as .ply, a strip of eight views, "
        "a turntable",
    )
    add(
        "--truncation",
        type=float,
        default=0.8,
        metavar="T",
        help="0..1.5: less is more typical and less varied, 1 is as trained (%(default)s)",
    )
    add(
        "--move",
        action="append",
        default=[],
        metavar="N=STEPS",
        help="go along a direction of `tondo directions`: 3=+2.0, or p0=-1 for a principal one",
    )
    add("--interpolate", action="store_true", help="also interpolation.mp4, from seed to seed")
    add("--size", type=positive_int, metavar="N", help="pixels a side of the pictures")


def run(args: argparse.Namespace) -> None:
    """Write the models. Raises TondoError."""
    import time

    from tondo.gan.files.open_generator import open_generator
    from tondo.gan.sampling.generate import styles_of

    if args.interpolate and len(args.seeds) < 2:
        raise OptionError("--interpolate goes from seed to seed: give at least two, --seeds 0-3")
    if args.size is not None and not 16 <= args.size <= MOST_PIXELS:
        raise OptionError(f"--size must lie within 16..{MOST_PIXELS}, got {args.size}")
    opened = open_generator(args.generator)
    w = styles_of(opened, args.seeds, args.truncation, args.move)
    size = args.size or max(128, opened.trained.generator.shape.size)
    folder = args.output or Path(f"{opened.name}_models")
    started = time.perf_counter()
    _write_models(args, folder, opened, w, size)
    _write_grid(folder / "grid.png", opened, w, size)
    if args.interpolate:
        _write_interpolation(folder / "interpolation.mp4", opened, w, size)
    seconds = time.perf_counter() - started
    count = len(args.seeds)
    print(f"{folder}: {count} model{'s' if count != 1 else ''} in {seconds:.1f} s")
    print(f"pictures: {folder / 'grid.png'}")
    licence = opened.trained.card.licence
    if licence:
        print(f"made from pictures under: {licence}")


def _write_models(
    args: argparse.Namespace, folder: Path, opened: Opened, w: Tensor, size: int
) -> None:
    import torch
    from rich.progress import track

    from tondo.cli.terminal import progress_console
    from tondo.gan.objects.contact_sheet import views
    from tondo.gan.objects.export import UP
    from tondo.gan.sampling.generate import model_of
    from tondo.io.images import write_png
    from tondo.io.models.mesh_files import write_mesh
    from tondo.io.models.ply import write_splats
    from tondo.io.video import write_video

    generator, priors = opened.trained.generator, opened.trained.priors
    pairs = list(zip(args.seeds, w, strict=True))
    for seed, style in track(pairs, "models", console=progress_console()):
        model = model_of(generator, style, seed, opened.path)
        stem = folder / f"seed{seed:04d}"
        for ending in args.format:
            if ending == "png":
                rendered = views(generator, style[None], priors, size)
                write_png(stem.with_suffix(".png"), torch.cat(list(rendered.images), dim=1))
            elif ending == "mp4":
                frames = _turntable(opened, style, size)
                write_video(stem.with_suffix(".mp4"), frames, FPS)
            elif ending == "splats":
                path = stem.with_name(f"{stem.name}_splats.ply")
                write_splats(path, model.splats.splats, up=model.splats.up)
            else:
                write_mesh(stem.with_suffix(f".{ending}"), model.mesh, torch.tensor(UP))


def _turntable(opened: Opened, style: Tensor, size: int) -> list[Tensor]:
    """Once round, or there and back where the generator was trained on one side only."""
    import torch

    from tondo.gan.objects.contact_sheet import views

    trained = opened.trained
    rendered = views(trained.generator, style[None], trained.priors, size, FRAMES)
    frames = [(image.clamp(0, 1) * 255).round().to(torch.uint8) for image in rendered.images]
    low, high = trained.priors[0].azimuth
    return frames if high - low >= 359.9 else frames + frames[-2:0:-1]


def _write_grid(path: Path, opened: Opened, w: Tensor, size: int) -> None:
    from tondo.gan.objects.contact_sheet import grid
    from tondo.io.images import write_png

    trained = opened.trained
    write_png(path, grid(trained.generator, w[:GRID_ROWS], trained.priors, min(size, 128)))
    if len(w) > GRID_ROWS:
        print(f"the grid shows the first {GRID_ROWS} of {len(w)} seeds")


def _write_interpolation(path: Path, opened: Opened, w: Tensor, size: int) -> None:
    """From each seed to the next and back to the first, turning once in all."""
    import torch

    from tondo.gan.objects.contact_sheet import turning_angles
    from tondo.gan.objects.render import render_styles
    from tondo.geometry.pose_prior import cameras_by
    from tondo.io.video import write_video

    generator, priors = opened.trained.generator, opened.trained.priors
    count = STEPS_BETWEEN * len(w)
    angles = turning_angles(priors, count)
    low, high = priors[0].azimuth
    if high - low < 359.9:  # there and back, so that the film closes
        angles = torch.cat([angles[::2], angles[::2].flip(0)])[:count]
    viewmats, Ks = cameras_by(priors[0], angles, size)
    frames = []
    with torch.no_grad():
        for k in range(count):
            seed, step = divmod(k, STEPS_BETWEEN)
            share = 0.5 - 0.5 * float(torch.cos(torch.tensor(step / STEPS_BETWEEN * torch.pi)))
            style = w[seed].lerp(w[(seed + 1) % len(w)], share)[None]
            rendered, _ = render_styles(generator, style, viewmats[k : k + 1], Ks[k : k + 1], size)
            frames.append((rendered.images[0].clamp(0, 1) * 255).round().to(torch.uint8))
    write_video(path, frames, FPS)
    print(f"{path}: {count / FPS:.0f} s from seed to seed")


def seeds(text: str) -> list[int]:
    """Numbers from "0-7", "3" or "1,5,9-12", in that order, without repeats."""
    found: list[int] = []
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        try:
            first = int(low)
            last = int(high) if dash else first
        except ValueError:
            first, last = 0, -1
        if not 0 <= first <= last < 2**31 or last - first >= MOST_SEEDS:
            raise argparse.ArgumentTypeError(
                f"expected seeds such as 0-7 or 1,5,9-12 (at most {MOST_SEEDS}), got {text!r}"
            )
        found.extend(range(first, last + 1))
    return list(dict.fromkeys(found))


def formats(text: str) -> list[str]:
    """Known formats from "glb,png"."""
    found = [part.strip().lower().removeprefix(".") for part in text.split(",")]
    for name in found:
        if name not in FORMATS:
            close = difflib.get_close_matches(name, FORMATS, n=1, cutoff=0.5)
            guess = f"; did you mean {close[0]}?" if close else ""
            raise argparse.ArgumentTypeError(
                f"expected some of {','.join(FORMATS)}, got {name!r}{guess}"
            )
    return list(dict.fromkeys(found))
