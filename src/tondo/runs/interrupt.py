"""Ctrl-C between two steps, never within one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ctrl_c_flag() -> Iterator[list[bool]]:
    """Collects Ctrl-C, so that no step is torn; a second one interrupts at once.

    The list is empty until Ctrl-C was pressed.
    """
    flag: list[bool] = []

    def note_it(*_: object) -> None:
        if flag:
            raise KeyboardInterrupt
        flag.append(True)

    try:
        old = signal.signal(signal.SIGINT, note_it)
    except ValueError:  # not the main thread: whoever runs it handles Ctrl-C
        yield flag
        return
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, old)
