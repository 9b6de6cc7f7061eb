"""Photographs in, a run with a scene out."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tondo.data.field import FieldScene
from tondo.data.photos import PhotoSet
from tondo.data.splats import Scene
from tondo.errors import InputError
from tondo.evaluation.evaluate import ReconstructionMetrics, composited, metrics_json
from tondo.io.mask_files import choice_after
from tondo.io.masks import BY_MASK
from tondo.io.models.scene import save_scene
from tondo.io.posed.cameras_json import write_cameras
from tondo.io.posed.photos import has_poses, load_posed
from tondo.kernels.threads import num_threads, torch_threads
from tondo.nerf import method as nerf
from tondo.runs.checkpoints import has_checkpoints, load_latest_checkpoint, save_checkpoint
from tondo.runs.events import Evaluation, Note, Saved, Step, append_event
from tondo.runs.horizon import Horizon
from tondo.runs.interrupt import ctrl_c_flag
from tondo.runs.memory import peak_memory_mb
from tondo.runs.method import Fitting, OtherPhotos, Request
from tondo.runs.run_directory import (
    RunDirectory,
    abandon_run,
    change_config,
    create_run,
    finish_run,
    open_run,
    write_metrics,
)
from tondo.runs.tensorboard import log_event, log_picture, open_tensorboard
from tondo.runs.watch import SILENT, Watch
from tondo.scenes.distil import photograph_scene
from tondo.scenes.evaluate import evaluate_scene
from tondo.scenes.open import is_scene, open_scene, settled_up
from tondo.scenes.options import (
    ReconstructOptions,
    check_options,
    config_json,
    set_aside,
    stored_options,
)
from tondo.scenes.render import render_view
from tondo.scenes.same_photos import (
    check_files,
    check_photos,
    note_photos,
    photo_hashes,
    source_hashes,
)
from tondo.sfm.prepare import PrepareOptions, prepare
from tondo.splats import method as splats

DEFAULT_MINUTES = 3.0
EVENT_SECONDS = 1.0
PICTURE_SECONDS = 30.0
NAMED = 10  # photos left out by their masks
PICTURE_REST = 20.0  # times what pictures cost: a young field is fog, which takes long to render


@dataclass(frozen=True)
class Result:
    """A finished reconstruction; `metrics` is None where no photo was held out."""

    run: RunDirectory
    scene: Scene | FieldScene
    metrics: ReconstructionMetrics | None
    summary: Mapping[str, Any]


DEFAULTS = ReconstructOptions()


class Interrupted(Exception):
    """Ctrl-C during training; everything is saved. `step` steps are done."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.step = step


