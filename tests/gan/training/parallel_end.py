"""One of the processes that torchrun starts: parts from the others, with no time between its last
word to them and its end."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from tondo.runs import distributed


def threads() -> list[str]:
    """The names of this process's threads, where the system tells them."""
    return [file.read_text() for file in Path("/proc/self/task").glob("*/comm")]


if __name__ == "__main__":
    torch.set_num_threads(1)
    distributed.start()
    weight = torch.nn.Parameter(torch.ones(3))
    weight.sum().backward()
    torch.optim.Adam([weight]).step()  # loads much of torch
    sys.setswitchinterval(10)  # whoever waits for the interpreter waits until the end
    for _ in range(300):
        distributed.broadcast_float(1.0)
    distributed.stop()
    left = [name for name in threads() if "gloo" in name]
    assert not left, left
