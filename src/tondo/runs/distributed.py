"""Training by several processes that torchrun starts: each works on its part of every batch.

Every process holds all networks, draws the random numbers of the whole batch, takes its own part
of it, and steps by the mean of all gradients. So all have the same weights without sending them, a
training does not depend on their number (up to rounding), and any number can go on with it.
Outside torchrun every function here does nothing, or says what holds for one process.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tondo.errors import InputError, OptionError

# Commands of the first process to the others (`send_command`): end; take a step; or read the
# newest checkpoint, with the number of rollbacks added.
END, STEP, RELOAD = 0, 1, 2
# The others wait while the first process makes the training set and pretrains.
PATIENCE = timedelta(days=7)


def start() -> None:
    """Join the other processes, if torchrun started this one: gloo for tensors in memory, and NCCL
    for those on a GPU, where there is one.

    Raises:
        InputError: torchrun's variables are there, but the processes do not find each other.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ or _running():
        return
    # This module's default arguments hold the group if it is first loaded once there is one, as
    # Adam's first step does: `stop` would not end gloo's threads, which abort at the exit.
    importlib.import_module("torch.distributed.nn.functional")
    backend = "gloo"
    if torch.cuda.is_available() and dist.is_nccl_available():
        backend = "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    try:
        dist.init_process_group(backend, timeout=PATIENCE)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"the processes of torchrun cannot join each other ({error}): start them by "
            "`torchrun --nproc-per-node N -m tondo train ...`"
        ) from None


def stop() -> None:
    """Part from the others; after it this process is on its own."""
    if _running():
        dist.destroy_process_group()


def processes() -> int:
    """How many work together; 1 outside torchrun."""
    return dist.get_world_size() if _running() else 1


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if _running() else 0


def is_first() -> bool:
    """Whether this is the process that writes files and talks to the user."""
    return rank() == 0


def barrier() -> None:
    """Wait until every process is here."""
    if processes() > 1:
        dist.barrier()


def check_batch(batch: int, accumulate: int, groups: int) -> None:
    """Whether a batch of `groups` groups can be shared and taken in `accumulate` parts. Raises
    OptionError."""
    count = processes() * accumulate
    if count > 1 and batch % (groups * count):
        among = f"among {processes()} processes" if processes() > 1 else ""
        into = f"into {accumulate} parts (`accumulate`)" if accumulate > 1 else ""
        raise OptionError(
            f"`batch={batch}` cannot be divided {' and '.join(filter(None, (among, into)))}: it "
            f"must be a multiple of {groups * count}"
        )


def shard(rows: Tensor, groups: int) -> Tensor:
    """This process's part [B / processes, ...] of what belongs to the whole batch [B, ...]."""
    return microbatch(rows, groups, rank(), processes())


def microbatch(rows: Tensor, groups: int, index: int, count: int) -> Tensor:
    """Part `index` of `count` [B / count, ...] of rows [B, ...].

    Rows that are B / groups apart stay together: a discriminator that measures the spread over them
    judges as it would judge the whole batch.
    """
    if count == 1:
        return rows
    return rows.unflatten(0, (groups, count, -1))[:, index].flatten(0, 1)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the processes: after `backward`, before the step."""
    if processes() == 1:
        return
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([grad.flatten() for grad in grads])
    dist.all_reduce(flat)
    flat /= processes()
    for grad, mean in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
        grad.copy_(mean.view_as(grad))


def mean_of(values: Tensor) -> Tensor:
    """The mean over the processes of a tensor that each has, without gradients."""
    values = values.detach()
    if processes() > 1:
        values = values.clone()
        dist.all_reduce(values)
        values /= processes()
    return values


def all_gather(values: Tensor) -> Tensor:
    """What every process has [B, ...], one after the other [processes * B, ...], without
    gradients."""
    values = values.detach().contiguous()
    if processes() == 1:
        return values
    found = [torch.empty_like(values) for _ in range(processes())]
    dist.all_gather(found, values)
    return torch.cat(found)


def broadcast_float(value: float) -> float:
    """What the first process says: of clocks and signals, which differ between processes."""
    if processes() == 1:
        return value
    told = torch.tensor([value], dtype=torch.float64)
    dist.broadcast(told, 0)
    return float(told)


def send_command(what: int) -> None:
    """The first process tells the others, which wait in `tondo.gan.training.worker`."""
    broadcast_float(what)


def _running() -> bool:
    return dist.is_available() and dist.is_initialized()
