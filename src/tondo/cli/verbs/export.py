"""`tondo export`: a mesh or splats for other programs."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tondo.api.options import ExportOptions
from tondo.cli.arguments import Flag, Typed, Verb

if TYPE_CHECKING:
    from tondo.api.export import Exported


_LEAST_SHARE = 0.005  # of the texels, of what is told: it would be 0 %


@dataclass(frozen=True)
class Command:
    """Write the surface of a scene as a mesh, or its splats. The ending of FILE chooses the format:
    .glb and .obj are +y up, .ply and .stl +z up; splats keep the scene's own axes.

    Attributes:
        run: a run, .safetensors or splat .ply
        output: file to write
        options: what is written
    """

    run: Path
    output: Path
    options: ExportOptions = field(default_factory=ExportOptions)


def run(command: Command, typed: Typed) -> None:
    """Write the file and say what is in it. Raises TondoError."""
    from tondo.api.export import export

    started = time.perf_counter()
    with typed.screen() as screen:
        done = export(
            command.run, command.output, command.options, watch=screen.watch, typed=typed.options
        )
    size = f"{done.path.stat().st_size / 1e6:.1f} MB"
    said = [_described(done), *_textured(done), f"{size}, {time.perf_counter() - started:.1f} s"]
    print(f"{done.path}: {'; '.join(said)}")
    if done.coarser:
        print(_levels(done))
    for sentence in done.checks:
        print(typed.respelled(sentence))
    if done.path.suffix.lower() == ".stl":
        print("STL has no colours: use .glb, .obj or .ply to keep them")
    _print_offset(done)


def _described(done: Exported) -> str:
    from tondo.data.splats import Splats
    from tondo.data.textured import TexturedMesh
    from tondo.mesh.clean import is_closed

    if isinstance(done.model, Splats):
        return f"{len(done.model.means):,} splats"
    mesh = done.model.mesh if isinstance(done.model, TexturedMesh) else done.model
    closed = "watertight" if is_closed(mesh) else "open"
    return f"{len(mesh.vertices):,} vertices, {len(mesh.faces):,} faces, {closed}"


def _textured(done: Exported) -> list[str]:
    """What is said of the texture, if there is one."""
    facts = done.texture
    if facts is None:
        return []
    charts = f"{facts.charts:,} charts" if facts.charts else "the mesh's own UVs"
    rest = 1 - facts.photographed - facts.rendered
    shares = (
        (facts.photographed, "from photos"),
        (facts.rendered, "from renders"),
        (rest, "seen by neither"),
    )
    text = [f"{share:.0%} {what}" for share, what in shares if share >= _LEAST_SHARE]
    if facts.fitted > 0:
        text.append(f"fitted: photos that had no part in it are {facts.fitted:.0%} closer")
    return [", ".join([f"texture {facts.size}x{facts.size}", charts, *text])]


def _levels(done: Exported) -> str:
    name = done.path.stem
    counts = [f"{name}_LOD{k} {len(one.mesh.faces):,}" for k, one in enumerate(done.coarser, 1)]
    return f"coarser meshes with the same texture: {', '.join(counts)} faces"


def _print_offset(done: Exported) -> None:
    """What the format's 32-bit numbers could not hold."""
    from tondo.io.models.mesh_frames import offset_path

    if done.offset.any():
        x, y, z = done.offset.tolist()
        print(
            f"the scene is far from the origin: add {x:.15g}, {y:.15g}, {z:.15g} to the "
            f"coordinates of {done.path.name} ({offset_path(done.path).name} has these numbers too)"
        )


def texture_size(text: str) -> int | str:
    """A number of texels, or a word that `TextureOptions.size` knows."""
    if text in ("auto", "none"):
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a number of texels, auto or none, got {text!r}"
        ) from None


VERB = Verb(
    Command,
    run,
    {
        "output": Flag(("-o", "--output"), "FILE"),
        "kind": Flag(("--as",)),
        "purpose": Flag(("--for",)),
        "onto": Flag(("--mesh",), "FILE"),
        "frame_of_onto": Flag(("--mesh-frame",)),
        "size": Flag(("--texture",), "SIZE", parse=texture_size),
    },
    {"mesh": "the mesh", "texture": "the texture (.glb and .obj)"},
)
