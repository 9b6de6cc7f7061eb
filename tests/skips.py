"""Why tests may be skipped, and how many for each reason: a skip that is not here fails the run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

# The beginning of a reason, and how many tests of the whole suite need what it names. Where a
# machine has it, none is skipped; where it lacks it, all of them are.
SKIPS = {
    "needs an NVIDIA GPU": 80,
    "needs gsplat": 23,  # of those 80, which run where a GPU is
    "needs the CUDA toolkit": 23,
    "needs the shared photos": 8,
    "needs node and npm": 13,
    "npm could not fetch gltf-validator": 13,
    "needs Blender": 8,
    "this Blender has no numpy": 8,
    "needs /proc": 1,  # macOS
    "only Linux tells it": 1,
    "torch's threads: Linux alone": 3,
}


def faults(reasons: Iterable[str], whole: bool) -> list[str]:
    """What is wrong with the reasons why tests were skipped, a line each.

    Args:
        reasons: one for each skipped test.
        whole: whether the whole suite ran, so that the numbers must be those of the table.
    """
    found: Counter[str] = Counter()
    lines = []
    for reason in reasons:
        known = [start for start in SKIPS if reason.startswith(start)]
        if known:
            found[known[0]] += 1
        else:
            lines.append(f"a reason that tests/skips.py does not know: {reason}")
    for start, count in found.items():
        if count > SKIPS[start] or (whole and count != SKIPS[start]):
            lines.append(f"{start!r}: {count} tests skipped, tests/skips.py has {SKIPS[start]}")
    return lines


def reason_of(longrepr: object) -> str:
    """The reason in a report of a skipped test."""
    text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return re.sub(r"^Skipped: ", "", str(text))
