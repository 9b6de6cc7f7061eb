"""`tondo evaluate`: a scene or its mesh against photos it has not seen, or against a scan."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tondo.api.options import EvaluateOptions
from tondo.cli.arguments import Flag, Typed, Verb, color


@dataclass(frozen=True)
class Command:
    """Measure PSNR, SSIM and perceptual distance on held-out photos, with side-by-side pictures;
    with --as-mesh the same of its textured mesh, beside the scene; with --mesh chamfer distance and
    F-score. Of a run of `tondo train`: Fréchet and kernel
    distance, precision, recall, diversity and 3D checks. Results go to metrics.json.

    Attributes:
        run: a run, .safetensors, splat .ply or generator
        output: folder for pictures and metrics.json; None: RUN and RUN/renders/evaluate, or
            RUN/renders/as_mesh
        options: what is measured
    """

    run: Path
    output: Path | None = None
    options: EvaluateOptions = field(default_factory=EvaluateOptions)


def run(command: Command, typed: Typed) -> None:
    """Measure what was asked for and print it. Raises TondoError."""
    from tondo.api.evaluate import evaluate
    from tondo.cli.measured import print_as_mesh, print_generator, print_photos, print_surface

    with typed.screen() as screen:
        found = evaluate(command.run, command.options, output=command.output, watch=screen.watch)
    if found.photos is not None:
        print_photos(found.photos)
    if found.as_mesh is not None:
        print_as_mesh(found.as_mesh)
    if found.surface is not None:
        print_surface(found.surface)
        if found.surface.hint:
            print(f"warning: {typed.respelled(found.surface.hint)}")
    if found.generator is not None:
        print_generator(found.generator)
    if found.pictures is not None:
        print(f"pictures: {found.pictures}")
    print(f"metrics:  {found.metrics_path}")


VERB = Verb(
    Command,
    run,
    {
        "run": Flag(metavar="RUN|NAME"),
        "output": Flag(("-o", "--output"), "DIR"),
        "background": Flag(metavar="COLOR", parse=color),
        "source": Flag(metavar="PHOTOS"),
        "mesh": Flag(metavar="TRUTH"),
        "ours": Flag(metavar="FILE"),
        "texture": Flag(metavar="SIZE"),
    },
    {"surface": "the surface against a true one"},
)
