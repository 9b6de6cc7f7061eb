"""`tondo convert`: splats from a radiance field, or a field from splats, without the photos."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tondo.cli.arguments import Flag, Typed, Verb
from tondo.cli.verbs.reconstruct import GROUPS, print_result, train_shown
from tondo.scenes.options import ReconstructOptions


@dataclass(frozen=True)
class Command:
    """Make a scene of another kind from pictures of a scene, taken where its photos were. Every 8th
    of these pictures is kept for measuring what was lost.

    Attributes:
        scene: a run, .safetensors or splat .ply
        output: folder to make
        options: how
        threads: number of CPU threads; None: all cores
        resume: go on from RUN2's last checkpoint
        force: replace a run that is there
    """

    scene: Path
    output: Path
    options: ReconstructOptions = field(default_factory=ReconstructOptions)
    threads: int | None = None
    resume: bool = False
    force: bool = False


def run(command: Command, typed: Typed) -> None:
    """Convert and print the table of results. Raises TondoError, KeyboardInterrupt."""
    from tondo.api.convert import convert

    again = ["convert", str(command.scene), "-o", str(command.output)]
    again += ["--method", command.options.method]
    print_result(train_shown(convert, command.scene, command, typed, again))
    print(f"measured against held-out pictures of {command.scene}, not against photos")


_NOT_HERE = (
    "holdout",
    "background",
    "masks",
    "outside_masks",
    "exposure",
    "checkpoint_seconds",
    "evaluate_at",
    "sh_degree",
    "refine_poses",
)
VERB = Verb(
    Command,
    run,
    {
        "scene": Flag(metavar="RUN"),
        "output": Flag(("-o", "--output"), "RUN2"),
        "method": Flag(needed=True),
        **{name: Flag(fixed=True) for name in _NOT_HERE},
    },
    GROUPS,
)
