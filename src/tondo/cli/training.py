"""What `reconstruct`, `convert` and `train` show of a training."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.table import Column, Table

from tondo.cli.arguments import Typed
from tondo.cli.terminal import result_console
from tondo.runs.loop import Interrupted, Result
from tondo.runs.method import Report
from tondo.runs.watch import Watch


@contextmanager
def shown(
    typed: Typed, again: Sequence[str], about: Callable[[Report], str | None]
) -> Iterator[Watch]:
    """A watch that draws a training, with a few words `about` each of its reports.

    Args:
        again: the command that goes on after Ctrl-C, but for --resume.
    """

    def step(report: Report) -> None:
        words = about(report)
        if words is not None:
            screen.show("training", report.fraction, 1.0, words)

    with typed.screen() as screen:
        try:
            yield Watch(screen.note, screen.show, step)
        except Interrupted as stopped:
            screen.close()
            print(f"\n{stopped}; go on with:\n  {shlex.join(['tondo', *again, '--resume'])}")
            raise KeyboardInterrupt from None


def print_figures(result: Result[Any], figures: Mapping[str, str]) -> None:
    """The table at the end."""
    table = Table("what", Column("value", justify="right"), title=f"{result.run.path}")
    for what, value in figures.items():
        table.add_row(what, value)
    table.add_row("peak memory", f"{result.summary['peak_memory_mb']:.0f} MB")
    result_console().print(table)
