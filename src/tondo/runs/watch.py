"""How work that takes a while tells what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Item = TypeVar("Item")
Progress = Callable[[str, int, int], None]  # what is done; how many of how many


@dataclass(frozen=True)
class Watch:
    """Functions that are called meanwhile.

    Attributes:
        note: with a sentence. stage: with what is done, how far it is and of how much.
        step: with the report of each training step (of scenes `tondo.runs.method.Report`).
    """

    note: Callable[[str], None] = lambda text: None
    stage: Progress = lambda stage, done, total: None
    step: Callable[[Any], None] = lambda report: None

    def over(self, items: Sequence[Item], what: str) -> Iterator[Item]:
        """The items, while `stage` is told how many of them are done."""
        for done, item in enumerate(items):
            self.stage(what, done, len(items))
            yield item
        self.stage(what, len(items), len(items))


SILENT = Watch()
