"""Work on many pictures, several at a time, a few ahead."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def in_threads(
    work: Callable[[A], B], items: Iterable[A], *, most: int | None = None, ahead: int = 16
) -> Iterator[B]:
    """`map` in order, with a thread for each core: Pillow, OpenCV and pycolmap release the GIL.

    Args:
        most: threads, where each needs much memory.
        ahead: items that each thread takes before the results before them are asked for.
    """
    cores = os.cpu_count() or 1
    workers = cores if most is None else min(most, cores)
    pool = ThreadPoolExecutor(workers)
    remaining = iter(items)
    try:
        while chunk := list(islice(remaining, ahead * workers)):
            yield from pool.map(work, chunk)
    finally:
        pool.shutdown(cancel_futures=True)
