"""`tondo reconstruct`: photographs in, a run with a scene out."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tondo.cli.arguments import Flag, Typed, Verb, color
from tondo.cli.plan import plan_of, print_plan
from tondo.errors import OptionError, check_number
from tondo.scenes.options import ReconstructOptions

if TYPE_CHECKING:
    from tondo.runs.loop import Result
    from tondo.runs.method import Report


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
        at = (command.photos, command.output)
        print_plan(plan_reconstruct(*at, command.options, **plan_of(command, typed)), typed)
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
    from tondo.cli.training import shown
    from tondo.kernels.threads import set_num_threads

    how = {"force": command.force, "resume": command.resume}
    check_method(command, typed)
    check_number("threads", command.threads, 1)
    if command.threads:
        set_num_threads(command.threads)
    with shown(typed, again, _about) as watch:
        return train(
            source, command.output, command.options, **how, given=typed.options, watch=watch
        )


def check_method(command: Any, typed: Typed) -> None:
    """Raises OptionError for an option of the other method; a run that goes on has its own."""
    method = command.options.method
    other = "nerf" if method == "splats" else "splats"
    for name in sorted(typed.given):
        if name.startswith(f"options.{other}.") and not command.resume:
            option = name.removeprefix("options.")
            raise OptionError(f"`{option}` goes with `method={other}`, not with {method}")


def _about(report: Report) -> str | None:
    from tondo.runs.events import Step

    event = report.event
    if not isinstance(event, Step) or event.psnr is None:
        return None
    splats = "" if event.splats is None else f", {event.splats} splats"
    return f"{event.psnr:.1f} dB{splats}, step {event.step}"


def print_result(result: Result) -> None:
    """The table at the end."""
    from tondo.cli.training import print_figures

    figures, s = {}, result.summary
    if result.metrics is not None:
        mean = result.metrics.mean
        figures[f"PSNR, {len(result.metrics.per_image)} held-out photos"] = f"{mean.psnr:.2f} dB"
        figures["SSIM"] = f"{mean.ssim:.4f}"
        figures["perceptual distance"] = f"{mean.perceptual:.4f}"
    if "splats" in s:
        figures["splats"] = f"{s['splats']}"
    figures["steps"] = f"{s['steps']}"
    figures["training"] = f"{s['train_seconds']:.1f} s on {s['threads']} threads"
    if "seconds_before" in s:
        figures["before training"] = f"{s['seconds_before']:.1f} s"
    print_figures(result, figures)
    print(f"next: tondo export {shlex.quote(str(result.run.path))} -o model.glb")


def background(text: str) -> str | tuple[float, float, float]:
    """A word that `ReconstructOptions.background` knows, or sRGB 0..1."""
    return text if text in ("white", "black", "random", "learned") else color(text)


GROUPS = {"splats": "splats (--method splats)", "nerf": "radiance fields (--method nerf)"}
VERB = Verb(
    Command,
    run,
    {
        "output": Flag(("-o", "--output"), "RUN"),
        "background": Flag(metavar="COLOR", parse=background),
        "evaluate_at": Flag(metavar="S,S"),
    },
    GROUPS,
)
