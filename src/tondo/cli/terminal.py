"""Consoles: results go to stdout, progress to stderr."""

from __future__ import annotations

from rich.console import Console


def progress_console() -> Console:
    """Where progress bars are drawn."""
    return Console(stderr=True)


def result_console() -> Console:
    """Where tables are printed. A pipe is taken to be 100 columns wide."""
    console = Console()
    return console if console.is_terminal else Console(width=100)
