"""A scene of another kind out of a scene, without the photos."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Literal

from tondo.data.field import FieldScene
from tondo.data.splats import Scene
from tondo.errors import OptionError
from tondo.runs.loop import Result
from tondo.runs.run_directory import check_run_target
from tondo.runs.watch import SILENT, Watch
from tondo.scenes.open import open_scene
from tondo.scenes.options import ReconstructOptions
from tondo.scenes.reconstruct import reconstruct

DEFAULTS = ReconstructOptions()


def convert(
    scene: str | Path,
    output: str | Path,
    options: ReconstructOptions = DEFAULTS,
    *,
    method: Literal["splats", "nerf"] | None = None,
    force: bool = False,
    resume: bool = False,
    given: Collection[str] | None = None,
    watch: Watch = SILENT,
) -> Result[Scene | FieldScene]:
    """Make splats from a radiance field, or a field from splats, by pictures of the scene, taken
    where its photos were. Every 8th of these pictures is kept for measuring what was lost.

    Args:
        scene: a run, a scene's .safetensors or a .ply of splats.
        output: the new run's folder.
        options: as in `reconstruct`; the pictures all have the scene's mean exposure.
        method: in place of that of `options`.
        force, resume, given: as in `reconstruct`.

    Raises:
        TondoError: the scene, options or output folder cannot be used.
        Interrupted: Ctrl-C; a checkpoint has been written.

    Example:
        >>> import tondo
        >>> options = tondo.ReconstructOptions(steps=5, max_size=32)
        >>> result = tondo.convert("run", "run2", options, method="splats")
        >>> result.summary["steps"]
        5
    """
    scene, output = Path(scene), Path(output)
    check_run_target(output, force=force, resume=resume)
    open_scene(scene)  # before anything is written
    if output.resolve() == scene.resolve():
        raise OptionError(f"{output} is the scene itself: choose another folder for `output`")
    options = replace(options, method=method or options.method, exposure="off")
    return reconstruct(scene, output, options, force=force, resume=resume, given=given, watch=watch)
