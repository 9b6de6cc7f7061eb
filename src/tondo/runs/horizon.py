"""How long a training lasts, and how long it has lasted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Horizon:
    """When training ends: after so many `steps` (or whatever a method counts), or `seconds` of
    training, whichever comes first; one of them may be None."""

    steps: float | None
    seconds: float | None

    def fraction(self, step: float, seconds: float) -> float:
        """How much of the training is over, 0..1."""
        counted = 0.0 if self.steps is None else step / self.steps if self.steps else 1.0
        timed = 0.0 if self.seconds is None else seconds / max(1e-9, self.seconds)
        return min(1.0, max(counted, timed))


@dataclass
class Clock:
    """Seconds of training; stands still while paused."""

    spent: float = 0.0
    since: float | None = None

    def run(self) -> None:
        if self.since is None:
            self.since = time.perf_counter()

    def pause(self) -> None:
        self.spent, self.since = self.seconds(), None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stands still within, and goes on as before after it."""
        running = self.since is not None
        self.pause()
        try:
            yield
        finally:
            if running:
                self.run()

    def seconds(self) -> float:
        return self.spent + (time.perf_counter() - self.since if self.since is not None else 0.0)
