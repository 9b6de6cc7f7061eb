"""`tondo evaluate`: a scene against photos it has not seen, or its mesh against a scan."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tondo.api.options import EvaluateOptions
from tondo.cli.arguments import Flag, Typed, Verb, color

if TYPE_CHECKING:
    from tondo.api.evaluate_surface import SurfaceMetrics
    from tondo.evaluation.evaluate import ReconstructionMetrics
    from tondo.gan.evaluation.evaluate import GeneratorMetrics

ROWS = 30  # photos in the table; chosen


@dataclass(frozen=True)
class Command:
    """Measure PSNR, SSIM and perceptual distance on held-out photos, with side-by-side pictures;
    with --mesh chamfer distance and F-score. Of a run of `tondo train`: Fréchet and kernel
    distance, precision, recall, diversity and 3D checks. Results go to metrics.json.

    Attributes:
        run: a run, .safetensors, splat .ply or generator
        output: folder for pictures and metrics.json; None: RUN and RUN/renders/evaluate
        options: what is measured
    """

    run: Path
    output: Path | None = None
    options: EvaluateOptions = field(default_factory=EvaluateOptions)


def run(command: Command, typed: Typed) -> None:
    """Measure what was asked for and print it. Raises TondoError."""
    from tondo.api.evaluate import evaluate
    from tondo.cli.terminal import Screen

    with Screen(typed.respelled) as screen:
        found = evaluate(command.run, command.options, output=command.output, watch=screen.watch)
    if found.photos is not None:
        _print_photos(found.photos)
    if found.surface is not None:
        _print_surface(found.surface, typed)
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


def _print_surface(found: SurfaceMetrics, typed: Typed) -> None:
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
        print(f"warning: {typed.respelled(found.hint)}")


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


VERB = Verb(
    Command,
    run,
    {
        "run": Flag(metavar="RUN|NAME"),
        "output": Flag(("-o", "--output"), "DIR"),
        "cameras": Flag(metavar="FILE"),
        "source": Flag(metavar="PHOTOS"),
        "masks": Flag(metavar="auto|none|DIR"),
        "features": Flag(metavar="NET"),
        "background": Flag(metavar="COLOR", parse=color),
        "mesh": Flag(metavar="TRUTH"),
        "ours": Flag(metavar="FILE"),
    },
    {"surface": "the surface against a true one"},
)
