"""How much memory a process has needed, and whether there is what it will need."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from tondo.errors import OptionError

STATUS = Path("/proc/self/status")
_UNKNOWN = 8 << 30  # bytes of memory, where the system does not say; chosen
_SHARE = 0.6  # of all memory, which one command may take; chosen


def check_memory(needed: int, option: str) -> None:
    """Raise OptionError where an option such as "resolution=512" needs more bytes than we have."""
    total = _UNKNOWN
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > _SHARE * total:
        raise OptionError(
            f"`{option}` needs {needed / 2**30:.1f} GiB here, and this machine has "
            f"{total / 2**30:.1f} GiB: choose a smaller one"
        )


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, MB.

    Linux says it for the program itself in `STATUS`; what `getrusage` says includes the process
    that started it.
    """
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024
