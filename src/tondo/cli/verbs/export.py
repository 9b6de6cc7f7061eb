"""`tondo export`: a mesh or splats for other programs."""

from __future__ import annotations

import argparse
import difflib
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tondo.cli.options import UP_HELP, direction, positive_float, positive_int
from tondo.errors import InputError, OptionError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from tondo.data.cameras import Camera
    from tondo.data.mesh import Mesh
    from tondo.scenes.open import OpenedScene
    from tondo.scenes.to_mesh import MeshOptions

MESH_ENDINGS = (".glb", ".obj", ".ply", ".stl")
SPLAT_ENDINGS = (".ply",)
_OTHER_SPLAT_ENDINGS = (".splat", ".spz", ".ksplat", ".sog")


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
    """Write the file. Raises TondoError."""
    kind = _kind(args.output, args.kind)
    _check_place(args.output, args.run)

    from tondo.scenes.open import open_scene

    opened = open_scene(args.run, up=args.up)
    for note in opened.notes:
        print(note)
    if kind == "splats":
        _export_splats(args, opened)
    else:
        _export_mesh(args, opened)


def _export_splats(args: argparse.Namespace, opened: OpenedScene) -> None:
    from tondo.data.field import FieldScene
    from tondo.io.models.ply import write_splats

    if isinstance(opened.scene, FieldScene):
        raise OptionError(
            f"{args.run} is a radiance field and has no splats: export a mesh (--as mesh)"
        )
    splats = opened.scene.splats
    offset = write_splats(
        args.output,
        splats,
        up=opened.scene.up if opened.up_is_known else None,
        world_from_scene=opened.scene.world_from_scene,
    )
    print(f"{args.output}: {len(splats.means)} splats, {_size(args.output)}")
    _print_offset(args.output, offset)


def _export_mesh(args: argparse.Namespace, opened: OpenedScene) -> None:
    from rich.progress import track

    from tondo.cli.terminal import progress_console
    from tondo.io.models.mesh_files import write_mesh
    from tondo.mesh.fuse import volume_bytes
    from tondo.scenes.open import held_out_cameras, settled_up
    from tondo.scenes.to_mesh import MeshOptions, plan_mesh, scene_mesh

    def watch(cameras: Sequence[Camera], what: str) -> Iterable[Camera]:
        return track(cameras, what, console=progress_console())

    started = time.perf_counter()
    options = MeshOptions(
        resolution=args.resolution,
        surface=args.surface,
        reach=args.reach,
        smoothing=args.smoothing,
        fill_holes=args.fill_holes,
        faces=args.faces,
    )
    cameras = _cameras(args, opened)
    plan = plan_mesh(opened.scene, cameras, options)
    _check_memory(volume_bytes(plan.box, options.resolution), options)
    mesh = scene_mesh(opened.scene, cameras, options, plan, watch, held_out_cameras(opened))
    if not len(mesh.faces):
        raise InputError(
            f"no surface was found in {args.run}: what it shows is too transparent, or outside of "
            f"the part that is looked at (--reach {args.reach:g})"
        )
    up, note = settled_up(opened, cameras if args.cameras is not None else None)
    if note is not None and args.frame == "format":
        print(note)
    offset = write_mesh(args.output, mesh, up, args.frame)
    print(f"{args.output}: {_described(mesh)}, {_size(args.output)}, {_since(started)}")
    if args.output.suffix.lower() == ".stl":
        print("STL has no colours: use .glb, .obj or .ply to keep them")
    _print_offset(args.output, offset)


def _print_offset(output: Path, offset: np.ndarray) -> None:
    """What the format's 32-bit numbers could not hold."""
    from tondo.io.models.mesh_frames import offset_path

    if offset.any():
        x, y, z = offset.tolist()
        print(
            f"the scene is far from the origin: add {x:.15g}, {y:.15g}, {z:.15g} to the "
            f"coordinates of {output.name} ({offset_path(output).name} has these numbers too)"
        )


def _cameras(args: argparse.Namespace, opened: OpenedScene) -> list[Camera]:
    """Those given, those of the run's photos, or some all around."""
    from tondo.scenes.open import photo_cameras, read_cameras
    from tondo.scenes.to_mesh import cameras_around

    if args.cameras is not None:
        return read_cameras(args.cameras, opened.scene.world_from_scene)
    around = opened.scene.radius * args.reach
    return photo_cameras(opened) or cameras_around(opened.scene.center, around)


def _kind(output: Path, asked: str | None) -> str:
    """ "mesh" or "splats", from the ending and --as. Raises OptionError."""
    suffix = output.suffix.lower()
    known = sorted({*MESH_ENDINGS, *SPLAT_ENDINGS})
    if suffix not in known:
        close = difflib.get_close_matches(suffix, known, n=1, cutoff=0.4)
        guess = f"; did you mean {close[0]}?" if close else ""
        if suffix in _OTHER_SPLAT_ENDINGS:
            guess = "; splats can be written as .ply with --as splats"
        came = repr(suffix) if suffix else "no ending"
        raise OptionError(f"{output}: expected one of {', '.join(known)}, got {came}{guess}")
    if asked == "splats" and suffix not in SPLAT_ENDINGS:
        raise OptionError(
            f"{output}: splats can be written as {', '.join(SPLAT_ENDINGS)}, not as {suffix}"
        )
    return asked or "mesh"


def _check_place(output: Path, source: Path) -> None:
    """Find out before the work, not after it, that the file cannot be written."""
    if output.resolve() == source.resolve():
        raise OptionError(f"{output} is the scene itself: choose another name with -o")
    if output.is_dir():
        raise OutputError(f"cannot write {output}: a folder of that name is there already")
    folder = next(parent for parent in output.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write {output}: {folder} is not a folder that can be written to")


def _check_memory(needed: int, options: MeshOptions) -> None:
    total = 8 << 30
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > 0.6 * total:
        raise OptionError(
            f"--resolution {options.resolution} needs {needed / 2**30:.1f} GiB here, and this "
            f"machine has {total / 2**30:.1f} GiB: choose a smaller one"
        )


def _described(mesh: Mesh) -> str:
    from tondo.mesh.clean import is_closed

    closed = "watertight" if is_closed(mesh) else "open"
    return f"{len(mesh.vertices)} vertices, {len(mesh.faces)} faces, {closed}"


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"


def _since(started: float) -> str:
    return f"{time.perf_counter() - started:.1f} s"


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
