"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import tondo  # noqa: F401, it says how threads wait before torch is loaded

# isort: split
import pytest
import torch

# The native kernels have threads of their own; torch's would fight them for the cores.
torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder `data` below $TONDO_SHARED (default: ../shared): photos too large for the project.

    Skips the test where it does not exist; fails it where TONDO_SHARED is set and wrong.
    """
    asked = os.environ.get("TONDO_SHARED")
    data = Path(asked or ROOT.parent / "shared") / "data"
    if data.is_dir():
        return data
    if asked:
        pytest.fail(f"TONDO_SHARED is {asked}, where there is no folder data")
    pytest.skip(f"needs the shared photos in {data} (or in $TONDO_SHARED/data)")
