"""The capture report: one HTML page that needs nothing else."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from tondo.reports.page import data_uri, write_page
from tondo.sfm.capture.coverage import Coverage, give_advice, measure_coverage
from tondo.sfm.capture.facts import Capture
from tondo.sfm.capture.figures import draw_figures

_THUMBNAIL = 132  # pixels; chosen, not measured
_MAX_THUMBNAILS = 400  # bounds the size of the page; chosen, not measured


def write_report(
    folder: Path, capture: Capture, *, title: str, notes: Sequence[str] = ()
) -> Coverage | None:
    """Write `folder`/report.html and the pictures in it to `folder`/report/*.png.

    Args:
        folder: where `images` is.
        capture: what to report on.
        title: name of what was photographed.
        notes: how the given folder was understood, sentences.

    Returns:
        The coverage of viewing directions, None without a model.

    Raises:
        OutputError: a file cannot be written.
    """
    coverage = measure_coverage(capture) if len(capture.positions) else None
    lost = [(photo.source, photo.reason) for photo in capture.photos if not photo.registered]
    lost += [(skipped.name, skipped.reason) for skipped in capture.skipped]
    thumbnails = [
        (photo, data_uri(_thumbnail(folder / "images" / photo.name), "jpeg"))
        for photo in capture.photos[:_MAX_THUMBNAILS]
    ]
    shown = {
        "title": title,
        "capture": capture,
        "coverage": coverage,
        "verdict": _verdict(capture),
        "counts": _counts(capture, coverage),
        "notes": notes,
        "advice": give_advice(capture, coverage),
        "lost": lost,
        "thumbnails": thumbnails,
        "most": max((photo.points for photo in capture.photos), default=1) or 1,
    }
    write_page(folder, "sfm/capture/report.html", draw_figures(capture, coverage), shown)
    return coverage


def _verdict(capture: Capture) -> tuple[str, str]:
    """How it went: "good", "warn" or "bad", and a sentence."""
    placed, total = len(capture.registered), len(capture.photos)
    if placed == 0:
        return "bad", "No photos could be placed."
    if capture.distrust:
        return "bad", "The places of the photos cannot be trusted."
    if placed * 2 < total:
        return "bad", "Fewer than half of the photos could be placed."
    if placed < total:
        return "warn", f"All but {total - placed} of the photos are placed."
    return "good", "All photos are placed."


def _counts(capture: Capture, coverage: Coverage | None) -> list[tuple[str, str]]:
    """The numbers at the head of the page, and what each is."""
    numbers = [(f"{len(capture.registered)} / {len(capture.photos)}", "photos placed")]
    if coverage is not None:
        numbers += [
            (f"{len(capture.points):,}", "points"),
            (f"{capture.error:.2f} px", "reprojection error"),
            (f"{coverage.covered:.0f}°", "of 360° around covered"),
        ]
    return numbers


def _thumbnail(path: Path) -> bytes:
    """A photo as a small JPEG file, on white where it is transparent."""
    with Image.open(path) as picture:
        picture.draft("RGB", (2 * _THUMBNAIL, 2 * _THUMBNAIL))
        small = picture.convert("RGBA") if "A" in picture.getbands() else picture.convert("RGB")
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    if small.mode == "RGBA":
        white = Image.new("RGBA", small.size, "white")
        small = Image.alpha_composite(white, small).convert("RGB")
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=70)
    return buffer.getvalue()
