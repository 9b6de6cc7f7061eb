"""COLMAP's log, silenced where our own progress bars speak."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pycolmap

_ERRORS_ONLY = 2


@contextmanager
def quiet_colmap() -> Iterator[None]:
    """Inside, pycolmap writes errors only to stderr; afterwards as much as before."""
    before = pycolmap.logging.minloglevel
    pycolmap.logging.minloglevel = max(before, _ERRORS_ONLY)
    try:
        yield
    finally:
        pycolmap.logging.minloglevel = before
