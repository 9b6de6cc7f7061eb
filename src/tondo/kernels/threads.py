"""How many threads the native kernels use."""

from __future__ import annotations

from tondo import _native


def num_threads() -> int:
    """Threads of the native kernels: all cores, unless told otherwise."""
    return int(_native.num_threads())


def set_num_threads(count: int) -> None:
    """Use `count` threads, at least 1."""
    _native.set_num_threads(count)
