"""What the other processes of a data-parallel training do: the steps that the first one takes.

The first process does all that a training of one process does, and gives an order before each step;
the others read the run that it wrote (so they need the same files) and write nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tondo.errors import InputError, TondoError
from tondo.gan.training import state_tensors
from tondo.gan.training.inputs import base_of, setting_of, training_set
from tondo.gan.training.options import TrainOptions, stored_options
from tondo.gan.training.session import Interrupted, shape_begun
from tondo.gan.training.state import Setting, Training
from tondo.gan.training.step import Watch, one_step, set_rates
from tondo.kernels.threads import num_threads, torch_threads
from tondo.runs import distributed
from tondo.runs.checkpoints import load_latest_checkpoint
from tondo.runs.interrupt import ctrl_c_flag
from tondo.runs.run_directory import open_run


@contextmanager
def leading() -> Iterator[None]:
    """Round all that the first process does: the others are told when it has ended.

    Where it breaks off within a step they are not: torchrun ends them.
    """
    try:
        yield
    except (TondoError, Interrupted):
        distributed.order(distributed.END)
        raise
    distributed.order(distributed.END)


def follow(out: Path, options: TrainOptions) -> None:
    """Take the orders of the first process, which trains into the run `out`, until it ends.

    Ctrl-C is left to the first process, which saves and then ends the training.

    Raises:
        InputError: the run that the first process made cannot be read here.
    """
    training: tuple[Training, Setting] | None = None
    setbacks = 0
    with ctrl_c_flag(), torch_threads(num_threads()):  # as the first process has
        while (order := int(distributed.of_first(distributed.END))) != distributed.END:
            if order != distributed.STEP:
                training, setbacks = newest(out, options), order - distributed.RELOAD
            elif training is not None:
                share = distributed.of_first(0.0)
                set_rates(training[0], training[1].config, setbacks, share)
                one_step(*training)


def newest(out: Path, options: TrainOptions) -> tuple[Training, Setting]:
    """The training as in the newest checkpoint."""
    run = open_run(out)
    options, source = stored_options(run, options)
    pictures = training_set(source, run, options, Watch())
    setting, shape = setting_of(pictures, options, Watch(), base_of(options))
    checkpoint = load_latest_checkpoint(run)
    if checkpoint is None:
        raise InputError(
            f"there is no checkpoint in {run.checkpoints_dir}: all processes of torchrun must "
            "see the same files as the first"
        )
    begun = shape_begun(run) or shape
    return state_tensors.from_tensors(checkpoint.tensors, setting, begun), setting
