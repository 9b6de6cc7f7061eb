"""The tables of `surface.py` for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from texture_table import Table

WAYS = {"before": "splats before", "now": "splats now", "field": "radiance field"}


def surface_page(results: dict[str, Any], table: Table, where: str) -> str:
    subjects = results["subjects"]
    photos = ", ".join(
        f"{found['photos']} of `{name}` ({found['size']}×{found['size']})"
        for name, found in subjects.items()
    )
    return (
        f"## Surfaces\n\n`python benchmarks/surface.py`, {results['threads']} threads. `chair`: "
        "NeRF-synthetic, with pictures of its true normals; `demo` and `ribbed`: made by code, the "
        "first as in `make demo`, the second with ribs, flutes and bosses of 0.5 % of its size, "
        "thin walls, a hole and gloss. Now: as by default; before: without the comparison of "
        "normals in training, without masks for the mesh, and smoothed by a voxel. "
        f"Held-out photos: {photos}. One run for each row, and the mesh that `tondo export` makes "
        f"of it with all its faces.\n\n{normals_text(subjects, table)}"
        f"{truth_text(subjects, table)}{cost_text(subjects, table)}{where}\n"
    )


def rows_of(subjects: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Sequence[str]]]:
    """The subject, the row, and the cells that every table begins with."""
    for name, found in subjects.items():
        for row in found["rows"]:
            yield name, row, (f"`{name}`", WAYS[row["way"]], f"{row['minutes']:g} min")


def normals_text(subjects: dict[str, Any], table: Table) -> str:
    rows = []
    for _, row, first in rows_of(subjects):
        cells = []
        for part in ("scene", "mesh"):
            true = row[part]["true"]
            cells += [f"{true['mean']:.1f}", f"{true['median']:.1f}"]
            cells += [
                f"{row[part][reading]['mean']:.1f}" if reading in row[part] else ""
                for reading in ("decoded", "as stored")
            ]
        rows.append((*first, f"{row['psnr']:.2f}", *cells))
    head = (
        "photos", "surface", "training", "PSNR dB", "normals of the scene: mean", "median",
        "with cut ones", "as stored", "normals of the mesh: mean", "median", "with cut ones",
        "as stored",
    )  # fmt: skip
    floors = ", ".join(
        f"{found['floor']['mean']:.1f} on `{name}`" for name, found in subjects.items()
    )
    meshes = ", ".join(
        f"{found['true_mesh']['mean']:.1f} on `{name}`"
        for name, found in subjects.items()
        if "true_mesh" in found
    )
    return (
        "Normals, in degrees off the true ones, over the opaque pixels of the held-out photos. "
        f"The truth against itself, moved by one pixel: {floors}"
        f"{'; the true mesh: ' if meshes else ''}{meshes}. The pictures of `chair`'s normals are "
        "sRGB values of them: only decoded do all-positive normals have a length of 1 "
        "(0.99 in the median, 1.17 as they are stored). They hold no component below 0; pixels "
        "where one was cut off do not count, since what is left may be 14 degrees off. With cut "
        "ones: those too whose length is within 3 % of 1. As stored: the same against the values "
        "that the pictures hold, as figures of earlier versions were taken.\n\n"
        f"{table(head, rows)}\n\n"
    )


def truth_text(subjects: dict[str, Any], table: Table) -> str:
    rows, shares = [], ("1.00%", "0.50%", "0.25%")
    for _, row, first in rows_of(subjects):
        if "surface" not in row:
            continue
        found = row["surface"]
        cells = [f"{found[share]['f_score']:.3f}" for share in shares]
        cells[1:1] = [f"{found[shares[0]][key]:.3f}" for key in ("precision", "recall")]
        cells += [f"{found[key]:.3%}" for key in ("distance", "accuracy", "completeness")]
        rows.append((*first, *cells))
    if not rows:
        return ""
    head = (
        "photos", "surface", "training", "F-score within 1 %", "precision", "recall",
        "within 0.5 %", "within 0.25 %", "chamfer", "ours to true", "true to ours",
    )  # fmt: skip
    return (
        "The mesh against the true one, as far as photos show the two. All lengths are shares of "
        f"the true diagonal.\n\n{table(head, rows)}\n\n"
    )


def cost_text(subjects: dict[str, Any], table: Table) -> str:
    rows = []
    for _, row, first in rows_of(subjects):
        splats = "" if row["splats"] is None else f"{row['splats']:,}"
        training, export = row["training"], row["export"]
        rows.append(
            (
                *first,
                f"{row['steps']:,}",
                splats,
                f"{row['train_seconds']:.0f}",
                f"{training['cpu_seconds']:.0f}",
                f"{training['peak_memory_mb']:,}",
                f"{row['faces']:,}",
                f"{export['seconds']:.0f}",
                f"{export['cpu_seconds']:.0f}",
                f"{export['peak_memory_mb']:,}",
            )
        )
    head = (
        "photos", "surface", "training", "steps", "splats", "seconds", "CPU-seconds", "peak MB",
        "faces", "export: seconds", "CPU-seconds", "peak MB",
    )  # fmt: skip
    return (
        "What it takes: seconds of training alone, else the whole of `tondo reconstruct`, with its "
        f"measuring, and of `tondo export`.\n\n{table(head, rows)}\n\n"
    )
