"""What runs on an NVIDIA GPU, beside what the CPU makes of the same."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def cuda() -> torch.device:
    """The GPU. Skips the test where there is none."""
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU and a build of PyTorch for CUDA")
    return torch.device("cuda", 0)