def reconstruct(
    source: Path,
    out: Path,
    options: ReconstructOptions = DEFAULTS,
    *,
    force: bool = False,
    resume: bool = False,
    given: Collection[str] | None = None,
    watch: Watch = SILENT,
) -> Result:
    """Fit splats or a field to photographs and write a run (docs/conventions.md, "Files").

    Args:
        source: photos with or without poses, or a video; see `tondo.io.posed.photos.load_posed`. Or
            the run or file of a scene, of any kind, which takes the photos' place
            (`scenes.distil`).
        out: the run's folder.
        options: with `resume` only steps, minutes, checkpoint_seconds and evaluate_at count; the
            rest is what the run was started with.
        force: replace a run that is there.
        resume: go on from the newest checkpoint of the run at `out`, with the same photographs.
        given: with `resume`, which options were asked for (`scenes.options.set_aside`).

    Raises:
        TondoError: something in the photos, options or output folder cannot be used.
        Interrupted: Ctrl-C; a checkpoint has been written.
    """
    check_options(options)
    began = time.perf_counter()
    if resume:
        run = open_run(out)
        asked = options
        options, begun_with = stored_options(run, options)
        for sentence in set_aside(asked, options, given):
            watch.note(sentence)
        source = _source_to_go_on(run, Path(source), begun_with, watch)
        create_run(out, {}, resume=True)
    else:
        run = create_run(out, config_json(source, options), force=force)
    try:
        posed = _posed(source, run, options, watch)
        masks = choice_after(options.masks, prepared=posed != source)
        photos = load_posed(posed, max_size=options.max_size, holdout=options.holdout, masks=masks)
        for sentence in (_found(photos), *photos.notes, photos.masks):
            if sentence:
                watch.note(sentence)
        for one in [one for one in photos.skipped[1:] if one.reason in BY_MASK][:NAMED]:
            watch.note(f"left out: {one.name}: {one.reason}")
        _note_photos(run, source, posed, photos, options, resume, watch)
        fitting, about = _begin_or_resume(
            run, _request(photos, posed, masks, options), options, resume, watch
        )
    except BaseException:
        if not resume and not (run.path / "prepared").exists():
            abandon_run(run)  # nothing in it is worth keeping
        raise
    for one in photos.skipped:
        append_event(run, Note(0, f"left out {one.name}: {one.reason}", 0.0))
    for note in photos.notes:
        append_event(run, Note(0, note, 0.0))
    _write_cameras(run, fitting, photos)
    before = time.perf_counter() - began
    about = {"seconds_before": round(before, 2), **about}
    _train(run, fitting, photos, options, about, watch)
    _write_cameras(run, fitting, photos)
    scene = fitting.scene()
    save_scene(run.scene_path, scene)
    append_event(run, Saved(fitting.step, "scene.safetensors", fitting.clock.seconds()))
    return _finish(run, fitting, scene, photos, about, watch)


def _write_cameras(run: RunDirectory, fitting: Fitting, photos: PhotoSet) -> None:
    """`cameras.json`: the photos' cameras, those of training photos as refined so far."""
    names = [photo.name for photo in photos.train]
    cameras = list(zip(names, fitting.cameras(), strict=True))
    held_out = [(photo.name, photo.camera) for photo in photos.test]
    write_cameras(
        run.cameras_path,
        [*cameras, *held_out],
        {name for name, _ in held_out},
        world_from_scene=photos.world_from_scene,
    )


def _posed(source: Path, run: RunDirectory, options: ReconstructOptions, watch: Watch) -> Path:
    """Where photos with poses are: `source`, or what `prepare` makes of it inside the run; of a
    scene, its pictures."""
    prepared = run.path / "prepared"
    if is_scene(source):
        if not (prepared.is_dir() and has_poses(prepared)):
            opened = open_scene(source)
            for sentence in (*opened.notes, settled_up(opened, None)[1]):
                if sentence is not None:
                    watch.note(sentence)
            photograph_scene(opened, prepared, options.max_size, watch.stage)
        return prepared
    if has_poses(source):
        return source
    if not (prepared.is_dir() and has_poses(prepared)):
        watch.note("these photos have no poses: finding them first")
        how = PrepareOptions(seed=options.seed, masks=options.masks)
        found = prepare(source, prepared, how, force=True, on_progress=watch.stage)
        watch.note(f"{found.registered} of {found.photos} photos placed; lens: {found.lens}")
        for note in (*found.notes, *(f"in doubt: {doubt}" for doubt in found.doubts)):
            watch.note(note)
        watch.note(f"how it went, and what to photograph next: {prepared / 'report.html'}")
    return prepared


def _source_to_go_on(run: RunDirectory, given: Path, begun_with: Path, watch: Watch) -> Path:
    """Where the photos of a run that goes on are: as given now, if they can be told to be those
    that it was started with."""
    if given.absolute() == begun_with or given.resolve() == begun_with.resolve():
        return begun_with
    if not given.exists():
        watch.note(f"there is nothing at {given}: going on with {begun_with}")
        return begun_with
    if begun_with.exists() and not run.photos_path.exists():
        watch.note(f"{given} is ignored: the run was started with {begun_with}")
        return begun_with
    watch.note(f"the run was started with {begun_with}: comparing {given} with it")
    return given


