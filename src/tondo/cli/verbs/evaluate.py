"""`tondo evaluate`: a scene against photos it has not seen, or its mesh against a scan."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tondo.cli.options import MASKS_HELP, color, positive_float, positive_int

if TYPE_CHECKING:
    from tondo.api.evaluate_surface import SurfaceMetrics
    from tondo.evaluation.evaluate import ReconstructionMetrics
    from tondo.gan.evaluation.evaluate import GeneratorMetrics

ROWS = 30


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the options of `tondo evaluate`."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a scene on held-out photos, its mesh against a scan, or a generator",
        description="PSNR, SSIM and perceptual distance on held-out photos with side-by-side "
        "pictures; with --mesh chamfer distance and F-score. A run of `tondo train`: Fréchet and "
        "kernel distance, precision, recall, diversity and 3D checks. Results go to metrics.json.",
    )
    parser.add_argument(
        "run", metavar="RUN|NAME", type=Path, help="a run, .safetensors, splat .ply or generator"
    )
    parser.add_argument(
        "--cameras",
        type=Path,
        metavar="FILE",
        help="measure on all photos of this transforms.json instead of the run's held-out ones",
    )
    parser.add_argument(
        "--source", type=Path, metavar="PHOTOS", help="where the run's photos are, if they moved"
    )
    parser.add_argument(
        "--masks", metavar="auto|none|DIR", help=f"{MASKS_HELP} (default: as trained)"
    )
    parser.add_argument(
        "--samples",
        type=positive_int,
        metavar="N",
        help="of a generator: how many pictures and samples are compared (2000)",
    )
    parser.add_argument(
        "--features",
        metavar="NET",
        help="of a generator: the network to measure over: efficientnet-lite0 (default), resnet50 "
        "or densenet121 (fetched from PyTorch's hub), resnet50:FILE or densenet121:FILE",
    )
    parser.add_argument(
        "--max-size", type=positive_int, metavar="N", help="longest side (default: as trained)"
    )
    parser.add_argument(
        "--background", type=color, metavar="COLOR", help="white, black or r,g,b (0..1 each)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="(default: RUN and RUN/renders/evaluate)"
    )
    _add_of_a_mesh(parser)


def _add_of_a_mesh(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mesh", type=Path, metavar="TRUTH", help="true mesh or point cloud, in the world's axes"
    )
    parser.add_argument(
        "--ours",
        type=Path,
        metavar="FILE",
        help="compare this mesh with TRUTH (default: the one of `tondo export --frame world`)",
    )
    parser.add_argument(
        "--frame",
        choices=("format", "world"),
        help="axes of FILE, as in `tondo export` (default: what the file says, otherwise world)",
    )
    parser.add_argument(
        "--threshold",
        type=positive_float,
        metavar="D",
        help="F-score's distance in world units (default: 1 %% of the true bounding box' diagonal)",
    )
    parser.add_argument(
        "--resolution",
        type=positive_int,
        default=256,
        metavar="N",
        help="voxels along the longest side of our mesh, as in `tondo export` (%(default)s)",
    )
    parser.add_argument(
        "--points",
        type=positive_int,
        default=100_000,
        metavar="N",
        help="points taken from each mesh (%(default)s)",
    )


def run(args: argparse.Namespace) -> None:
    """Measure what was asked for and print it. Raises TondoError."""
    from tondo.api.evaluate import evaluate
    from tondo.api.options import EvaluateOptions, SurfaceOptions
    from tondo.cli.terminal import Screen

    surface = SurfaceOptions(
        mesh=args.mesh,
        ours=args.ours,
        frame=args.frame,
        threshold=args.threshold,
        resolution=args.resolution,
        points=args.points,
    )
    options = EvaluateOptions(
        cameras=args.cameras,
        source=args.source,
        masks=args.masks,
        max_size=args.max_size,
        background=args.background,
        samples=args.samples,
        features=args.features,
        surface=surface,
    )
    with Screen() as screen:
        found = evaluate(args.run, options, output=args.output, watch=screen.watch)
    if found.photos is not None:
        _print_photos(found.photos)
    if found.surface is not None:
        _print_surface(found.surface)
    if found.generator is not None:
        _print_generator(found.generator)
    if found.pictures is not None:
        print(f"pictures: {found.pictures}")
    print(f"metrics:  {found.metrics_path}")


def _print_photos(metrics: ReconstructionMetrics) -> None:
    from rich.table import Table

    from tondo.cli.terminal import result_console

    table = Table()
    for name in ("photo", "PSNR dB", "SSIM", "perceptual"):
        table.add_column(name, justify="left" if name == "photo" else "right")
    rows = list(metrics.per_image.items())
    if len(rows) > ROWS:
        rows = sorted(rows, key=lambda row: row[1].psnr)[:5]
        table.caption = f"the 5 worst of {len(metrics.per_image)}; metrics.json has all"
    for name, one in rows:
        table.add_row(name, f"{one.psnr:.2f}", f"{one.ssim:.4f}", f"{one.perceptual:.4f}")
    table.add_section()
    mean = metrics.mean
    table.add_row(
        f"mean of {len(metrics.per_image)}",
        f"{mean.psnr:.2f}",
        f"{mean.ssim:.4f}",
        f"{mean.perceptual:.4f}",
        style="bold",
    )
    result_console().print(table)


def _print_surface(found: SurfaceMetrics) -> None:
    from rich.table import Table

    from tondo.cli.terminal import result_console

    columns = [found.whole] if found.visible is None else [found.whole, found.visible]
    diagonal = found.diagonal
    table = Table("geometry", "whole surface", *["what the photos show"][: len(columns) - 1])
    for name in ("chamfer", "accuracy", "completeness", "threshold"):
        values = [getattr(one, name) for one in columns]
        table.add_row(
            name, *(f"{v:.5g}" + (f" ({v / diagonal:.3%})" if diagonal else "") for v in values)
        )
    table.add_section()
    for name in ("precision", "recall", "f_score"):
        table.add_row(name, *(f"{getattr(one, name):.4f}" for one in columns))
    table.caption = "world units (share of the true diagonal)"
    result_console().print(table)
    if found.hint:
        print(f"warning: {found.hint}")


def _print_generator(metrics: GeneratorMetrics) -> None:
    from rich.table import Table

    from tondo.cli.terminal import result_console

    table = Table(box=None, header_style="bold")
    table.add_column("measure")
    table.add_column("value", justify="right")
    table.add_column("what it says")
    for row in _rows(metrics):
        table.add_row(*row)
    result_console().print(table)
    print(
        f"over {metrics.extractor}, {metrics.pictures} pictures and {metrics.samples} samples: "
        "compare with numbers made the same way only"
    )


def _rows(m: GeneratorMetrics) -> list[tuple[str, str, str]]:
    g = m.geometry
    return [
        ("Fréchet distance", f"{m.frechet:.2f}", "0: the same mean and spread of features"),
        ("kernel distance", f"{m.kernel:.4f}", "0 on average for the same distribution"),
        ("precision", f"{m.precision:.3f}", "share of samples that look like a picture"),
        ("recall", f"{m.recall:.3f}", "share of pictures that samples come close to"),
        ("diversity", f"{m.diversity:.3f}", f"the pictures': {m.diversity_of_pictures:.3f}"),
        ("views agree to", f"{g.warp_error:.4f}", f"where {100 * g.warp_covered:.0f} % are seen"),
        ("thickness", f"{g.thickness:.3f}", "smallest over largest extent; 0 is a flat card"),
        ("side silhouette", f"{g.side_ratio:.3f}", "its area over that from the front"),
        ("floaters", f"{100 * g.floaters:.2f} %", "of the silhouettes' area hangs apart"),
        ("hidden", f"{100 * g.hidden:.1f} %", "of the splats lie inside: pockets, folds"),
        ("haze", f"{100 * g.haze:.1f} %", "of the area is neither solid nor empty"),
    ]
