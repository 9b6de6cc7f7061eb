"""`tondo reconstruct`: photographs in, a run with a scene out."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tondo.cli.arguments import Flag, Typed, Verb, color
from tondo.cli.plan import print_plan
from tondo.errors import OptionError, check_number
from tondo.scenes.options import ReconstructOptions

if TYPE_CHECKING:
    from tondo.cli.terminal import Screen
    from tondo.runs.loop import Result
    from tondo.runs.method import Report
    from tondo.runs.watch import Watch


@dataclass(frozen=True)
class Command:
    """Fit 3D Gaussian splats or a radiance field to photographs.

    Attributes:
        photos: a folder of photos, a video, a COLMAP model, or a transforms.json (nerfstudio,
            instant-ngp, Blender) or its folder.
        output: folder to make.
        options: how.
        threads: number of CPU threads; None: all cores.
        resume: go on from the run's last checkpoint.
        force: replace a run that is there.
        dry_run: print the resolved options and what was found, and do nothing.
    """

    photos: Path
    output: Path
    options: ReconstructOptions = field(default_factory=ReconstructOptions)
    threads: int | None = None
    resume: bool = False
    force: bool = False
    dry_run: bool = False


def run(command: Command, typed: Typed) -> None:
    """Reconstruct and print the table of results. Raises TondoError, KeyboardInterrupt."""
    if command.dry_run:
        from tondo.api.plan import plan_reconstruct

        check_method(command, typed)
        how = {"force": command.force, "resume": command.resume}
        print_plan(plan_reconstruct(command.photos, command.output, command.options, **how), typed)
        return
    from tondo.scenes.reconstruct import reconstruct

    again = ["reconstruct", str(command.photos), "-o", str(command.output)]
    print_result(train_shown(reconstruct, command.photos, command, typed, again))


def train_shown(
    train: Callable[..., Result], source: Path, command: Any, typed: Typed, again: Sequence[str]
) -> Result:
    """What `train` makes of `source`, with its progress on the screen.

    Args:
        train: `reconstruct`, or a function with the same arguments.
        command: the record of `tondo reconstruct`, or of another command with the same fields.
        again: the command that goes on after Ctrl-C, but for --resume.
    """
    from tondo.cli.terminal import Screen
    from tondo.kernels.threads import set_num_threads
    from tondo.runs.loop import Interrupted

    given = {name.removeprefix("options.") for name in typed.given}
    how = {"force": command.force, "resume": command.resume}
    check_method(command, typed)
    check_number("threads", command.threads, 1)
    if command.threads:
        set_num_threads(command.threads)
    with Screen(typed.respelled) as screen:
        try:
            return train(
                source, command.output, command.options, **how, given=given, watch=_watch(screen)
            )
        except Interrupted as stopped:
            screen.close()
            print(f"\n{stopped}; go on with:\n  {shlex.join(['tondo', *again, '--resume'])}")
            raise KeyboardInterrupt from None


def check_method(command: Any, typed: Typed) -> None:
    """Raises OptionError for an option of the other method; a run that goes on has its own."""
    method = command.options.method
    other = "nerf" if method == "splats" else "splats"
    for name in sorted(typed.given):
        if name.startswith(f"options.{other}.") and not command.resume:
            option = name.removeprefix("options.")
            raise OptionError(f"`{option}` goes with `method={other}`, not with {method}")


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


def background(text: str) -> str | tuple[float, float, float]:
    """A word that `ReconstructOptions.background` knows, or sRGB 0..1."""
    return text if text in ("white", "black", "random", "learned") else color(text)


GROUPS = {"splats": "splats (--method splats)", "nerf": "radiance fields (--method nerf)"}
VERB = Verb(
    Command,
    run,
    {
        "photos": Flag(metavar="PHOTOS"),
        "output": Flag(("-o", "--output"), "RUN"),
        "background": Flag(metavar="COLOR", parse=background),
        "masks": Flag(metavar="auto|none|DIR"),
        "evaluate_at": Flag(metavar="S,S"),
    },
    GROUPS,
)
