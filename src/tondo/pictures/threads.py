"""Work on many pictures, several at a time, a few ahead."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def in_threads(work: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """`map` in order. Pillow and OpenCV release the GIL; only a few results wait at a time."""
    workers = os.cpu_count() or 1
    pool = ThreadPoolExecutor(workers)
    remaining = iter(items)
    try:
        while chunk := list(islice(remaining, 16 * workers)):
            yield from pool.map(work, chunk)
    finally:
        pool.shutdown(cancel_futures=True)
