"""The tables of `texture.py` for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

Table = Callable[[Sequence[str], Iterable[Sequence[str]]], str]


def texture_page(results: dict[str, Any], table: Table, where: str) -> str:
    parts = ["## Textured meshes\n\n`python benchmarks/texture.py`. "]
    if "quality" in results:
        parts.append(quality_text(results["quality"], table))
    if "unwrap" in results:
        parts.append(unwrap_text(results["unwrap"], table))
    if "cost" in results:
        parts.append(cost_text(results["cost"], table))
    return "".join(parts) + f"{where}\n"


def quality_text(quality: dict[str, Any], table: Table) -> str:
    rows = []
    for name, found in quality.items():
        for row in sorted(found["rows"], key=lambda row: row["faces"]):
            of = [key for key, one in row.items() if isinstance(one, dict) and "psnr" in one]
            for key in of:
                size = key.removeprefix("texture ")
                seams = row["seams"].get(size) if key.startswith("texture") else None
                faces = "" if key == "splats" else f"{row['faces']:,}"
                rows.append((f"`{name}`", faces, key, *_cells(row[key]), *_ratios(seams)))
    head = (
        "photos", "faces", "with", "PSNR dB", "SSIM", "perceptual", "inside: PSNR dB",
        "inside: SSIM", "inside: perceptual", "seams", "alike",
    )  # fmt: skip
    counts = ", ".join(f"{found['photos']} of `{name}`" for name, found in quality.items())
    likeness = ", ".join(
        f"`{name}` {found['rows'][-1]['silhouette_iou']:.3f}"
        for name, found in quality.items()
        if found["rows"][-1]["silhouette_iou"] is not None
    )
    return (
        f"Held-out photos ({counts}) through meshes of the same run. Inside: pixels that the "
        "mesh's silhouette and, where it is known, the photo's cover wholly. Seams: steps of "
        "colour across seams over those inside charts; alike: over those at places inside charts "
        "that fold as sharply. "
        f"Silhouettes in common at the most faces: {likeness}.\n\n"
        f"{table(head, rows)}\n\n"
        "Vertex colours are those that `export` writes, from renders: a vertex that no render "
        "covers by 90 % is grey. Of `fox`, whose splats let the background through in places, "
        "these are many, and part of what vertex colours lose there.\n\n"
    )


def _cells(one: dict[str, Any]) -> list[str]:
    cells = []
    for part in (one, one["inside"]):
        cells += [f"{part['psnr']:.2f}", f"{part['ssim']:.4f}", f"{part['perceptual']:.4f}"]
    return cells


def _ratios(seams: dict[str, float] | None) -> tuple[str, str]:
    if seams is None:
        return "", ""
    return f"{seams['ratio']:.2f}", f"{seams['ratio_alike']:.2f}"


def unwrap_text(unwraps: Sequence[dict[str, Any]], table: Table) -> str:
    rows = []
    for one in unwraps:
        cells = [one.get("failed", "")] + 8 * [""]
        if "failed" not in one:
            cells = [
                f"{one['cpu_seconds']:.1f}",
                f"{one['charts']:,}",
                f"{one['use']:.0%}",
                f"{one['stretch']:.3f}",
                f"{one['angle']:.3f}",
                f"{one['even']:.1%}",
                f"{one['overlaps']:,}",
                f"{one['mirrored']:,}",
                f"{one['flat']:,}",
            ]
        rows.append((one["by"], f"{one['faces']:,}", *cells))
    head = (
        "unwrap", "faces", "CPU-seconds", "charts", "use of the square", "stretch", "angles",
        "even density", "overlaps", "mirrored", "flat",
    )  # fmt: skip
    return (
        "Unwraps of the mesh of `chair` for 2,048 texels, each on one core. Stretch: L2 (Sander "
        "et al. 2001), 1 is the least. Angles: mean of (s/t + t/s)/2 of the two stretches, 1 is "
        "the least. Even density: share of the surface whose texels are within a factor of 2 of "
        "the mean's side. Overlaps: pairs of faces. Mirrored, flat: faces. Edges of more "
        "than two faces are parted before, for geotex as for uvunwrap.\n\n"
        f"{table(head, rows)}\n\n"
    )


def cost_text(costs: dict[str, Any], table: Table) -> str:
    rows = []
    for name, one in costs.items():
        spent = ", ".join(f"{what} {seconds:.1f}" for what, seconds in one["cpu_seconds"].items())
        rows.append(
            (
                f"`{name}`",
                f"{one['faces']:,}",
                str(one["size"]),
                f"{one['cpu_seconds_together']:.1f}",
                f"{one['wall_seconds']:.1f}",
                f"{one['peak_memory_mb']:,}",
                f"{one['of_that_before_mb']:,}",
                f"{one['file_mb']:.1f}",
                spent,
            )
        )
    head = (
        "photos", "faces", "texels", "CPU-seconds", "seconds", "peak MB", "of that before",
        "file MB", "CPU-seconds of the parts",
    )  # fmt: skip
    return (
        "All that comes after the dense mesh, in a process of its own; the memory before is that "
        "of the program, the scene and the dense mesh.\n\n"
        f"{table(head, rows)}\n\n"
    )
