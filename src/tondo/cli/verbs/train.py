"""`tondo train`: pictures of one kind of thing in, a generator of new ones out."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tondo.cli.options import positive_int
from tondo.errors import OptionError

if TYPE_CHECKING:
    from tondo.cli.terminal import Screen
    from tondo.gan.options import TrainOptions
    from tondo.gan.training.session import Result
    from tondo.gan.training.step import StepReport, Watch

SPINS = 3000  # more is hardly faster, and beside another program slower (docs/notes/gan.md)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the options of `tondo train`."""
    parser = subparsers.add_parser(
        "train",
        help="pictures of one kind of thing in, a generator of new 3D things out",
        description="Train a 3D-aware GAN. PICTURES: a folder (sub-folders may be classes), a zip, "
        "CelebA's folder, or what `tondo prepare --for gan` made.",
    )
    add = parser.add_argument
    add("pictures", metavar="PICTURES", type=Path)
    add("-o", "--output", metavar="RUN", type=Path, required=True, help="folder to make")
    add("--size", type=positive_int, default=64, metavar="N", help="pixels a side (%(default)s)")
    add(
        "--class",
        dest="classes",
        action="append",
        default=[],
        metavar="NAME",
        help="only pictures of this class (a sub-folder, or an attribute of CelebA); may be "
        "repeated",
    )
    add("--minutes", type=float, metavar="M", help="train so long (60, if --kimg is not given)")
    add("--kimg", type=float, metavar="N", help="train on so many thousand pictures")
    add(
        "--poses",
        metavar="PRIOR",
        help="where the cameras stood: frontal, turntable, tumble, upper-hemisphere, sphere, "
        'several joined by "+", or ranges such as azimuth=-40:40,elevation=-10:20,fov=25,'
        "distance=5 (default: the pictures' own cameras; without, turntable for a plain "
        "background and frontal for scenery; with --from as in it)",
    )
    add("--background", choices=("white", "scene"), help="behind the object (default: as seen)")
    add(
        "--light",
        choices=("camera", "none"),
        help="camera: light that stays with the camera while the object turns; none: painted on "
        "(default: none where the pictures' own cameras are used, and for fields; else camera)",
    )
    add(
        "--representation",
        choices=("splats", "field"),
        default="splats",
        help="what G makes: splats, or a radiance field on three planes (%(default)s)",
    )
    add(
        "--mirror",
        action="store_true",
        help="left and right of the things are alike, as of animals and cars that look along +z",
    )
    add(
        "--axial",
        action="store_true",
        help="the things look much alike from all round, as apples and vases: what all have in "
        "common is then the same all round, and mistaken cameras do not carve creases into it",
    )
    _add_running(parser)
    _add_tuning(parser.add_argument_group("the game of the two networks"))


