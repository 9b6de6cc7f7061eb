"""How work that takes a while tells what it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Watch:
    """Functions that are called meanwhile.

    Attributes:
        note: with a sentence. stage: with what is done, how far it is and of how much.
        step: with the report of each training step (of scenes `tondo.runs.method.Report`).
    """

    note: Callable[[str], None] = lambda text: None
    stage: Callable[[str, int, int], None] = lambda stage, done, total: None
    step: Callable[[Any], None] = lambda report: None


SILENT = Watch()
