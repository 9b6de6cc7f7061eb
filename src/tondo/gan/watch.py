"""How a training tells what it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tondo.gan.train import StepReport


@dataclass(frozen=True)
class Watch:
    """How a training tells what it does: sentences; (stage, done, total) while pictures are
    prepared; every step, with the fraction of the training that is over and pictures a second."""

    note: Callable[[str], None] = lambda text: None
    stage: Callable[[str, int, int], None] = lambda stage, done, total: None
    step: Callable[[StepReport, float, float], None] = lambda report, fraction, rate: None
