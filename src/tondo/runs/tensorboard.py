"""Curves and pictures of a run for TensorBoard."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from tondo.errors import OutputError
from tondo.runs.events import Evaluation, Event, GanStep, Step
from tondo.runs.run_directory import RunDirectory


def open_tensorboard(run: RunDirectory, *, from_step: int = 0) -> SummaryWriter:
    """A writer into `RUN/tensorboard`; curves of a resumed run go on after `from_step`.

    Raises:
        OutputError: it cannot be written; so do the functions below.
    """
    hidden_from = from_step + 1 if from_step else None  # what came after the checkpoint
    with _writing(run.tensorboard_dir):
        return SummaryWriter(str(run.tensorboard_dir), purge_step=hidden_from, flush_secs=15)


def log_event(writer: SummaryWriter, event: Event) -> None:
    """Draw the numbers of a `Step`, `GanStep` or `Evaluation`; other events have none."""
    if isinstance(event, Step):
        values = {
            "train/loss": event.loss,
            "train/psnr": event.psnr,
            **({} if event.splats is None else {"train/splats": event.splats}),
            "train/memory_mb": event.memory,
        }
    elif isinstance(event, GanStep):
        values = {
            "loss/d": event.loss_d,
            "loss/g": event.loss_g,
            "score/real": event.real,
            "score/fake": event.fake,
            "gradient/d": event.grad_d,
            "gradient/g": event.grad_g,
            "augment_p": event.augment_p,
            "kimg": event.pictures / 1000,
            "memory_mb": event.memory,
        }
    elif isinstance(event, Evaluation):
        values = {
            "test/psnr": event.psnr,
            "test/ssim": event.ssim,
            "test/perceptual": event.perceptual,
        }
    else:
        return
    with _writing(writer.log_dir):
        for tag, value in values.items():
            if value is not None:
                writer.add_scalar(tag, value, event.step)


def log_picture(writer: SummaryWriter, tag: str, picture: Tensor, step: int) -> None:
    """Show a picture, [H, W, 3] float sRGB 0..1 or uint8."""
    with _writing(writer.log_dir):
        writer.add_image(tag, picture.detach().cpu(), step, dataformats="HWC")


@contextlib.contextmanager
def _writing(folder: str | Path) -> Iterator[None]:
    """The writer has a thread of its own, whose errors come up at its next use."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write in {folder}: {error.strerror or error}") from error