def _note_photos(
    run: RunDirectory,
    source: Path,
    posed: Path,
    photos: PhotoSet,
    options: ReconstructOptions,
    resume: bool,
    watch: Watch,
) -> None:
    """Into the run: what its photos are; of one that goes on, whether they are the same."""
    now = photo_hashes(photos)
    files = {} if posed == source else source_hashes(source, posed)
    if resume:
        if posed != source:
            check_files(run, source, files)
        is_known = check_photos(run, source, photos, now)
        if not is_known and has_checkpoints(run):
            watch.note(
                "the run does not say what its photos were, as those of older versions: taking "
                "these for the same"
            )
        length = {"steps": options.steps, "minutes": options.minutes}
        change_config(run, {**length, "source": str(source.absolute())})
    note_photos(run, now, files)


def _found(photos: PhotoSet) -> str:
    size = photos.train[0].camera
    text = (
        f"{photos.source}: {len(photos.train)} photos to train on, {len(photos.test)} held out, "
        f"{size.width}x{size.height}"
    )
    if photos.skipped:
        text += f"; {len(photos.skipped)} left out (the first: {photos.skipped[0].name}: "
        text += f"{photos.skipped[0].reason})"
    return text


def _request(photos: PhotoSet, posed: Path, masks: str, options: ReconstructOptions) -> Request:
    if options.steps is not None:
        horizon = Horizon(options.steps, None)
    else:
        horizon = Horizon(None, 60 * (options.minutes or DEFAULT_MINUTES))
    exposure = not photos.is_render if options.exposure is None else options.exposure
    return Request(
        photos, posed, options.max_size, options.seed, horizon, options.background, exposure, masks
    )


def _begin_or_resume(
    run: RunDirectory,
    request: Request,
    options: ReconstructOptions,
    resume: bool,
    watch: Watch,
) -> tuple[Fitting, dict[str, Any]]:
    checkpoint = load_latest_checkpoint(run) if resume else None
    if checkpoint is None:
        if resume:
            watch.note("no checkpoint yet: starting from the first step")
        return _begin(request, options, watch)
    for skipped in checkpoint.skipped:
        watch.note(f"checkpoint not usable, taking the one before: {skipped}")
        append_event(run, Note(checkpoint.step, f"checkpoint not usable: {skipped}", 0.0))
    fitting: Fitting
    try:
        if options.method == "nerf":
            fitting = nerf.resume(request, options.nerf, checkpoint.tensors)
        else:
            fitting = splats.resume(request, options.splats, checkpoint.tensors)
    except OtherPhotos as error:
        raise InputError(f"{error}: restore them, or start again with --force") from None
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"the checkpoint of step {checkpoint.step} in {run.checkpoints_dir} is not one of "
            f"this {options.method} ({error}): start again with --force"
        ) from error
    watch.note(f"going on after step {fitting.step}")
    append_event(run, Note(fitting.step, "resumed", fitting.clock.seconds()))
    return fitting, dict(checkpoint.state)


def _begin(
    request: Request, options: ReconstructOptions, watch: Watch
) -> tuple[Fitting, dict[str, Any]]:
    if options.method == "nerf":
        fitting = nerf.begin(request, options.nerf)
        space = fitting.scene().field.space
        kind = "without bounds, drawn in beyond" if space.contracted else "within"
        watch.note(f"a field {kind} {space.radius:.3g} units around what the cameras look at")
        return fitting, {}
    begun, start = splats.begin(request, options.splats)
    count = len(start.cloud.points)
    watch.note(f"starting from {count} points, {start.origin}")
    return begun, {"points": count, "points_from": start.origin}


