"""`tondo train`: pictures of one kind of thing in, a generator of new ones out."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tondo.cli.arguments import Flag, Typed, Verb
from tondo.cli.plan import plan_of, print_plan
from tondo.errors import check_number
from tondo.gan.options import TrainOptions

if TYPE_CHECKING:
    from tondo.gan.files.generator_file import Trained
    from tondo.runs.loop import Result
    from tondo.runs.method import Report

SPINS = 3000  # more is hardly faster, and beside another program slower (docs/notes/gan.md)


@dataclass(frozen=True)
class Command:
    """Train a 3D-aware GAN.

    Attributes:
        pictures: a folder (sub-folders may be classes), a zip, CelebA's folder, or what `tondo
            prepare --for gan` made
        output: folder to make
        options: how
        threads: number of CPU threads; None: all cores
        resume: go on from the run's last checkpoint
        force: replace a run that is there
        dry_run: print the resolved options and what was found, and do nothing
    """

    pictures: Path
    output: Path
    options: TrainOptions = field(default_factory=TrainOptions)
    threads: int | None = None
    resume: bool = False
    force: bool = False
    dry_run: bool = False


def run(command: Command, typed: Typed) -> None:
    """Train and print the results. Raises TondoError, KeyboardInterrupt."""
    _sleep_later()
    from tondo.gan.networks.discriminator import GROUP
    from tondo.gan.training.options import check_options
    from tondo.gan.training.worker import run_worker
    from tondo.runs import distributed

    check_number("threads", command.threads, 1)
    if command.dry_run:
        from tondo.api.plan import plan_train

        at = (command.pictures, command.output)
        print_plan(plan_train(*at, command.options, **plan_of(command, typed)), typed)
        return
    check_options(command.options)
    distributed.start()
    _share_cores(command.threads)
    try:
        if not command.resume:  # a run keeps the batch that it was begun with
            schedule = command.options.schedule
            distributed.check_batch(schedule.batch, schedule.accumulate, GROUP)
        if distributed.is_first():
            _lead(command, typed)
        else:
            run_worker(command.output, command.options)
    finally:
        distributed.stop()


def _lead(command: Command, typed: Typed) -> None:
    """What the first process, or the only one, does."""
    from tondo.cli.training import shown
    from tondo.gan.training.session import train_generator
    from tondo.gan.training.worker import ending_workers
    from tondo.runs.run_directory import check_run_target

    again = ["train", str(command.pictures), "-o", str(command.output)]
    how = {"force": command.force, "resume": command.resume}
    with shown(typed, again, _about) as watch, ending_workers():
        check_run_target(command.output, **how)
        result = train_generator(
            command.pictures,
            command.output,
            command.options,
            **how,
            given=typed.options,
            watch=watch,
        )
    _print_result(result)


def _sleep_later() -> None:
    """Threads that wait for work look for it some 0.1 ms before they sleep, unless the user says
    otherwise. A step is of thousands of small operations, and where waking a thread is slow, as in
    virtual machines, two threads that sleep between them are as fast as one. GNU's OpenMP reads
    this when torch is loaded."""
    if os.environ.get("OMP_WAIT_POLICY") == "passive":
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))


def _share_cores(threads: int | None) -> None:
    """`threads` for this process, or its part of the machine's cores."""
    from tondo.kernels.threads import num_threads, set_num_threads

    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if threads or beside > 1:
        set_num_threads(threads or max(1, num_threads() // beside))


def _about(report: Report) -> str | None:
    from tondo.runs.events import GanStep

    event = report.event
    if not isinstance(event, GanStep):
        return None
    return (
        f"{event.pictures / 1000:.1f}k pictures, {report.rate:.1f}/s, D {event.real:+.2f} "
        f"{event.fake:+.2f}"
    )


def _print_result(result: Result[Trained]) -> None:
    from tondo.cli.training import print_figures

    s = result.summary
    figures = {
        "pictures": f"{s['pictures']:,}",
        "shown": f"{s['kimg']:.1f} thousand",
        "training": f"{s['train_seconds'] / 60:.1f} min on {s['threads']} threads",
        "a second": f"{1000 * s['kimg'] / max(1e-9, s['train_seconds']):.1f} pictures",
    }
    print_figures(result, figures)
    print(f"samples: {result.run.renders_dir / 'grid.png'}")
    run = shlex.quote(str(result.run.path))
    print(f"next: tondo generate {run} --seeds 0-7 -o models")
    print(f"      tondo evaluate {run}")


_FOR_PYTHON = (
    "r1_every",
    "beta1",
    "beta2",
    "max_grad_norm",
    "min_diversity",
    "decay",
    "min_rate",
    "ema_kimg",
    "strength",
    "target",
    "blur",
    "blur_kimg",
)
VERB = Verb(
    Command,
    run,
    {
        "pictures": Flag(metavar="PICTURES"),
        "output": Flag(("-o", "--output"), "RUN"),
        "classes": Flag(("--class",), "NAME"),
        "poses": Flag(metavar="PRIOR"),
        "base": Flag(("--from",), "RUN|NAME"),
        **{name: Flag(fixed=True) for name in _FOR_PYTHON},
    },
    {
        "adversarial": "adversarial training",
        "schedule": "batches and learning rates",
        "augmentation": "augmentation",
    },
)
