"""The tables of `tondo evaluate`."""

from __future__ import annotations

from rich.table import Column, Table

from tondo.api.evaluate_surface import MeshMetrics, SurfaceMetrics
from tondo.cli.terminal import result_console
from tondo.evaluation.evaluate import ImageMetrics, ReconstructionMetrics
from tondo.gan.evaluation.evaluate import GeneratorMetrics

ROWS = 30  # photos in the table; chosen


def print_photos(metrics: ReconstructionMetrics) -> None:
    """Each photo, or of many the worst; and the mean."""
    names = ("PSNR dB", "SSIM", "perceptual")
    table = Table("photo", *(Column(name, justify="right") for name in names))
    rows = list(metrics.per_image.items())
    if len(rows) > ROWS:
        rows = sorted(rows, key=lambda row: row[1].psnr)[:5]
        table.caption = f"the 5 worst of {len(metrics.per_image)}; metrics.json has all"
    for name, one in rows:
        table.add_row(name, *_cells(one))
    table.add_section()
    table.add_row(f"mean of {len(metrics.per_image)}", *_cells(metrics.mean), style="bold")
    result_console().print(table)


def print_as_mesh(found: MeshMetrics) -> None:
    """The mesh with its texture, with colours per vertex, and the scene: means over the photos."""
    names = ("PSNR dB", "SSIM", "perceptual")
    heads = [*names, *(f"inside: {name}" for name in names)]
    count = len(found.pictures.per_image)
    table = Table(f"mean of {count}", *(Column(name, justify="right") for name in heads))
    for name, one in found.pictures.mean.items():
        inside = ("-",) * 3 if one.inside is None else _cells(one.inside)
        table.add_row(name.replace("_", " "), *_cells(one.whole), *inside)
    result_console().print(table)
    texture = "" if found.texture is None else ", texture {}x{}".format(*found.texture)
    print(f"mesh:     {found.faces:,} faces{texture}")
    if found.pictures.silhouette is not None:
        print(f"outline:  {found.pictures.silhouette:.1%} of both silhouettes in common")
    if found.seams is not None:
        steps = found.seams
        print(
            f"seams:    colours step by {255 * steps.across:.1f} of 255 across them, by "
            f"{255 * steps.inside:.1f} inside charts: {steps.ratio:.2f} times as far, "
            f"{steps.ratio_alike:.2f} where the surface folds alike"
        )
    if found.uvs is not None:
        uvs = found.uvs
        print(
            f"uvs:      {uvs.charts} charts, {uvs.use:.0%} of the square, stretch "
            f"{uvs.stretch:.2f}, {uvs.overlaps} overlaps, {uvs.mirrored} mirrored"
        )


def _cells(one: ImageMetrics) -> tuple[str, str, str]:
    return f"{one.psnr:.2f}", f"{one.ssim:.4f}", f"{one.perceptual:.4f}"


def print_surface(found: SurfaceMetrics) -> None:
    """The surface, and what the photos show of it."""
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


def print_generator(metrics: GeneratorMetrics) -> None:
    """Each measure, and what it says."""
    columns = ("measure", Column("value", justify="right"), "what it says")
    table = Table(*columns, box=None, header_style="bold")
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
