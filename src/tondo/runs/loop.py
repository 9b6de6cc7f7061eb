"""The run loop of every method: clock, events, pictures, checkpoints, going back, Ctrl-C, the end.

A run begins with `created` or a checkpoint (`newest_checkpoint`, `restoring`, `say_resumed`), goes
through `train`, once for each of its stages, and ends with `finish`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch.utils.tensorboard import SummaryWriter

from tondo.errors import InputError
from tondo.kernels.threads import num_threads, torch_threads
from tondo.runs.checkpoints import Checkpoint, load_latest_checkpoint, save_checkpoint
from tondo.runs.events import Note, append_event
from tondo.runs.interrupt import ctrl_c_flag
from tondo.runs.memory import peak_memory_mb
from tondo.runs.method import Method, Report
from tondo.runs.run_directory import (
    RunDirectory,
    abandon_run,
    change_config,
    finish_run,
    write_metrics,
)
from tondo.runs.tensorboard import log_event, log_picture, open_tensorboard
from tondo.runs.watch import Watch

EVENT_SECONDS = 1.0  # between lines of events.jsonl: bounds its size; chosen, not measured
PICTURE_REST = 20.0  # times what pictures cost: a young field is fog, which takes long to render

M = TypeVar("M")


@dataclass(frozen=True)
class Result(Generic[M]):
    """A finished run.

    Attributes:
        run: its folder.
        model: what came out of it, a scene or a generator.
        summary: its figures, as in `metrics.json`.
        metrics: measurements on held-out photos (`tondo.evaluation.evaluate`), or None.
    """

    run: RunDirectory
    model: M
    summary: Mapping[str, Any]
    metrics: Any = None


class Interrupted(Exception):
    """Ctrl-C during training; everything is saved. `done`: how far it had come, in words."""

    def __init__(self, done: str) -> None:
        super().__init__(f"stopped after {done}")
        self.done = done


@contextmanager
def beginning(run: RunDirectory, *, is_new: bool, keep: str = "") -> Iterator[None]:
    """Around what comes before a run's training: where that fails, a new run is abandoned, unless
    `keep`, a folder in it that took long to make, is there already."""
    try:
        yield
    except Interrupted:
        raise
    except BaseException:
        if is_new and not (keep and (run.path / keep).exists()):
            abandon_run(run)
        raise


def newest_checkpoint(run: RunDirectory, watch: Watch) -> Checkpoint | None:
    """The newest whole checkpoint of a run that is to go on; says which ones were passed over.

    Raises:
        InputError: there are checkpoints, but every one is damaged.
    """
    checkpoint = load_latest_checkpoint(run)
    if checkpoint is None:
        watch.note("no checkpoint yet: starting from the first step")
        return None
    for skipped in checkpoint.skipped:
        watch.note(f"checkpoint not usable, taking the one before: {skipped}")
        append_event(run, Note(checkpoint.step, f"checkpoint not usable: {skipped}", 0.0))
    return checkpoint


@contextmanager
def restoring(run: RunDirectory, checkpoint: Checkpoint, what: str) -> Iterator[None]:
    """Around making `what` of a checkpoint: raises InputError where it is of something else."""
    try:
        yield
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"the checkpoint of step {checkpoint.step} in {run.checkpoints_dir} is not one of "
            f"this {what} ({reason}): start again with `force`"
        ) from error


def say_resumed(run: RunDirectory, method: Method, watch: Watch) -> None:
    """To the user and in the run's events."""
    watch.note(f"going on after {method.done}")
    append_event(run, Note(method.step, "resumed", method.clock.seconds()))


@dataclass
class _Session:
    """A loop on its way; the training time at which something was done last."""

    run: RunDirectory
    method: Method
    writer: SummaryWriter
    pending: Sequence[float]  # training time at which to measure
    saved: float
    noted: float
    pictured: float
    picture_cost: float = 0.0


