"""The drawings of the capture report."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Wedge

from tondo.reports.figures import INK, LINE, QUIET, figure_png, hide_spines, new_figure
from tondo.sfm.capture.coverage import Coverage, upright_axes
from tondo.sfm.capture.facts import Capture

_CAMERA, _GAP = "#d1495b", "#f2c14e"
_MAX_DRAWN = 30_000  # points: more fill the figure and cost time; chosen, not measured


def draw_figures(capture: Capture, coverage: Coverage | None) -> dict[str, bytes]:
    """PNG files by name: above.png, side.png, directions.png (with a model), matches.png."""
    figures = {}
    if coverage is not None:
        local = upright_axes(capture)
        figures["above.png"] = _draw_map(capture, coverage, local[[0, 1]], "from above")
        figures["side.png"] = _draw_map(capture, coverage, local[[1, 2]], "from the side")
        figures["directions.png"] = _draw_directions(coverage)
    if len(capture.photos) > 1:
        figures["matches.png"] = _draw_matches(capture)
    return figures


def _draw_map(capture: Capture, coverage: Coverage, axes_rows: np.ndarray, title: str) -> bytes:
    """Points and cameras projected to two axes (rows of `axes_rows`, to the right and up)."""
    step = 1 + len(capture.points) // _MAX_DRAWN
    points = (capture.points[::step] - coverage.center) @ axes_rows.T
    cameras = (capture.positions - coverage.center) @ axes_rows.T
    ahead = capture.directions @ axes_rows.T
    low, high = _limits(points, cameras)
    size = high - low
    figure = new_figure(6.4, float(np.clip(6.4 * size[1] / size[0], 3.2, 7.5)))
    axes = figure.add_subplot()
    dot = float(np.clip(12_000 / (len(points) + 1), 1.5, 7.0))
    axes.scatter(
        points[:, 0],
        points[:, 1],
        s=dot,
        c=capture.colors[::step] / 255.0,
        linewidths=0,
        rasterized=True,
    )
    length = 0.06 * float(size.max())
    for place, direction in zip(cameras, ahead, strict=True):
        _draw_camera(axes, place, direction, length)
    axes.scatter(cameras[:, 0], cameras[:, 1], s=9, color=_CAMERA, zorder=4)
    for index in _spread_out(cameras, 0.09 * float(size.max())):
        axes.annotate(
            capture.registered[index].rsplit(".", 1)[0],
            cameras[index],
            xytext=(4, -9),
            textcoords="offset points",
            fontsize=6.5,
            color=INK,
            zorder=5,
        )
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_aspect("equal")
    axes.set_title(title, fontsize=11, color=INK, loc="left")
    axes.tick_params(labelbottom=False, labelleft=False, length=0)
    for spine in axes.spines.values():
        spine.set_color(LINE)
    return figure_png(figure)


def _limits(points: np.ndarray, cameras: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the drawing: all cameras and all but the most distant points."""
    some = (
        cameras
        if len(points) == 0
        else np.concatenate([cameras, np.percentile(points, (3, 97), axis=0)])
    )
    low, high = some.min(axis=0), some.max(axis=0)
    margin = 0.1 * max(float((high - low).max()), 1e-6)
    return low - margin, high + margin


def _draw_camera(axes: Axes, place: np.ndarray, direction: np.ndarray, length: float) -> None:
    """A camera's opening, seen from one side: two short lines, closed."""
    across = 0.45 * np.array([-direction[1], direction[0]])
    corners = [place, place + length * (direction + across), place + length * (direction - across)]
    axes.fill(
        *np.array(corners).T, facecolor=_CAMERA, alpha=0.18, edgecolor=_CAMERA, lw=0.7, zorder=3
    )


def _spread_out(places: np.ndarray, least: float) -> list[int]:
    """Indices of places that are at least `least` apart, so that their labels do not collide."""
    chosen: list[int] = []
    for index, place in enumerate(places):
        if all(np.linalg.norm(place - places[other]) > least for other in chosen):
            chosen.append(index)
    return chosen


def _draw_directions(coverage: Coverage) -> bytes:
    """Where the photos were taken from: angle is the compass, the outer ring is level."""
    figure = new_figure(5.2, 5.2)
    axes = figure.add_subplot()
    for height, label in ((0, "level"), (30, "30°"), (60, "60°")):
        axes.add_patch(Wedge((0, 0), 90 - height, 0, 360, width=0.4, facecolor=LINE, lw=0))
        axes.annotate(label, (0, 88 - height), ha="center", va="top", fontsize=7, color=QUIET)
    if coverage.gap is not None:
        start, end = (270 + azimuth for azimuth in coverage.gap)
        axes.add_patch(Wedge((0, 0), 104, start, end, width=10, facecolor=_GAP, lw=0))
        middle = np.radians((start + end) / 2)
        text = f"no photos\n{coverage.gap[1] - coverage.gap[0]:.0f}°"
        x, y = 122 * np.cos(middle), 118 * np.sin(middle)
        axes.annotate(text, (x, y), ha="center", va="center", fontsize=8, color=INK)
    angles = np.radians(270 + coverage.azimuths)
    radii = 90.0 - np.abs(coverage.elevations)
    x, y = radii * np.cos(angles), radii * np.sin(angles)
    above = coverage.elevations >= 0
    axes.scatter(x[above], y[above], s=34, color=_CAMERA, zorder=3, label="from above the middle")
    axes.scatter(
        x[~above],
        y[~above],
        s=34,
        facecolor="white",
        edgecolor=_CAMERA,
        zorder=3,
        label="from below it",
    )
    axes.scatter(0, 0, marker="+", s=60, color=QUIET)
    axes.set_xlim(-142, 142)
    axes.set_ylim(-142, 142)
    axes.set_aspect("equal")
    axes.axis("off")
    axes.legend(loc="lower center", ncols=2, fontsize=8, frameon=False, bbox_to_anchor=(0.5, -0.02))
    return figure_png(figure)


def _draw_matches(capture: Capture) -> bytes:
    """How many matches each two photos share; photos that were not placed are marked."""
    count = len(capture.photos)
    figure = new_figure(5.2, 4.6)
    axes = figure.add_subplot()
    numbers = np.ma.masked_equal(capture.inliers, 0)
    shown = axes.imshow(np.ma.log10(numbers), cmap="magma_r", vmin=1.0, vmax=3.3)
    bar = figure.colorbar(shown, ax=axes, ticks=[1, 2, 3], shrink=0.85)
    bar.ax.set_yticklabels(["10", "100", "1000"], fontsize=8)
    bar.outline.set_visible(False)
    lost = [i for i, photo in enumerate(capture.photos) if not photo.registered]
    axes.scatter([-0.02 * count - 0.7] * len(lost), lost, s=10, color=_CAMERA, clip_on=False)
    step = max(1, -(-count // 16))
    ticks = range(0, count, step)
    names = [capture.photos[i].name.rsplit(".", 1)[0] for i in ticks]
    axes.set_xticks(ticks, names, rotation=90, fontsize=7)
    axes.set_yticks(ticks, names, fontsize=7)
    axes.tick_params(length=0, pad=6)
    hide_spines(axes)
    return figure_png(figure)
