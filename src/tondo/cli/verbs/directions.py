"""`tondo directions`: latent directions of a generator, and a strip for each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tondo.api.options import DirectionsOptions
from tondo.cli.arguments import Flag, Typed, Verb


@dataclass(frozen=True)
class Command:
    """Find directions of w without labels: closed-form ones from the modulation weights (0, 1, ...)
    and principal components of w (p0, p1, ...). Each becomes a strip of three models at -3 to +3
    standard deviations. `tondo generate --move 3=+2.0` goes along one.

    Attributes:
        generator: a run of `tondo train`, a generator.safetensors, or the name of an installed
            generator
        output: folder for the strips; None: RUN/renders/directions, without a run NAME_directions
        options: which
    """

    generator: str
    output: Path | None = None
    options: DirectionsOptions = field(default_factory=DirectionsOptions)


def run(command: Command, typed: Typed) -> None:
    """Find, save and draw the directions. Raises TondoError."""
    from tondo.api.directions import directions

    with typed.screen() as screen:
        found = directions(
            command.generator, command.options, output=command.output, watch=screen.watch
        )
    if found.saved is not None:
        print(f"saved for --move: {found.saved}")
    else:
        print("the generator's own folder cannot be written to: --move finds them anew each time")
    count = len(found.directions.closed)
    print(f"{found.folder}: {count} closed-form directions and {count} principal ones")


VERB = Verb(
    Command,
    run,
    {"output": Flag(("-o", "--output"), "DIR")},
)
