"""What the other processes of a data-parallel training do: the steps that the first one takes.

The first process does all that a training of one process does, and gives an order before each step;
the others read the run that it wrote (so they need the same files) and write nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tondo.errors import InputError, TondoError
from tondo.gan.options import TrainOptions
from tondo.gan.training import state_tensors
from tondo.gan.training.inputs import open_base, train_inputs, training_set
from tondo.gan.training.options import OF_NOW
from tondo.gan.training.session import stored_shape
from tondo.gan.training.state import TrainInputs, TrainState
from tondo.gan.training.step import one_step, set_rates
from tondo.kernels.threads import num_threads, torch_threads
from tondo.runs import distributed
from tondo.runs.checkpoints import load_latest_checkpoint
from tondo.runs.interrupt import ctrl_c_flag
from tondo.runs.loop import Interrupted
from tondo.runs.run_directory import open_run
from tondo.runs.stored_options import stored_options
from tondo.runs.watch import SILENT


@contextmanager
def ending_workers() -> Iterator[None]:
    """Round all that the first process does: the others are told when it has ended.

    Where it breaks off within a step they are not: torchrun ends them.
    """
    try:
        yield
    except (TondoError, Interrupted):
        distributed.send_command(distributed.END)
        raise
    distributed.send_command(distributed.END)


def run_worker(out: Path, options: TrainOptions) -> None:
    """Take the orders of the first process, which trains into the run `out`, until it ends.

    Ctrl-C is left to the first process, which saves and then ends the training.

    Raises:
        InputError: the run that the first process made cannot be read here.
    """
    state: tuple[TrainState, TrainInputs] | None = None
    rollbacks = 0
    with ctrl_c_flag(), torch_threads(num_threads()):  # as the first process has
        while (order := int(distributed.broadcast_float(distributed.END))) != distributed.END:
            if order != distributed.STEP:
                state, rollbacks = newest(out, options), order - distributed.RELOAD
            elif state is not None:
                share = distributed.broadcast_float(0.0)
                set_rates(state[0], state[1].options, rollbacks, share)
                one_step(*state)


def newest(out: Path, options: TrainOptions) -> tuple[TrainState, TrainInputs]:
    """The training as in the newest checkpoint."""
    run = open_run(out)
    options, source = stored_options(run, "train", options, OF_NOW)
    pictures = training_set(source, run, options, SILENT)
    inputs, shape = train_inputs(pictures, options, SILENT, open_base(options))
    checkpoint = load_latest_checkpoint(run)
    if checkpoint is None:
        raise InputError(
            f"there is no checkpoint in {run.checkpoints_dir}: all processes of torchrun must "
            "see the same files as the first"
        )
    begun = stored_shape(run) or shape
    return state_tensors.from_tensors(checkpoint.tensors, inputs, begun), inputs
