"""Photographs in, a run with a scene out."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tondo.data.cameras import Camera
from tondo.data.field import FieldScene
from tondo.data.photos import PhotoSet
from tondo.data.splats import Scene
from tondo.evaluation.evaluate import metrics_json
from tondo.io.mask_files import check_choice, stored_choice
from tondo.io.models.scene import save_scene
from tondo.io.posed.cameras_json import write_cameras
from tondo.runs import loop
from tondo.runs.events import Note, Saved, append_event
from tondo.runs.horizon import Horizon
from tondo.runs.method import Request, background_for
from tondo.runs.run_directory import (
    RunDirectory,
    change_config,
    check_run_target,
    create_run,
    open_run,
)
from tondo.runs.stored_options import METHODS, config_of, ignored_options, stored_options
from tondo.runs.watch import SILENT, Watch
from tondo.scenes import fitting
from tondo.scenes.evaluate import evaluate_scene
from tondo.scenes.options import OF_NOW, ReconstructOptions, settled
from tondo.scenes.posed import PREPARED, load_told, masks_of, posed_folder
from tondo.scenes.same_photos import same_photos, source_to_go_on
from tondo.scenes.source import Source, check_photos, source_of
from tondo.splats.options import BASE_PIXELS

DEFAULTS = ReconstructOptions()


def reconstruct(
    source: str | Path,
    out: str | Path,
    options: ReconstructOptions = DEFAULTS,
    *,
    force: bool = False,
    resume: bool = False,
    given: Collection[str] | None = None,
    watch: Watch = SILENT,
) -> loop.Result[Scene | FieldScene]:
    """Fit splats or a field to photographs and write a run (docs/conventions.md, "Files").

    Args:
        source: photos with or without poses, or a video; see `tondo.load_photos`. Or the run or
            file of a scene, of any kind, which takes the photos' place (`scenes.distil`).
        out: the run's folder.
        options: with `resume` only steps, minutes, checkpoint_seconds and evaluate_at count; the
            rest is what the run was started with.
        force: replace a run that is there.
        resume: go on from the newest checkpoint of the run at `out`, with the same photographs.
        given: with `resume`, which options were asked for (`runs.stored_options.ignored_options`).

    Raises:
        TondoError: something in the photos, options or output folder cannot be used.
        Interrupted: Ctrl-C; a checkpoint has been written.

    Example:
        >>> import tondo
        >>> options = tondo.ReconstructOptions(steps=10, max_size=48)
        >>> result = tondo.reconstruct("photos", "splats", options)
        >>> result.summary["steps"], len(result.metrics.per_image)
        (10, 2)
        >>> tondo.reconstruct("photos", "field", tondo.ReconstructOptions("nerf", steps=2)).model
        FieldScene(Field(HashEncoding, ... parameters), radius ...)
    """
    check_choice(options.masks)
    check_run_target(Path(out), force=force, resume=resume)
    began = time.perf_counter()
    found = source_of(source)
    if resume:
        run, options, found = _go_on(Path(out), found, options, given, watch)
    else:
        check_photos(found)
        run = create_run(Path(out), _config(found, options), force=force)
    with loop.beginning(run, is_new=not resume, keep=PREPARED):
        posed, masks = posed_folder(found, run, options, watch), masks_of(found, options)
        photos = load_told(posed, masks, options, watch)
        same_photos(run, found, photos, watch, is_new=not resume)
        options = _settled(run, found, photos, options, watch)
        request = _request(photos, posed, masks, options)
        method = _begin_or_resume(run, request, options, watch, resume=resume)
    for note in (*(f"left out {one.name}: {one.reason}" for one in photos.skipped), *photos.notes):
        append_event(run, Note(0, note, 0.0))
    _write_cameras(run, method)
    method.begun = {"seconds_before": round(time.perf_counter() - began, 2), **method.begun}
    pace = {"checkpoint_seconds": options.checkpoint_seconds}
    loop.train(run, method, watch, **pace, evaluate_at=options.evaluate_at)
    return _finish(run, method, watch)


def _settled(
    run: RunDirectory,
    source: Source,
    photos: PhotoSet,
    options: ReconstructOptions,
    watch: Watch,
) -> ReconstructOptions:
    """`options` with all of it decided, told and stored in the run."""
    found = settled(options, photos.pixels)
    if options.method == "splats" and found != options and photos.pixels > BASE_PIXELS:
        watch.note(_chosen(options, found, photos.train[0].camera))
    decided: dict[str, Any] = {"steps": found.steps, "minutes": found.minutes}
    if options.method == "splats":
        decided["splats"] = asdict(found.splats)
    change_config(run, {**decided, "source": str(source.path.absolute())})
    return found


def _chosen(given: ReconstructOptions, found: ReconstructOptions, camera: Camera) -> str:
    values = []
    if found.minutes != given.minutes:
        values.append(f"`minutes={found.minutes:g}`")
    if found.splats != given.splats:
        values.append(f"`max_splats={found.splats.max_splats}`")
    return f"chosen for pictures of {camera.width}x{camera.height}: {' and '.join(values)}"


def _config(source: Source, options: ReconstructOptions) -> dict[str, Any]:
    config = config_of("reconstruct", source.path, options, {*OF_NOW, *METHODS} - {options.method})
    posed = {} if source.kind == "posed photos" else {"posed": PREPARED}
    return {**config, **posed, "masks": stored_choice(options.masks)}


def _go_on(
    out: Path,
    source: Source,
    asked: ReconstructOptions,
    given: Collection[str] | None,
    watch: Watch,
) -> tuple[RunDirectory, ReconstructOptions, Source]:
    """The run at `out`, the options that it was started with, and where its photos are."""
    run = open_run(out)
    options, begun_with = stored_options(run, "reconstruct", asked, OF_NOW)
    for sentence in ignored_options(asked, options, OF_NOW, given):
        watch.note(sentence)
    source = source_to_go_on(run, source, begun_with, watch)
    return create_run(out, {}, resume=True), options, source


def _request(photos: PhotoSet, posed: Path, masks: str, options: ReconstructOptions) -> Request:
    seconds = None if options.minutes is None else 60 * options.minutes
    return Request(
        photos,
        posed,
        options.max_size,
        options.seed,
        Horizon(options.steps, seconds),
        background_for(photos, options.background),
        options.exposure == "on" or (options.exposure == "auto" and not photos.is_render),
        masks,
        options.outside_masks,
    )


def _begin_or_resume(
    run: RunDirectory, request: Request, options: ReconstructOptions, watch: Watch, *, resume: bool
) -> fitting.Reconstruction:
    checkpoint = loop.newest_checkpoint(run, watch) if resume else None
    if checkpoint is None:
        method, where = fitting.begin(request, options)
        watch.note(where)
        return method
    with loop.restoring(run, checkpoint, options.method):
        method = fitting.resume(request, options, checkpoint)
    loop.say_resumed(run, method, watch)
    return method


def _write_cameras(run: RunDirectory, method: fitting.Reconstruction) -> None:
    """`cameras.json`: the photos' cameras, those of training photos as refined so far."""
    photos = method.photos
    names = [photo.name for photo in photos.train]
    cameras = list(zip(names, method.fitting.cameras(), strict=True))
    held_out = [(photo.name, photo.camera) for photo in photos.test]
    write_cameras(
        run.cameras_path,
        [*cameras, *held_out],
        {name for name, _ in held_out},
        world_from_scene=photos.world_from_scene,
    )


def _finish(
    run: RunDirectory, method: fitting.Reconstruction, watch: Watch
) -> loop.Result[Scene | FieldScene]:
    """The scene, its cameras and its measurements into the run."""
    _write_cameras(run, method)
    scene, photos = method.fitting.scene(), method.photos
    save_scene(run.scene_path, scene)
    append_event(run, Saved(method.step, run.scene_path.name, method.clock.seconds()))
    metrics = None
    measured: dict[str, Any] = {"test": None, "per_image": {}}
    if photos.test:
        watch.note(f"measuring on {len(photos.test)} held-out photos")
        metrics = evaluate_scene(scene, photos.test, run.renders_dir / "test")
        measured = metrics_json(metrics)
    if photos.skipped:
        measured["left_out"] = {one.name: one.reason for one in photos.skipped}
    return loop.Result(run, scene, loop.finish(run, method, measured), metrics)
