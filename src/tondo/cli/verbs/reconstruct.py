"""`tondo reconstruct`: photographs in, a run with a scene out."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tondo.cli.options import MASKS_HELP, color, positive_int
from tondo.errors import OptionError

if TYPE_CHECKING:
    from tondo.cli.terminal import Screen
    from tondo.runs.loop import Result
    from tondo.runs.method import Report
    from tondo.runs.watch import Watch
    from tondo.scenes.options import ReconstructOptions


# What a run keeps: options of `tondo.scenes.options`, and where argparse puts them.
_KEPT = {name: name for name in ("method", "max_size", "seed", "holdout", "background", "exposure")}
_KEPT |= {"masks": "masks"}
_KEPT |= {f"splats.{name}": name for name in ("max_splats", "sh_degree", "refine_poses")}
_KEPT |= {"nerf.encoding": "encoding"}


def _background(text: str) -> str | tuple[float, float, float]:
    if text in ("white", "black", "random", "learned"):
        return text
    try:
        return color(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            "expected white, black, random, learned or r,g,b with three numbers from 0 to 1, "
            f"got {text!r}"
        ) from None


def _seconds(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected seconds such as 30,60, got {text!r}") from None


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the options of `tondo reconstruct`."""
    parser = subparsers.add_parser(
        "reconstruct",
        help="photos in, a scene out",
        description="Fit 3D Gaussian splats or a radiance field to photographs. PHOTOS: a folder "
        "of photos, a video, a COLMAP model, or a transforms.json (nerfstudio, instant-ngp, "
        "Blender) or its folder.",
    )
    add = parser.add_argument
    add("photos", metavar="PHOTOS", type=Path)
    add("-o", "--output", metavar="RUN", type=Path, required=True, help="folder to make")
    add(
        "--method",
        choices=["splats", "nerf"],
        help="what the scene is made of: 3D Gaussian splats, or a radiance field (splats)",
    )
    add("--max-size", type=positive_int, metavar="N", help="longest side (480)")
    add("--steps", type=int, metavar="N", help="train so many steps: the same scene every time")
    add("--minutes", type=float, metavar="M", help="train so long (3, if --steps is not given)")
    add("--seed", type=int, metavar="N", help="of every random choice (0)")
    add("--holdout", type=int, metavar="N", help="keep every Nth photo for testing (8)")
    add(
        "--background",
        type=_background,
        metavar="COLOR",
        help="white, black, random, learned or r,g,b (with transparency: random in training, "
        "shown on white; others: their mean colour)",
    )
    add("--masks", metavar="auto|none|DIR", help=f"{MASKS_HELP} (auto)")
    add("--max-splats", type=int, metavar="N", help="budget of splats")
    add(
        "--encoding",
        choices=["hash", "dct", "frequency"],
        help="how a field's places become features: a hash grid (default), planes of cosines, "
        "which are compact, or the first NeRF's sines and cosines, which take many hours",
    )
    add("--sh-degree", type=int, choices=range(4), help="of the colours' harmonics")
    add("--exposure", choices=["auto", "on", "off"], help="correct per photo (auto)")
    add("--refine-poses", action="store_true", default=None, help="fit the cameras' poses too")
    add("--threads", type=positive_int, metavar="N", help="(default: all cores)")
    add("--checkpoint-seconds", type=float, default=30.0, metavar="S", help="(%(default)s)")
    add("--evaluate-at", type=_seconds, default=(), metavar="S,S", help="measure at these times")
    add("--resume", action="store_true", help="go on from the run's last checkpoint")
    add("--force", action="store_true", help="replace a run that is there")


def run(args: argparse.Namespace) -> None:
    """Reconstruct and print the table of results. Raises TondoError, KeyboardInterrupt."""
    check_target(args)
    again = shlex.join(
        ["tondo", "reconstruct", str(args.photos), "-o", str(args.output), "--resume"]
    )
    print_result(reconstruct_shown(args.photos, args, _options(args), again))


def check_target(args: argparse.Namespace) -> None:
    """Whether the run of --output can be made, with --force and --resume as given."""
    from tondo.runs.run_directory import check_run_target

    if args.resume and args.force:
        raise OptionError("--resume goes on with a run, --force replaces it: give one of them")
    check_run_target(args.output, force=args.force, resume=args.resume)


