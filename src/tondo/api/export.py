"""A mesh or splats for other programs."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from torch import Tensor

from tondo.api.options import ExportOptions, for_purpose
from tondo.api.retexture import check_textured_place, retextured
from tondo.data.cameras import Camera
from tondo.data.field import FieldScene
from tondo.data.mesh import Mesh
from tondo.data.splats import Splats
from tondo.data.textured import TexturedMesh
from tondo.errors import InputError, OptionError, OutputError
from tondo.io.models.mesh_files import UP_AXES, write_mesh
from tondo.io.models.ply import write_splats
from tondo.io.models.textured_files import TEXTURED, write_levels
from tondo.mesh.asset_checks import purpose_checks
from tondo.mesh.fuse import volume_bytes
from tondo.mesh.options import MeshOptions
from tondo.mesh.simplify import simplify
from tondo.runs.memory import check_memory
from tondo.runs.watch import SILENT, Watch
from tondo.scenes.open import (
    OpenedScene,
    held_out_cameras,
    open_scene,
    photo_cameras,
    read_cameras,
    settled_up,
)
from tondo.scenes.texture import pictures_to_refine_by, texture_of_scene
from tondo.scenes.to_mesh import cameras_around, plan_mesh, to_mesh
from tondo.texture.lod import levels
from tondo.texture.make import TextureFacts
from tondo.texture.report import write_texture_report
from tondo.texture.tangents import corner_tangents

SPLAT_ENDINGS = (".ply",)
_OTHER_SPLAT_ENDINGS = (".splat", ".spz", ".ksplat", ".sog")
DEFAULTS = ExportOptions()
FACES = 50_000  # of a mesh with a texture; 10,000 lose 0.1 dB on `chair` (docs/notes/texture.md)


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: the file.
        model: the mesh, in the scene's frame, or the splats.
        offset: [3] float64, world units, what is to be added to the file's coordinates, because its
            32-bit numbers cannot hold them; usually 0.
        texture: how the texture came to be, of a mesh that has one.
        coarser: meshes of fewer faces with the same texture.
        checks: sentences on whether it is what its `purpose` needs.
    """

    path: Path
    model: Mesh | TexturedMesh | Splats
    offset: np.ndarray
    texture: TextureFacts | None = None
    coarser: tuple[TexturedMesh, ...] = ()
    checks: tuple[str, ...] = ()


def export(
    run: str | Path,
    output: str | Path,
    options: ExportOptions = DEFAULTS,
    *,
    watch: Watch = SILENT,
    typed: frozenset[str] = frozenset(),
) -> Exported:
    """Write the surface of a scene as a mesh, or its splats.

    Args:
        run: a run, a scene's .safetensors or a .ply of splats.
        output: its ending chooses the format: .glb and .obj are +y up, .ply and .stl +z up; splats
            keep the scene's own axes. Sizes are the world's.
        typed: fields that `purpose` does not change though they have their default, such as
            "texture.lod".

    Raises:
        InputError: the scene or cameras cannot be read, or no surface is seen.
        OptionError: an ending or option that cannot be used, or more memory than there is.
        OutputError: the file cannot be written.

    Example:
        >>> import tondo
        >>> options = tondo.ExportOptions(mesh=tondo.MeshOptions(resolution=32))
        >>> done = tondo.export("run", "model.glb", options)
        >>> done.path.stat().st_size > 1000, len(done.model.mesh.faces) > 100
        (True, True)
    """
    run, output = Path(run), Path(output)
    kind = _kind(output, options.kind)
    _check_use(output, kind, options)
    _check_place(output, run)
    options = for_purpose(options, typed)
    if kind == "mesh":
        check_textured_place(output, options)
    opened = open_scene(run, up=options.up)
    for note in opened.notes:
        watch.note(note)
    if kind == "splats":
        return _export_splats(run, output, opened)
    done = _export_mesh(run, output, options, opened, watch)
    if options.purpose is None or isinstance(done.model, Splats):
        return done
    return replace(done, checks=purpose_checks(options.purpose, done.model, output))


def _export_splats(run: Path, output: Path, opened: OpenedScene) -> Exported:
    scene = opened.scene
    if isinstance(scene, FieldScene):
        raise OptionError(f"{run} is a radiance field and has no splats: export a mesh")
    up = scene.up if opened.up_is_known else None
    offset = write_splats(output, scene.splats, up=up, world_from_scene=scene.world_from_scene)
    return Exported(output, scene.splats, offset)