def _add_running(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--from", dest="base", metavar="RUN|NAME", help="start from a trained generator")
    add("--lora", type=int, default=0, metavar="R", help="with --from: train adapters of rank R")
    add("--resume", action="store_true", help="go on from the run's last checkpoint")
    add("--force", action="store_true", help="replace a run that is there")
    add("--seed", type=int, default=0, metavar="N", help="of every random choice (%(default)s)")
    add(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where to train (auto: on the GPU, where PyTorch finds one for each process)",
    )
    add("--threads", type=positive_int, metavar="N", help="(default: all cores)")
    add("--licence", default="", metavar="TEXT", help="of the pictures, kept in the generator")
    add("--checkpoint-seconds", type=float, default=30.0, metavar="S", help="(%(default)s)")


def _add_tuning(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--loss", choices=("hinge", "nonsaturating", "minimax", "minimax-log", "relativistic"))
    add("--discriminator", choices=("projected", "plain"))
    add(
        "--features",
        metavar="NAME",
        help="frozen network of the projected discriminator: efficientnet-lite0 (default), "
        "resnet50 or densenet121 (fetched from PyTorch's hub), resnet50:FILE or densenet121:FILE",
    )
    add("--augment", choices=("adaptive", "off"))
    add("--batch", type=positive_int, metavar="N", help="pictures a step (24)")
    add(
        "--accumulate",
        type=positive_int,
        metavar="N",
        help="compute a batch in N parts: less memory for a large --batch (1)",
    )
    add("--lr-g", type=float, metavar="X", help="learning rate of the generator (0.002)")
    add("--lr-d", type=float, metavar="X", help="learning rate of the discriminator (0.0005)")
    add(
        "--r1-gamma",
        type=float,
        metavar="X",
        help="weight of the gradient penalty (200; 1 with --discriminator plain)",
    )


_TUNED: tuple[str, ...] = ("loss", "discriminator", "features", "augment")
_TUNED += ("batch", "accumulate", "lr_g", "lr_d", "r1_gamma")


def run(args: argparse.Namespace) -> None:
    """Train and print the results. Raises TondoError, KeyboardInterrupt."""
    _sleep_later()
    from tondo.gan.networks.discriminator import GROUP
    from tondo.gan.training.worker import run_worker
    from tondo.runs import distributed

    if args.resume and args.force:
        raise OptionError("--resume goes on with a run, --force replaces it: give one of them")
    options = _options(args)
    distributed.start()
    _share_cores(args.threads)
    try:
        if not args.resume:  # a run keeps the batch that it was begun with
            distributed.check_batch(options.schedule.batch, options.schedule.accumulate, GROUP)
        if distributed.is_first():
            _lead(args, options)
        else:
            run_worker(args.output, options)
    finally:
        distributed.stop()


def _lead(args: argparse.Namespace, options: TrainOptions) -> None:
    """What the first process, or the only one, does."""
    from tondo.cli.terminal import Screen
    from tondo.gan.training.session import Interrupted, train_generator
    from tondo.gan.training.worker import ending_workers
    from tondo.runs.run_directory import check_run_target

    with Screen() as screen:
        try:
            with ending_workers():
                check_run_target(args.output, force=args.force, resume=args.resume)
                result = train_generator(
                    args.pictures,
                    args.output,
                    options,
                    force=args.force,
                    resume=args.resume,
                    watch=_watch(screen),
                )
        except Interrupted as stopped:
            screen.close()
            again = (str(args.pictures), "-o", str(args.output))
            print(
                f"\nstopped after {stopped.kimg:.1f} thousand pictures; go on with:\n"
                f"  {shlex.join(['tondo', 'train', *again, '--resume'])}"
            )
            raise KeyboardInterrupt from None
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


def _options(args: argparse.Namespace) -> TrainOptions:
    from tondo.gan.options import Adversarial, Augmentation, Schedule, TrainOptions
    from tondo.gan.training.options import check_options

    tuned = {name: getattr(args, name) for name in _TUNED if getattr(args, name) is not None}
    for name in ("lr_g", "lr_d"):
        if name in tuned and not 0 < tuned[name] < 1:
            raise OptionError(f"--{name.replace('_', '-')} must lie between 0 and 1")
    if not 0 <= tuned.get("r1_gamma", 0) < 1e4:
        raise OptionError(f"--r1-gamma must be 0 or more, got {tuned['r1_gamma']:g}")
    options = TrainOptions(
        size=args.size,
        minutes=args.minutes,
        kimg=args.kimg,
        seed=args.seed,
        classes=tuple(args.classes),
        poses=args.poses,
        background=args.background,
        light=args.light,
        base=args.base,
        lora=args.lora,
        representation=args.representation,
        mirror=args.mirror,
        axial=args.axial,
        licence=args.licence,
        adversarial=_tuned(Adversarial(), tuned),
        schedule=_tuned(Schedule(), tuned),
        augmentation=_tuned(Augmentation(), tuned),
        checkpoint_seconds=args.checkpoint_seconds,
        device=args.device,
    )
    check_options(options)
    return options


def _tuned(record: Any, values: dict[str, Any]) -> Any:
    names = {one.name for one in dataclasses.fields(record)}
    return dataclasses.replace(record, **{k: v for k, v in values.items() if k in names})


def _watch(screen: Screen) -> Watch:
    from tondo.gan.training.step import Watch

    def step(report: StepReport, fraction: float, rate: float) -> None:
        about = (
            f"{report.pictures / 1000:.1f}k pictures, {rate:.1f}/s, D {report.real:+.2f} "
            f"{report.fake:+.2f}"
        )
        screen.show("training", fraction, 1.0, about)

    return Watch(screen.note, screen.show, step)


def _print_result(result: Result) -> None:
    from rich.table import Table

    from tondo.cli.terminal import result_console

    s = result.summary
    table = Table(title=f"{result.run.path}")
    for column in ("what", "value"):
        table.add_column(column, justify="right" if column == "value" else "left")
    table.add_row("pictures", f"{s['pictures']:,}")
    table.add_row("shown", f"{s['kimg']:.1f} thousand")
    table.add_row("training", f"{s['train_seconds'] / 60:.1f} min on {s['threads']} threads")
    table.add_row("a second", f"{1000 * s['kimg'] / max(1e-9, s['train_seconds']):.1f} pictures")
    table.add_row("peak memory", f"{s['peak_memory_mb']:.0f} MB")
    result_console().print(table)
    print(f"samples: {result.run.renders_dir / 'grid.png'}")
    run = shlex.quote(str(result.run.path))
    print(f"next: tondo generate {run} --seeds 0-7 -o models")
    print(f"      tondo evaluate {run}")
