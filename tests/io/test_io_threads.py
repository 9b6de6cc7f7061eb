"""Work on many things in threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from tondo.io.threads import in_threads


def test_results_come_in_order_and_few_items_are_taken_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    taken: list[int] = []

    def items() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            yield i

    results = in_threads(lambda i: (i, threading.get_ident()), items(), most=2, ahead=4)
    assert next(results)[0] == 0
    assert len(taken) == 2 * 4
    found = [(0, 0), *results]
    assert [i for i, _ in found] == list(range(100))
    assert 1 <= len({thread for _, thread in found[1:]}) <= 2


def test_an_error_arrives_in_its_place() -> None:
    results = in_threads(lambda i: 1 // i, [1, 0, 1])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
