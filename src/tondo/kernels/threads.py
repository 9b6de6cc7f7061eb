"""How many threads the native kernels use, and torch beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tondo import _native


def num_threads() -> int:
    """Threads of the native kernels: all cores, unless told otherwise."""
    return int(_native.num_threads())


def set_num_threads(count: int) -> None:
    """Use `count` threads, at least 1."""
    _native.set_num_threads(count)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """torch's own operations on `count` threads; the native kernels keep theirs."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