def _export_mesh(
    run: Path, output: Path, options: ExportOptions, opened: OpenedScene, watch: Watch
) -> Exported:
    scene, how = opened.scene, options.mesh
    given = None
    if options.cameras is not None:
        given = read_cameras(Path(options.cameras), scene.world_from_scene)
    around = cameras_around(scene.center, scene.radius * how.reach)
    cameras = given or photo_cameras(opened) or around
    up, note = settled_up(opened, given)
    if note is not None and options.frame == "format":
        watch.note(note)
    if options.onto is not None:

        def surface() -> Mesh:
            return _surface(run, opened, cameras, replace(how, faces=None), options, watch)

        done = retextured(opened, output, options, cameras, up, surface, watch)
        _report(output, options, *done, up)
        return Exported(output, done[0], np.zeros(3), done[1])
    textured = _has_texture(output, options)
    shape = replace(how, faces=None) if textured else how
    mesh = _surface(run, opened, cameras, shape, options, watch)
    if not textured:
        return Exported(output, mesh, write_mesh(output, mesh, up, options.frame))
    return _export_textured(output, opened, mesh, up, options, watch)


def _export_textured(
    output: Path,
    opened: OpenedScene,
    mesh: Mesh,
    up: Tensor,
    options: ExportOptions,
    watch: Watch,
) -> Exported:
    """Of the dense mesh."""
    asked = options.mesh.faces
    few = simplify(mesh, FACES) if asked is None else simplify(mesh, asked, watch.note)
    model, facts = texture_of_scene(
        opened, few, options.texture, watch, source=options.source, dense=mesh
    )
    chain = levels(model, options.texture.lod, watch)
    write_levels(output, chain, up, options.frame, tangents=corner_tangents)
    _report(output, options, model, facts, up)
    return Exported(output, model, np.zeros(3), facts, chain[1:])


def _report(
    output: Path, options: ExportOptions, model: TexturedMesh, facts: TextureFacts, up: Tensor
) -> None:
    if options.report is not None:
        write_texture_report(Path(options.report), output.name, model, facts, up)


def _surface(
    run: Path,
    opened: OpenedScene,
    cameras: list[Camera],
    how: MeshOptions,
    options: ExportOptions,
    watch: Watch,
) -> Mesh:
    """The mesh of a scene. Raises InputError where there is none, OptionError."""
    pictures = pictures_to_refine_by(opened, how, watch, source=options.source)
    plan = plan_mesh(opened.scene, cameras, how, pictures)
    check_memory(volume_bytes(plan.box, how.resolution), f"resolution={how.resolution}")
    held_out = held_out_cameras(opened)
    mesh = to_mesh(
        opened.scene, cameras, how, plan=plan, held_out=held_out, pictures=pictures, watch=watch
    )
    if not len(mesh.faces):
        raise InputError(
            f"no surface was found in {run}: what it shows is too transparent, or outside of "
            f"the part that is looked at (`reach={how.reach:g}`)"
        )
    return mesh


def _kind(output: Path, asked: Literal["mesh", "splats"] | None) -> Literal["mesh", "splats"]:
    """What is to be written, by the ending and what was asked for. Raises OptionError."""
    suffix = output.suffix.lower()
    known = sorted({*UP_AXES, *SPLAT_ENDINGS})
    if suffix not in known:
        close = difflib.get_close_matches(suffix, known, n=1, cutoff=0.4)
        guess = f"; did you mean {close[0]}?" if close else ""
        if suffix in _OTHER_SPLAT_ENDINGS:
            guess = "; splats can be written as .ply with `kind=splats`"
        came = repr(suffix) if suffix else "no ending"
        raise OptionError(f"{output}: expected one of {', '.join(known)}, got {came}{guess}")
    if asked == "splats" and suffix not in SPLAT_ENDINGS:
        raise OptionError(
            f"{output}: splats can be written as {', '.join(SPLAT_ENDINGS)}, not as {suffix}"
        )
    return asked or "mesh"


def _has_texture(output: Path, options: ExportOptions) -> bool:
    return options.texture.size != "none" and output.suffix.lower() in TEXTURED


def _check_use(output: Path, kind: Literal["mesh", "splats"], options: ExportOptions) -> None:
    """That what was asked for goes together. Raises OptionError."""
    if kind == "splats" and options.purpose is not None:
        raise OptionError(f"`purpose={options.purpose}` is of a mesh: leave out `kind=splats`")
    if kind == "mesh" and _has_texture(output, options):
        return
    asked = {name: getattr(options.texture, name) for name in ("normal_map", "ao", "lod")}
    for name, value in {**asked, "report": options.report}.items():
        if value:
            raise OptionError(
                f"`{name}` needs a texture: write {' or '.join(TEXTURED)}, and not `size=none`"
            )


def _check_place(output: Path, source: Path) -> None:
    """Find out before the work, not after it, that the file cannot be written."""
    if output.resolve() == source.resolve():
        raise OptionError(f"{output} is the scene itself: choose another name for `output`")
    if output.is_dir():
        raise OutputError(f"cannot write {output}: a folder of that name is there already")
    folder = next(parent for parent in output.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write {output}: {folder} is not a folder that can be written to")
