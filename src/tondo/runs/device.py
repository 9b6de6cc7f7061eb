"""On which device a generator is trained."""

from __future__ import annotations

import os

import torch

from tondo.errors import OptionError

CPU = torch.device("cpu")


def training_device(name: str) -> torch.device:
    """The device called `name`: "cpu", "cuda", or "auto" for the GPU where there is one for this
    process, and the CPU else. Of the processes of torchrun each has a GPU of its own, or none has.

    Raises:
        OptionError: "cuda" and there is no GPU that can be used, or not one for each process.
    """
    if name == "cpu":
        return CPU
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if 0 < processes <= gpus:
        return torch.device("cuda", torch.cuda.current_device())
    if name == "auto":
        return CPU
    if gpus:
        raise OptionError(
            f"`device=cuda`: {processes} processes have {gpus} GPU(s), and each needs its own: "
            f"--nproc-per-node {gpus}, or `device=cpu`"
        )
    why = "torch is built without CUDA" if torch.version.cuda is None else "no device is visible"
    raise OptionError(
        f"`device=cuda`: there is no GPU that PyTorch can use ({why}): leave `device` out, and the "
        "CPU trains; `tondo doctor` says what is there"
    )
