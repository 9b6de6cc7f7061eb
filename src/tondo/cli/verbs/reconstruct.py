"""`tondo reconstruct`: photographs in, a run with a scene out."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tondo.cli.arguments import Flag, Typed, Verb, color
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
    """

    photos: Path
    output: Path
    options: ReconstructOptions = field(default_factory=ReconstructOptions)
    threads: int | None = None
    resume: bool = False
    force: bool = False


def run(command: Command, typed: Typed) -> None:
    """Reconstruct and print the table of results. Raises TondoError, KeyboardInterrupt."""
    given = check_given(command, typed)

    from tondo.scenes.reconstruct import reconstruct

    with shown(typed, ["reconstruct", str(command.photos), "-o", str(command.output)]) as watch:
        result = reconstruct(
            command.photos,
            command.output,
            command.options,
            force=command.force,
            resume=command.resume,
            given=given,
            watch=watch,
        )
    print_result(result)


def check_given(command: Any, typed: Typed) -> set[str]:
    """Which of the record's options were typed, after what can be said before the work.

    Args:
        command: the record of `tondo reconstruct`, or of another command with the same fields.

    Raises:
        TondoError: an option of the other method, or a folder that cannot be used.
    """
    given = {name.removeprefix("options.") for name in typed.given}
    method = command.options.method
    other = "nerf" if method == "splats" else "splats"
    for name in sorted(given):
        if name.startswith(f"{other}.") and not command.resume:  # which has its own method
            raise OptionError(f"`{name}` goes with `method={other}`, not with {method}")
    check_number("threads", command.threads, 1)

    from tondo.kernels.threads import set_num_threads
    from tondo.runs.run_directory import check_run_target

    check_run_target(command.output, force=command.force, resume=command.resume)
    if command.threads:
        set_num_threads(command.threads)
    return given


@contextmanager
def shown(typed: Typed, again: Sequence[str]) -> Iterator[Watch]:
    """A watch that shows a training on the screen; after Ctrl-C the command that goes on.

    Args:
        again: that command, but for --resume.
    """
    from tondo.cli.terminal import Screen
    from tondo.runs.loop import Interrupted

    with Screen(typed.respelled) as screen:
        try:
            yield _watch(screen)
        except Interrupted as stopped:
            screen.close()
            print(f"\n{stopped}; go on with:\n  {shlex.join(['tondo', *again, '--resume'])}")
            raise KeyboardInterrupt from None


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
