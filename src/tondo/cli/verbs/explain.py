"""`tondo explain`: which parts of a sample the discriminator found real or fake."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tondo.api.options import ExplainOptions
from tondo.cli.arguments import Flag, Typed, Verb


@dataclass(frozen=True)
class Command:
    """Draw a sample from eight sides and below each the discriminator's opinion: blue where it sees
    a photograph, red where it sees a generated picture.

    Attributes:
        run: a run of `tondo train` with its checkpoints
        output: picture to write; None: RUN/renders/explain/seed0000.png
        options: which sample
    """

    run: Path
    output: Path | None = None
    options: ExplainOptions = field(default_factory=ExplainOptions)


def run(command: Command, typed: Typed) -> None:
    """Draw the heat map. Raises TondoError."""
    from tondo.api.explain import explain

    found = explain(command.run, command.options, output=command.output)
    heat = found.heat
    print(f"{found.path}: blue is taken for real, red for generated")
    print(
        f"mean logit of seed {command.options.seed}: {float(heat.mean()):+.2f} "
        f"(most real place {float(heat.max()):+.2f}, least {float(heat.min()):+.2f})"
    )


VERB = Verb(Command, run, {"output": Flag(("-o", "--output"), "FILE.png")})