def _train(
    run: RunDirectory,
    fitting: Fitting,
    photos: PhotoSet,
    options: ReconstructOptions,
    about: Mapping[str, Any],
    watch: Watch,
) -> None:
    """Run the loop with events, pictures, checkpoints and measurements on the way."""
    writer = open_tensorboard(run, from_step=fitting.step)
    started = fitting.clock.seconds()
    saved = noted = pictured = started
    cost = 0.0
    pending = [at for at in sorted(options.evaluate_at) if at > started]
    psnr: list[float] = []
    # The kernels have threads of their own; two pools would fight for the cores.
    with ctrl_c_flag() as stop, torch_threads(1):
        for report in fitting.reports():
            watch.step(report)
            if report.note is not None:
                watch.note(f"step {report.step}: {report.note}")
                append_event(run, Note(report.step, report.note, report.seconds))
            if report.psnr is not None:
                psnr = [*psnr[-9:], report.psnr]
            now = report.seconds
            if now - noted >= EVENT_SECONDS or report.fraction >= 1:
                noted = now
                mean = sum(psnr) / len(psnr) if psnr else None
                event = Step(report.step, report.loss, mean, report.splats, now, peak_memory_mb())
                append_event(run, event)
                log_event(writer, event)
            if pending and now >= pending[0]:
                pending = [at for at in pending if at > now]
                _measure(run, fitting, photos, writer)
            if now - pictured >= max(PICTURE_SECONDS, PICTURE_REST * cost):
                pictured = now
                cost = _log_pictures(fitting, photos, writer)
            if stop or now - saved >= options.checkpoint_seconds:
                saved = now
                _save(run, fitting, about)
            if stop:
                writer.close()
                raise Interrupted(fitting.step)
    _save(run, fitting, about)
    _log_pictures(fitting, photos, writer)
    writer.close()


def _save(run: RunDirectory, fitting: Fitting, about: Mapping[str, Any]) -> None:
    """A checkpoint; and into `config.json` how far the run has come."""
    save_checkpoint(run, fitting.step, fitting.tensors(), about)
    seconds = round(fitting.clock.seconds(), 3)
    change_config(run, {"steps_done": fitting.step, "seconds_done": seconds})


def _measure(run: RunDirectory, fitting: Fitting, photos: PhotoSet, writer: Any) -> None:
    """Held-out PSNR as it is now, with the clock stopped."""
    with fitting.clock.stopped():
        found = evaluate_scene(fitting.scene(), photos.test, None).mean
        event = Evaluation(
            fitting.step,
            found.psnr,
            found.ssim,
            found.perceptual,
            len(photos.test),
            fitting.clock.seconds(),
        )
        append_event(run, event)
        log_event(writer, event)


def _log_pictures(fitting: Fitting, photos: PhotoSet, writer: Any) -> float:
    """Pictures for TensorBoard, with the clock stopped. Returns the seconds that they took."""
    began = time.perf_counter()
    with fitting.clock.stopped():
        scene = fitting.scene()
        for kind, some in (("train", photos.train), ("test", photos.test)):
            if some:
                view = render_view(scene, some[0].camera, exposed=True)
                truth = composited(some[0], scene.background)
                both = torch.cat([truth, view.color], dim=1)
                log_picture(writer, f"{kind}/photo and render", both, fitting.step)
    return time.perf_counter() - began


def _finish(
    run: RunDirectory,
    fitting: Fitting,
    scene: Scene | FieldScene,
    photos: PhotoSet,
    about: Mapping[str, Any],
    watch: Watch,
) -> Result:
    summary = {
        "train_seconds": round(fitting.clock.seconds(), 3),
        "steps": fitting.step,
        **fitting.summary(),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "threads": num_threads(),
        **about,
    }
    metrics = None
    measured: dict[str, Any] = {"test": None, "per_image": {}}
    if photos.test:
        watch.note(f"measuring on {len(photos.test)} held-out photos")
        metrics = evaluate_scene(scene, photos.test, run.renders_dir / "test")
        measured = metrics_json(metrics)
    if photos.skipped:
        measured["left_out"] = {one.name: one.reason for one in photos.skipped}
    write_metrics(run, {**measured, **summary})
    finish_run(run)
    return Result(run, scene, metrics, summary)
