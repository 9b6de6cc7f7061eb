"""`tondo export`: a mesh or splats for other programs."""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tondo.cli.options import UP_HELP, direction, positive_float, positive_int

if TYPE_CHECKING:
    from tondo.api.export import Exported


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the options of `tondo export`."""
    parser = subparsers.add_parser(
        "export",
        help="write a mesh (.glb .obj .ply .stl) or splats (.ply)",
        description="Write the surface of a scene as a mesh, or its splats. The ending of FILE "
        "chooses the format: .glb and .obj are +y up, .ply and .stl +z up; splats keep the "
        "scene's own axes.",
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="a run, .safetensors or splat .ply")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", required=True)
    parser.add_argument(
        "--as", dest="kind", choices=("mesh", "splats"), help="for .ply (default: mesh)"
    )
    parser.add_argument(
        "--resolution",
        type=_resolution,
        default=256,
        metavar="N",
        help="voxels along the longest side; memory grows with its cube (%(default)s)",
    )
    parser.add_argument(
        "--smoothing",
        type=_smoothing,
        default=1.0,
        metavar="X",
        help="evens out the noise of the depth, in voxels, 0 for none (%(default)g)",
    )
    parser.add_argument("--faces", type=_faces, metavar="N", help="simplify to at most N faces")
    parser.add_argument("--fill-holes", action="store_true", help="close small holes")
    parser.add_argument(
        "--surface",
        choices=("auto", "closed", "open"),
        default="auto",
        help="closed: an object before an empty background, made watertight; open: only what was "
        "seen, for rooms and streets (%(default)s)",
    )
    parser.add_argument(
        "--reach",
        type=positive_float,
        default=1.0,
        metavar="X",
        help="how far from the scene's centre to look, in its radii (%(default)g)",
    )
    parser.add_argument(
        "--frame",
        choices=("format", "world"),
        default="format",
        help="axes of the mesh: the format's up axis, or the scene's own axes (%(default)s)",
    )
    parser.add_argument("--up", type=direction, metavar="DIR", help=UP_HELP)
    parser.add_argument(
        "--cameras",
        type=Path,
        metavar="FILE",
        help="transforms.json to look through (default: the run's own cameras)",
    )


def run(args: argparse.Namespace) -> None:
    """Write the file and say what is in it. Raises TondoError."""
    from tondo.api.export import export
    from tondo.api.options import ExportOptions
    from tondo.cli.terminal import Screen
    from tondo.mesh.options import MeshOptions

    mesh = MeshOptions(
        resolution=args.resolution,
        surface=args.surface,
        reach=args.reach,
        smoothing=args.smoothing,
        fill_holes=args.fill_holes,
        faces=args.faces,
    )
    options = ExportOptions(args.kind, args.frame, args.up, args.cameras, mesh)
    started = time.perf_counter()
    with Screen() as screen:
        done = export(args.run, args.output, options, watch=screen.watch)
    size = f"{done.path.stat().st_size / 1e6:.1f} MB"
    print(f"{done.path}: {_described(done)}, {size}, {time.perf_counter() - started:.1f} s")
    if done.path.suffix.lower() == ".stl":
        print("STL has no colours: use .glb, .obj or .ply to keep them")
    _print_offset(done)


def _described(done: Exported) -> str:
    from tondo.data.splats import Splats
    from tondo.mesh.clean import is_closed

    if isinstance(done.model, Splats):
        return f"{len(done.model.means)} splats"
    closed = "watertight" if is_closed(done.model) else "open"
    return f"{len(done.model.vertices)} vertices, {len(done.model.faces)} faces, {closed}"


def _print_offset(done: Exported) -> None:
    """What the format's 32-bit numbers could not hold."""
    from tondo.io.models.mesh_frames import offset_path

    if done.offset.any():
        x, y, z = done.offset.tolist()
        print(
            f"the scene is far from the origin: add {x:.15g}, {y:.15g}, {z:.15g} to the "
            f"coordinates of {done.path.name} ({offset_path(done.path).name} has these numbers too)"
        )


def _resolution(text: str) -> int:
    value = positive_int(text)
    if not 16 <= value <= 2048:
        raise argparse.ArgumentTypeError(f"expected a number from 16 to 2048, got {text}")
    return value


def _smoothing(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 10:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 10, got {text!r}")
    return value


def _faces(text: str) -> int:
    value = positive_int(text)
    if value < 4:
        raise argparse.ArgumentTypeError(f"a mesh needs at least 4 faces, got {text}")
    return value
