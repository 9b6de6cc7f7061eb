"""COLMAP's log, silenced where our own progress bars speak."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pycolmap

# Its errors come back as empty results or exceptions, which we put into words ourselves.
_FATAL_ONLY = 3


@contextmanager
def quiet_colmap() -> Iterator[None]:
    """Inside, pycolmap writes nothing to stderr; afterwards as much as before.

    Its handler of SIGTERM, which prints the stack of the native code, is taken away.
    """
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    ):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Python does not know of pycolmap's
    before = pycolmap.logging.minloglevel
    pycolmap.logging.minloglevel = max(before, _FATAL_ONLY)
    try:
        yield
    finally:
        pycolmap.logging.minloglevel = before
