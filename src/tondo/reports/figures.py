"""How the figures of all reports look, and how they become PNG files."""

from __future__ import annotations

import io

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, QUIET, LINE, BAR = "#2b2f36", "#8a919c", "#d6dae0", "#5b8def"


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches wide and high; without pyplot, which would keep global state."""
    figure = Figure(figsize=(width, height), dpi=130, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def hide_spines(axes: Axes, *sides: str) -> None:
    """Hide the lines around a drawing: all, or those of `sides`."""
    for side in sides or tuple(axes.spines):
        axes.spines[side].set_visible(False)


def figure_png(figure: Figure) -> bytes:
    """A figure as a PNG file: the same drawing gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
