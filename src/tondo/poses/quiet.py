"""COLMAP's log, silenced where our own progress bars speak."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pycolmap

# Its errors come back as empty results or exceptions, which we put into words ourselves.
_FATAL_ONLY = 3


@contextmanager
def quiet_colmap() -> Iterator[None]:
    """Inside, pycolmap writes nothing to stderr; afterwards as much as before."""
    before = pycolmap.logging.minloglevel
    pycolmap.logging.minloglevel = max(before, _FATAL_ONLY)
    try:
        yield
    finally:
        pycolmap.logging.minloglevel = before
