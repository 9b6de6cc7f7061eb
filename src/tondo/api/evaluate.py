"""Measuring what was made: scenes on photos they have not seen, surfaces, generators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tondo.api.evaluate_generator import measure_generator
from tondo.api.evaluate_surface import (
    MeshMetrics,
    SurfaceMetrics,
    measure_as_mesh,
    measure_surface,
    mesh_json,
    surface_json,
)
from tondo.api.options import EvaluateOptions
from tondo.data.photos import Photo, PhotoSet, Skipped
from tondo.data.splats import Scene
from tondo.errors import InputError, OptionError
from tondo.evaluation.evaluate import ReconstructionMetrics, metrics_json
from tondo.gan.evaluation.evaluate import GeneratorMetrics
from tondo.gan.files.open_generator import shipped_names
from tondo.io.atomic import write_json
from tondo.io.mask_files import AUTO, NONE
from tondo.io.masks import without_masked
from tondo.io.posed.photos import load_photos
from tondo.runs.run_directory import read_config, read_metrics, write_metrics
from tondo.runs.watch import SILENT, Watch
from tondo.scenes.evaluate import evaluate_scene
from tondo.scenes.open import OpenedScene, open_scene
from tondo.scenes.photographs import masks_of, outside_masks_of, photos_of_run, whole_number
from tondo.scenes.same_photos import check_held_out
from tondo.scenes.source import source_of

LISTED = 10  # photos left out that are named; chosen
DEFAULTS = EvaluateOptions()


@dataclass(frozen=True)
class Evaluation:
    """What was measured; None where that was not asked for.

    Attributes:
        photos: a scene on photos: PSNR in dB, SSIM, perceptual distance.
        surface: a scene's mesh against a true surface.
        generator: a generator against its pictures.
        pictures: the folder of the pictures that show it.
        metrics_path: the metrics.json that was written.
        as_mesh: a scene's textured mesh on photos, beside the scene.
    """

    photos: ReconstructionMetrics | None
    surface: SurfaceMetrics | None
    generator: GeneratorMetrics | None
    pictures: Path | None
    metrics_path: Path
    as_mesh: MeshMetrics | None = None


def evaluate(
    run: str | Path,
    options: EvaluateOptions = DEFAULTS,
    *,
    output: str | Path | None = None,
    watch: Watch = SILENT,
) -> Evaluation:
    """Measure a scene or its mesh on held-out photos, its mesh against a true surface, or a
    generator against its pictures; write metrics.json and pictures that show it.

    Args:
        run: a run, a scene's .safetensors, a .ply of splats, or a generator by its run, file or
            name.
        options: what is measured. With `surface.mesh` photos are measured only if `cameras` names
            some, or with `as_mesh`.
        output: folder to write to; None: the run's metrics.json, whose other entries stay, and its
            renders/evaluate, or renders/as_mesh.

    Raises:
        InputError: the run, photos, pictures or surfaces cannot be read, or are others than those
            that the run was made from.
        OptionError: options that do not fit each other or `run`, or no place to write to.

    Example:
        >>> import tondo
        >>> found = tondo.evaluate("run")
        >>> found.photos.mean.psnr > 10 and 0 < found.photos.mean.ssim <= 1
        True
        >>> found.metrics_path.as_posix()
        'run/metrics.json'
    """
    run, output = Path(run), None if output is None else Path(output)
    _check_surface(options)
    if _is_generator(run):
        if options.as_mesh:
            raise OptionError("`as_mesh` goes with a scene; a generator has none")
        return Evaluation(None, None, *measure_generator(run, options, output, watch))
    return _evaluate_scene(run, options, output, watch)


def _evaluate_scene(
    run: Path, options: EvaluateOptions, output: Path | None, watch: Watch
) -> Evaluation:
    if options.samples is not None or options.features is not None:
        raise OptionError("`samples` and `features` go with a run of `tondo train`")
    opened = open_scene(run, options.background)
    for note in opened.notes:
        watch.note(note)
    if opened.run is None and output is None:
        raise OptionError(f"{run} is not a run's folder: say with `output` where to write")
    if opened.run is not None:
        read_metrics(opened.run)  # a damaged one is told before the work, not after it
    results: dict[str, Any] = {}
    metrics = surface = as_mesh = pictures = None
    if options.surface.mesh is None or options.cameras is not None or options.as_mesh:
        pictures = output
        if pictures is None and opened.run is not None:
            pictures = opened.run.renders_dir / ("as_mesh" if options.as_mesh else "evaluate")
        photos, skipped, measured_on = _photos(run, options, opened, watch)
        if options.as_mesh:
            as_mesh = measure_as_mesh(opened, options, photos, pictures, watch)
            results = mesh_json(as_mesh)
        else:
            metrics = evaluate_scene(
                opened.scene,
                photos,
                pictures,
                lambda done: watch.stage("evaluating", done, len(photos)),
            )
            results = metrics_json(metrics)
        left_out = {"left_out": {one.name: one.reason for one in skipped}} if skipped else {}
        results = {**results, **left_out, "measured_on": measured_on}
        if options.as_mesh:
            results = {"as_mesh": results}
    if options.surface.mesh is not None:
        surface = measure_surface(run, options.surface, opened, watch)
        results["geometry"] = surface_json(surface, options.surface.mesh)
    written = _write_metrics(output, opened, results)
    return Evaluation(metrics, surface, None, pictures, written, as_mesh)


def _is_generator(path: Path) -> bool:
    """Also what stands beside a folder of its name, such as one of its models, and what is nowhere:
    `open_generator` says which there are."""
    kind = source_of(path).kind
    return kind in ("generator", "nothing") or (
        kind not in ("scene", "run") and str(path) in shipped_names()
    )


def _check_surface(options: EvaluateOptions) -> None:
    how = options.surface
    if how.mesh is None and how.threshold is not None:
        raise OptionError("`threshold` goes with `mesh`, the true surface")
    if how.mesh is None and how.ours is not None and not options.as_mesh:
        raise OptionError("`ours` goes with `mesh`, the true surface, or with `as_mesh`")
    if not options.as_mesh and (options.faces is not None or options.texture is not None):
        raise OptionError("`faces` and `texture` go with `as_mesh`")
    if how.ours is not None and (options.faces is not None or options.texture is not None):
        raise OptionError("`faces` and `texture` are of the mesh that is made: leave out `ours`")
    if how.frame is not None and how.ours is None:
        raise OptionError("`frame` says which axes the file of `ours` has, which is not given")


def _photos(
    run: Path, options: EvaluateOptions, opened: OpenedScene, watch: Watch
) -> tuple[Sequence[Photo], Sequence[Skipped], str]:
    """The photos to measure on, those that are left out, and what they are in words."""
    if options.cameras is not None:
        return _photos_of_cameras(Path(options.cameras), options, opened, watch)
    if opened.run is None:
        raise OptionError(f"{run} does not say where its photos are: give `cameras`")
    found, source = photos_of_run(
        opened, opened.run, source=options.source, masks=options.masks, max_size=options.max_size
    )
    _note_left_out(found, found.skipped, watch)
    if not found.test:
        but = ", but for those that are left out" if found.skipped else ""
        raise InputError(
            f"no photo of {source} was held out from training{but}: "
            "give a transforms.json with other photos as `cameras`"
        )
    check_held_out(opened.run, source, found.test)
    return found.test, found.skipped, f"held-out photos of {source}"


def _photos_of_cameras(
    cameras: Path, options: EvaluateOptions, opened: OpenedScene, watch: Watch
) -> tuple[Sequence[Photo], Sequence[Skipped], str]:
    """All photos of a transforms.json."""
    config = {} if opened.run is None else read_config(opened.run)
    found = load_photos(
        cameras,
        max_size=options.max_size or whole_number(config, "max_size"),
        holdout=0,
        load_points=False,
        min_photos=1,
        masks=options.masks or (NONE if masks_of(config) == NONE else AUTO),
        outside_masks=outside_masks_of(config),
        world_from_scene=opened.scene.world_from_scene,
    )
    everything = sorted(found.train + found.test, key=lambda photo: photo.name)
    photos, unfit = without_masked(everything, {photo.name for photo in everything})
    skipped = [*found.skipped, *unfit]
    _note_left_out(found, skipped, watch)
    if not photos:
        raise InputError(f"the masks of {cameras} leave no photo to measure on")
    return photos, skipped, f"all photos of {cameras}"


def _note_left_out(photos: PhotoSet, skipped: Sequence[Skipped], watch: Watch) -> None:
    for sentence in (*photos.notes, photos.masks):
        if sentence:
            watch.note(sentence)
    unsaid = [one for one in skipped if not any(one.reason in note for note in photos.notes)]
    for one in unsaid[:LISTED]:
        watch.note(f"left out: {one.name}: {one.reason}")
    if len(unsaid) > LISTED:
        watch.note(f"left out: {len(unsaid) - LISTED} more")


def _write_metrics(output: Path | None, opened: OpenedScene, results: dict[str, Any]) -> Path:
    """Into the folder `output`, or into the run's metrics.json, whose other entries stay."""
    if output is None and opened.run is not None:
        write_metrics(opened.run, {**read_metrics(opened.run), **results})
        return opened.run.metrics_path
    assert output is not None  # refused above
    if isinstance(opened.scene, Scene):
        results = {**results, "splats": len(opened.scene.splats.means)}
    write_json(output / "metrics.json", results)
    return output / "metrics.json"