def reconstruct_shown(
    source: Path, args: argparse.Namespace, options: ReconstructOptions, again: str
) -> Result:
    """Reconstruct `source` into --output with its progress on the screen.

    Args:
        again: the command that goes on after Ctrl-C.
    """
    from tondo import _native
    from tondo.cli.terminal import Screen
    from tondo.runs.loop import Interrupted
    from tondo.scenes.reconstruct import reconstruct

    if args.threads:
        _native.set_num_threads(args.threads)
    with Screen() as screen:
        try:
            return reconstruct(
                source,
                args.output,
                options,
                force=args.force,
                resume=args.resume,
                given=[name for name, at in _KEPT.items() if getattr(args, at, None) is not None],
                watch=_watch(screen),
            )
        except Interrupted as stopped:
            screen.close()
            print(f"\n{stopped}; go on with:\n  {again}")
            raise KeyboardInterrupt from None


def _options(args: argparse.Namespace) -> ReconstructOptions:
    from tondo.io.mask_files import stored_choice
    from tondo.nerf.config import config_for
    from tondo.scenes.options import ReconstructOptions
    from tondo.splats.config import SplatConfig

    if not args.resume:
        _check_method(args)
    given: dict[str, Any] = {"refine_poses": bool(args.refine_poses)}
    if args.max_splats is not None:
        given["max_splats"] = args.max_splats
    if args.sh_degree is not None:
        given["sh_degree"] = args.sh_degree
    chosen = {name: getattr(args, name) for name in ("method", "max_size", "seed", "holdout")}
    if args.masks is not None:
        chosen["masks"] = stored_choice(args.masks)
    return ReconstructOptions(
        **{name: value for name, value in chosen.items() if value is not None},
        steps=args.steps,
        minutes=args.minutes,
        background=args.background,
        exposure={"on": True, "off": False}.get(args.exposure),
        splats=dataclasses.replace(SplatConfig(), **given),
        nerf=config_for(args.encoding or "hash"),
        checkpoint_seconds=args.checkpoint_seconds,
        evaluate_at=args.evaluate_at,
    )


def _check_method(args: argparse.Namespace) -> None:
    """Raises OptionError for an option of the other method; a run that goes on has its own."""
    if args.method == "nerf":
        for value, name in (
            (args.max_splats, "--max-splats"),
            (args.sh_degree, "--sh-degree"),
            (args.refine_poses, "--refine-poses"),
        ):
            if value is not None:
                raise OptionError(f"{name} goes with --method splats, not with {args.method}")
    elif args.encoding is not None:
        raise OptionError("--encoding goes with --method nerf, not with splats")


def _watch(screen: Screen) -> Watch:
    from tondo.runs.events import Step
    from tondo.runs.watch import Watch

    def step(report: Report) -> None:
        event = report.event
        if isinstance(event, Step) and event.psnr is not None:
            splats = "" if event.splats is None else f", {event.splats} splats"
            about = f"{event.psnr:.1f} dB{splats}, step {event.step}"
            screen.show("training", report.fraction, 1.0, about)

    return Watch(screen.note, screen.show, step)


def print_result(result: Result) -> None:
    """The table at the end."""
    from rich.table import Table

    from tondo.cli.terminal import result_console

    table = Table(title=f"{result.run.path}")
    for column in ("what", "value"):
        table.add_column(column, justify="right" if column == "value" else "left")
    if result.metrics is not None:
        mean = result.metrics.mean
        count = len(result.metrics.per_image)
        table.add_row(f"PSNR, {count} held-out photos", f"{mean.psnr:.2f} dB")
        table.add_row("SSIM", f"{mean.ssim:.4f}")
        table.add_row("perceptual distance", f"{mean.perceptual:.4f}")
    s = result.summary
    if "splats" in s:
        table.add_row("splats", f"{s['splats']}")
    table.add_row("steps", f"{s['steps']}")
    table.add_row("training", f"{s['train_seconds']:.1f} s on {s['threads']} threads")
    if "seconds_before" in s:
        table.add_row("before training", f"{s['seconds_before']:.1f} s")
    table.add_row("peak memory", f"{s['peak_memory_mb']:.0f} MB")
    result_console().print(table)
    print(f"next: tondo export {shlex.quote(str(result.run.path))} -o model.glb")
