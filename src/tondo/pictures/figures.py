"""The pictures of the diversity report."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from tondo.io.images import picture_png
from tondo.pictures.diversity import Account, Diversity
from tondo.pictures.measure import over_white
from tondo.reports.figures import (
    BAR,
    INK,
    LINE,
    QUIET,
    figure_png,
    hide_spines,
    new_figure,
)

CELL = 72  # pixels of a picture; chosen
COLUMNS, ROWS = 14, 9  # of pictures in a sheet; chosen
_PAIRS = 12  # of near-duplicates that are shown; chosen


def draw_figures(account: Account, found: Diversity) -> dict[str, bytes]:
    """PNG files by name: contact.png, extremes.png, average.png, spread.png, colors.png, and where
    there are some duplicates.png, blurred.png, poses.png."""
    figures = {
        "contact.png": picture_png(_contact(account)),
        "extremes.png": picture_png(_extremes(account)),
        "average.png": picture_png(_average(account)),
        "colors.png": picture_png(_colors(account)),
        "spread.png": _spread(account),
    }
    if account.pairs:
        some = [account.pairs[i] for i in _even(len(account.pairs), _PAIRS)]
        upper, lower = zip(*some, strict=True)
        figures["duplicates.png"] = picture_png(_grid(account, [lower, upper], _PAIRS))
    if account.blurred:
        some_rows = [account.blurred[i] for i in _even(len(account.blurred), COLUMNS)]
        figures["blurred.png"] = picture_png(_grid(account, [some_rows], COLUMNS))
    if found.azimuths is not None and found.elevations is not None:
        figures["poses.png"] = _poses(found.azimuths, found.elevations)
    return figures


def _contact(account: Account) -> NDArray[np.uint8]:
    """Pictures drawn evenly; with classes some rows of each, the largest class first."""
    by_class: dict[str, list[int]] = {}
    for row in account.rows:
        by_class.setdefault(account.classes[row] or "", []).append(row)
    if 2 <= len(by_class) <= 3 * ROWS:
        groups = sorted(by_class.values(), key=lambda rows: -len(rows))
        most = COLUMNS * max(1, ROWS // len(groups))
        chosen = [[rows[i] for i in _even(len(rows), most)] for rows in groups]
        lines = [rows[i : i + COLUMNS] for rows in chosen for i in range(0, len(rows), COLUMNS)]
        return _grid(account, lines, COLUMNS)
    # A fixed shuffle: neighbours by name are often alike.
    order = np.random.default_rng(0).permutation(len(account.rows))[: COLUMNS * ROWS]
    some = [account.rows[i] for i in order]
    lines = [some[i : i + COLUMNS] for i in range(0, len(some), COLUMNS)]
    return _grid(account, lines, COLUMNS)


def _extremes(account: Account) -> NDArray[np.uint8]:
    """The darkest, brightest, plainest, most contrasted, softest and sharpest, one kind a row."""
    one = account.measured
    lines = []
    for values in ([m.brightness for m in one], [m.contrast for m in one], [-m.blur for m in one]):
        order = np.argsort(values, kind="stable")
        lines.append([account.rows[i] for i in _distinct(account, order)])
        lines.append([account.rows[i] for i in _distinct(account, order[::-1])])
    return _grid(account, lines, COLUMNS)


def _distinct(account: Account, order: NDArray[np.int64]) -> list[int]:
    """The first places of `order` whose pictures do not look alike: not one thing many times."""
    chosen: list[int] = []
    for place in order.tolist():
        vector = account.measured[place].vector
        apart = 0.1 * np.sqrt(len(vector))
        near = (np.linalg.norm(vector - account.measured[c].vector) < apart for c in chosen)
        if not any(near):
            chosen.append(place)
        if len(chosen) == COLUMNS:
            break
    return chosen


def _average(account: Account) -> NDArray[np.uint8]:
    """The mean of the set, and beside it how much each pixel varies (white: most)."""
    rows = [account.rows[i] for i in _even(len(account.rows), 2000)]
    total = np.zeros((*account.images.shape[1:3], 3))
    squares = np.zeros_like(total)
    for row in rows:
        picture = over_white(np.asarray(account.images[row])).astype(np.float64)
        total += picture
        squares += picture * picture
    mean = total / len(rows)
    deviation = np.sqrt(np.maximum(squares / len(rows) - mean * mean, 0)).mean(axis=2)
    deviation *= 255 / max(float(deviation.max()), 1e-6)
    both = [mean, np.repeat(deviation[..., None], 3, axis=2)]
    scaled = [cv2.resize(p.round().astype(np.uint8), (256, 256), interpolation=cv2.INTER_CUBIC)
              for p in both]  # fmt: skip
    return np.concatenate([scaled[0], np.full((256, 8, 3), 255, np.uint8), scaled[1]], axis=1)


def _colors(account: Account) -> NDArray[np.uint8]:
    """Mean colours of the objects, greys first, then by hue; each stripe is a picture."""
    colors = np.array([one.color for one in account.measured])

    def key(color: NDArray[np.float64]) -> tuple[float, float]:
        hue, saturation, value = colorsys.rgb_to_hsv(*color)
        return (-1.0, value) if saturation < 0.12 else (hue, value)

    ordered = np.array(sorted(colors, key=key))
    stripes = ordered[np.linspace(0, len(ordered) - 1, 720).round().astype(int)]
    return np.repeat((stripes * 255).round().astype(np.uint8)[None], 64, axis=0)


def _spread(account: Account) -> bytes:
    one = account.measured
    plots = (
        ("brightness", [m.brightness for m in one], "dark", "bright"),
        ("contrast", [m.contrast for m in one], "even", "strong"),
        ("sharpness", [1 - m.blur for m in one], "soft", "sharp"),
    )
    figure = new_figure(9.6, 2.5)
    for axes, (title, values, low, high) in zip(figure.subplots(1, len(plots)), plots, strict=True):
        edge = float(np.percentile(values, 99.8)) * 1.05 if title != plots[0][0] else 1.0
        axes.hist(values, bins=36, range=(0, max(edge, 1e-3)), color=BAR)
        axes.set_title(title, fontsize=10, color=INK, loc="left")
        axes.set_yticks([])
        axes.set_xticks([0, max(edge, 1e-3)], [low, high], fontsize=8, color=QUIET)
        axes.tick_params(length=0)
        hide_spines(axes, "top", "left", "right")
        axes.spines["bottom"].set_color(LINE)
    return figure_png(figure)


def _poses(azimuths: NDArray[np.float64], elevations: NDArray[np.float64]) -> bytes:
    """How many cameras stand in each direction, in areas of equal size on the sphere."""
    heights = np.sin(np.radians(elevations))
    counts, xs, ys = np.histogram2d(
        azimuths, heights, bins=(36, 18), range=((-180, 180), (-1.0, 1.0))
    )
    figure = new_figure(7.2, 3.4)
    axes = figure.add_subplot()
    shown = axes.pcolormesh(xs, ys, np.ma.masked_equal(counts.T, 0), cmap="viridis_r", vmin=0)
    axes.set_xticks(range(-180, 181, 60), [f"{a}°" for a in range(-180, 181, 60)], fontsize=8)
    marks = (-90, -45, -20, 0, 20, 45, 90)
    axes.set_yticks([np.sin(np.radians(m)) for m in marks], [f"{m}°" for m in marks], fontsize=8)
    axes.set_xlabel("azimuth (0°: from the front)", fontsize=8, color=QUIET)
    axes.set_ylabel("elevation", fontsize=8, color=QUIET)
    axes.set_facecolor("#eef0f3")
    axes.tick_params(length=0)
    bar = figure.colorbar(shown, ax=axes, shrink=0.9)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    hide_spines(axes)
    return figure_png(figure)


def _grid(account: Account, lines: Sequence[Sequence[int]], columns: int) -> NDArray[np.uint8]:
    """Pictures side by side on light grey, enlarged to the cell without smoothing if tiny."""
    gap = 3
    height, width = len(lines) * (CELL + gap) + gap, columns * (CELL + gap) + gap
    sheet = np.full((height, width, 3), 233, np.uint8)
    for r, line in enumerate(lines):
        for c, row in enumerate(line):
            picture = over_white(np.asarray(account.images[row]))
            way = cv2.INTER_AREA if picture.shape[0] > CELL else cv2.INTER_CUBIC
            y, x = gap + r * (CELL + gap), gap + c * (CELL + gap)
            sheet[y : y + CELL, x : x + CELL] = cv2.resize(picture, (CELL, CELL), interpolation=way)
    return sheet


def _even(count: int, most: int) -> list[int]:
    """At most `most` indices below `count`, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist()
