"""Small trainings on one thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tondo.kernels.threads import num_threads, set_num_threads


@contextmanager
def one_thread() -> Iterator[None]:
    """What is as small as here gains nothing by two, and on a machine that is busy with other
    things they wait for each other at every step."""
    cores = num_threads()
    set_num_threads(1)
    try:
        yield
    finally:
        set_num_threads(cores)
