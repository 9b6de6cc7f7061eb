"""Consoles: results go to stdout, progress to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tondo.runs.watch import Watch

LOG_SECONDS = 30.0  # between lines where there is no terminal to draw bars on; chosen


def result_console() -> Console:
    """Where tables are printed; text is shown as it is. A pipe is taken to be 100 columns wide."""
    width = None if sys.stdout.isatty() else 100
    return Console(width=width, markup=False, emoji=False, highlight=False)


def progress_bars() -> Progress:
    """Bars with percentage, time left and a few words (field "about"), not yet started."""
    return Progress(
        TextColumn("{task.description:<20}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[about]}"),
        console=Console(stderr=True),
    )


class Screen:
    """Sentences on stdout; progress bars on stderr, gone when their work is done. Where stderr is a
    file or pipe, a line now and then instead.

    Args:
        respelled: makes options that a sentence names flags (`tondo.cli.arguments.respeller`).
    """

    def __init__(self, respelled: Callable[[str], str] = str) -> None:
        self._respelled = respelled
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._begun: dict[str, tuple[float, float]] = {}  # when, and how far it was then
        self._logged: float | None = None

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def watch(self) -> Watch:
        """Through which work is shown."""
        return Watch(self.note, self.show)

    def close(self) -> None:
        """Take the bars away."""
        if self._bars is not None:
            self._bars.stop()
        self._bars, self._tasks = None, {}

    def note(self, text: str) -> None:
        """Print a sentence, the bars gone."""
        self.close()
        print(self._respelled(text), flush=True)

    def show(self, name: str, done: float, total: float, about: str = "") -> None:
        """Draw the bar called `name`, with a few words beside it."""
        if not sys.stderr.isatty():
            self._log(name, done, total, about)
            return
        if self._bars is None:
            self._bars = progress_bars()
            self._bars.start()
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total, about=about)
        self._bars.update(self._tasks[name], completed=done, total=total, about=about)

    def count(self, name: str, done: int, total: int) -> None:
        """`show` work on so many things, with their numbers."""
        self.show(name, done, total, f"{done}/{total}")

    def _log(self, name: str, done: float, total: float, about: str) -> None:
        now = time.monotonic()
        begun, before = self._begun.setdefault(name, (now, done))
        if self._logged is None:
            self._logged = now
        if now - self._logged < LOG_SECONDS:
            return
        self._logged = now
        words = [name, f"{100 * done / max(total, 1e-9):.0f} %"]
        if done > before:
            left = round((now - begun) * (total - done) / (done - before))
            words.append(f"{left // 60}:{left % 60:02d} left")
        print(", ".join([*words, *([about] if about else [])]), file=sys.stderr, flush=True)
