"""`tondo train` with one made-up illness: the first step goes back to the first checkpoint."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tondo.cli.main import main
from tondo.gan.training import divergence
from tondo.runs.events import GanStep

ILL_AT = 1


def make_ill(replace: Callable[[object, str, object], None]) -> None:
    """Let a training be ill once, when step `ILL_AT` is reached first; `replace` is `setattr`."""
    before: list[int] = []

    def check_step(monitor: divergence.DivergenceMonitor, report: GanStep) -> str | None:
        if report.step != ILL_AT or before:
            return None
        before.append(report.step)
        return "a made-up illness"

    replace(divergence.DivergenceMonitor, "check_step", check_step)


if __name__ == "__main__":
    make_ill(setattr)
    sys.exit(main(sys.argv[1:]))
