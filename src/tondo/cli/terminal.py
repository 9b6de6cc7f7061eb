"""Consoles: results go to stdout, progress to stderr."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


def progress_console() -> Console:
    """Where progress bars are drawn; nowhere if stderr is not a terminal but a file or pipe."""
    return Console(stderr=True, quiet=not sys.stderr.isatty())


def result_console() -> Console:
    """Where tables are printed; text is shown as it is. A pipe is taken to be 100 columns wide."""
    width = None if sys.stdout.isatty() else 100
    return Console(width=width, markup=False, emoji=False, highlight=False)


def progress_bars() -> Progress:
    """Bars with percentage, time left and a few words (field "about"), not yet started."""
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[about]}"),
        console=progress_console(),
    )