def train(
    run: RunDirectory,
    method: Method,
    watch: Watch,
    *,
    checkpoint_seconds: float,
    evaluate_at: Sequence[float] = (),
) -> None:
    """Train until the horizon; afterwards the newest checkpoint is that of the end.

    Args:
        checkpoint_seconds: training time between checkpoints.
        evaluate_at: training time at which to measure held-out photos, seconds.

    Raises:
        Interrupted: Ctrl-C, after a checkpoint was written.
        OutputError: the run cannot be written.
    """
    now = method.clock.seconds()
    pending = [at for at in sorted(evaluate_at) if at > now]
    writer = open_tensorboard(run, from_step=method.step)
    session = _Session(run, method, writer, pending, now, now, now)
    # The kernels have threads of their own; two pools would fight for the cores.
    with ctrl_c_flag() as stop, torch_threads(method.torch_threads):
        try:
            method.clock.run()
            fraction = method.fraction()
            while fraction < 1:
                fraction = _step(session, fraction, stop, checkpoint_seconds, watch)
            method.clock.pause()
            _log_pictures(session)
        finally:
            session.writer.close()


def _step(
    session: _Session, fraction: float, stop: list[bool], checkpoint_seconds: float, watch: Watch
) -> float:
    """One step and what is due after it. Returns how much of the training is over then."""
    run, method = session.run, session.method
    report = method.advance(fraction)
    if report.event is not None:
        watch.step(report)
    if report.note is not None:
        watch.note(f"step {method.step}: {report.note}")
        append_event(run, Note(method.step, report.note, method.clock.seconds()))
    waited = method.clock.seconds() - session.saved
    is_due = bool(stop) or report.fraction >= 1 or waited >= checkpoint_seconds
    reason = method.check(thorough=is_due)
    if reason is not None:
        _go_back(session, reason, watch)
        return method.fraction()
    _tell(session, report)
    if is_due:
        _save(session)
    if stop:
        raise Interrupted(method.done)
    return report.fraction


def _tell(session: _Session, report: Report) -> None:
    """Events, measurements and pictures, every so often."""
    run, method, now = session.run, session.method, session.method.clock.seconds()
    is_due = now - session.noted >= EVENT_SECONDS or report.fraction >= 1
    if report.event is not None and is_due:
        session.noted = now
        event = method.event(report.event)
        append_event(run, event)
        log_event(session.writer, event)
    if session.pending and now >= session.pending[0]:
        session.pending = [at for at in session.pending if at > now]
        with method.clock.stopped():
            measured = method.measure()
        if measured is not None:
            append_event(run, measured)
            log_event(session.writer, measured)
    if now - session.pictured >= max(method.picture_seconds, PICTURE_REST * session.picture_cost):
        session.pictured = now
        _log_pictures(session)


def _log_pictures(session: _Session) -> None:
    began = time.perf_counter()
    with session.method.clock.stopped():
        for tag, picture in session.method.pictures(session.run).items():
            log_picture(session.writer, tag, picture, session.method.step)
    session.picture_cost = time.perf_counter() - began


def _save(session: _Session) -> None:
    """A checkpoint, and into `config.json` how far the run has come."""
    run, method = session.run, session.method
    session.saved, progress = method.clock.seconds(), method.progress()
    save_checkpoint(run, method.step, method.tensors(), method.facts())
    method.write(run)
    change_config(run, progress)


def _go_back(session: _Session, reason: str, watch: Watch) -> None:
    """To the last checkpoint, since something is wrong."""
    run, method = session.run, session.method
    append_event(run, Note(method.step, reason, method.clock.seconds()))
    checkpoint = load_latest_checkpoint(run)
    assert checkpoint is not None  # `check` finds nothing wrong before there is one
    watch.note(method.go_back(run, checkpoint, reason))
    # at once: a training that is killed now must not forget that it went back
    save_checkpoint(run, method.step, method.tensors(), method.facts())
    session.writer.close()
    session.writer = open_tensorboard(run, from_step=method.step)
    session.saved = session.noted = session.pictured = method.clock.seconds()
    method.clock.run()


def finish(
    run: RunDirectory, method: Method, measured: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    """Write `metrics.json` and end the run, whose result is there. Returns its summary."""
    summary = {
        "train_seconds": round(method.clock.seconds(), 3),
        "steps": method.step,
        **method.summary(),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "threads": num_threads(),
    }
    write_metrics(run, {**(measured or {}), **summary})
    finish_run(run)
    return summary
