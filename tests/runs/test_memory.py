"""Peak memory is that of this program alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tondo.runs import memory
from tondo.runs.memory import peak_memory_mb

SAY = "from tondo.runs.memory import peak_memory_mb; print(peak_memory_mb())"


@pytest.mark.skipif(not memory.STATUS.exists(), reason="only Linux tells it")
def test_what_the_process_that_started_it_used_does_not_count() -> None:
    used = np.ones(512 * 2**20, dtype=np.uint8)
    told = subprocess.run([sys.executable, "-c", SAY], check=True, capture_output=True, text=True)
    assert 5 < float(told.stdout) < 400
    assert used[-1] == 1
    assert peak_memory_mb() > 512


def test_where_there_is_no_such_file_getrusage_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "STATUS", Path("/nowhere/status"))
    assert peak_memory_mb() > 10
