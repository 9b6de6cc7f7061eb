"""`tondo train` with one made-up illness: the first step goes back to the first checkpoint."""

from __future__ import annotations

import sys

from tondo.cli.main import main
from tondo.gan.training import divergence
from tondo.gan.training.step import StepReport

ILL_AT = 1
_before: list[int] = []


def _sudden(monitor: divergence.DivergenceMonitor, report: StepReport) -> str | None:
    """Ill once, when step `ILL_AT` is reached first."""
    if report.step != ILL_AT or _before:
        return None
    _before.append(report.step)
    return "a made-up illness"


if __name__ == "__main__":
    divergence.DivergenceMonitor.check_step = _sudden  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
