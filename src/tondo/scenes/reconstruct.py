"""Photographs in, a run with a scene out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import tondo
from tondo.data.field import FieldScene
from tondo.data.photos import PhotoSet
from tondo.data.splats import Scene
from tondo.errors import InputError, OptionError
from tondo.io.cameras_json import write_cameras
from tondo.io.photos import has_poses, load_posed
from tondo.io.scene import save_scene
from tondo.kernels.threads import num_threads, torch_threads
from tondo.measure.evaluate import ReconstructionMetrics, composited, metrics_json
from tondo.nerf import fitting as nerf
from tondo.nerf.config import NerfConfig
from tondo.poses.prepare import prepare
from tondo.scenes.distil import photograph_scene
from tondo.scenes.evaluate import evaluate_scene
from tondo.scenes.opened import is_scene, open_scene
from tondo.scenes.render import render_view
from tondo.splats import fitting as splats
from tondo.splats.config import SplatConfig
from tondo.training.checkpoints import load_latest_checkpoint, save_checkpoint
from tondo.training.events import Evaluation, Note, Saved, Step, append_event
from tondo.training.fitting import Fitting, OtherPhotos, Report, Request
from tondo.training.horizon import Horizon
from tondo.training.interrupt import ctrl_c_flag
from tondo.training.memory import peak_memory_mb
from tondo.training.run_directory import (
    RunDirectory,
    abandon_run,
    create_run,
    finish_run,
    open_run,
    read_config,
    write_metrics,
)
from tondo.training.tensorboard import log_event, log_picture, open_tensorboard

DEFAULT_MINUTES = 3.0
EVENT_SECONDS = 1.0
PICTURE_SECONDS = 30.0
PICTURE_REST = 20.0  # times what pictures cost: a young field is fog, which takes long to render


@dataclass(frozen=True)
class ReconstructOptions:
    """What `reconstruct` can be told.

    Attributes:
        method: "splats" | "nerf".
        max_size: longest side of the photos in training, pixels.
        steps, minutes: how long to train; at most one of them (neither: 3 minutes).
        seed: of every random choice.
        holdout: every Nth photo by sorted name is kept for testing, 0 keeps none.
        background: "white", "black", "random" or sRGB 0..1 behind photos with transparency, and
            behind the scene; "learned": one colour fitted together with the scene, for photos
            without transparency. "random": trained on a new colour at every step, shown on white.
            None: "random" with transparency, the photos' mean colour without.
        exposure: fit a colour correction per photo (None: for photos, not for renders).
        splats, nerf: everything else, of the method that is used.
        checkpoint_seconds: time between checkpoints.
        evaluate_at: seconds of training at which to measure held-out photos, the clock stopped.
    """

    method: str = "splats"
    max_size: int = 480
    steps: int | None = None
    minutes: float | None = None
    seed: int = 0
    holdout: int = 8
    background: str | tuple[float, float, float] | None = None
    exposure: bool | None = None
    splats: SplatConfig = field(default_factory=SplatConfig)
    nerf: NerfConfig = field(default_factory=NerfConfig)
    checkpoint_seconds: float = 30.0
    evaluate_at: tuple[float, ...] = ()


@dataclass(frozen=True)
class Watch:
    """How a reconstruction tells what it does: sentences; (stage, done, total) while poses are
    found; every training step."""

    note: Callable[[str], None] = lambda text: None
    stage: Callable[[str, int, int], None] = lambda stage, done, total: None
    step: Callable[[Report], None] = lambda report: None


@dataclass(frozen=True)
class Result:
    """A finished reconstruction; `metrics` is None where no photo was held out."""

    run: RunDirectory
    scene: Scene | FieldScene
    metrics: ReconstructionMetrics | None
    summary: Mapping[str, Any]


class Interrupted(Exception):
    """Ctrl-C during training; everything is saved. `step` steps are done."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.step = step


def reconstruct(
    source: Path,
    out: Path,
    options: ReconstructOptions = ReconstructOptions(),
    *,
    force: bool = False,
    resume: bool = False,
    watch: Watch = Watch(),
) -> Result:
    """Fit splats or a field to photographs and write a run (docs/conventions.md, "Files").

    Args:
        source: photos with or without poses, or a video; see `tondo.io.photos.load_posed`. Or the
            run or file of a scene, of any kind, which takes the photos' place (`scenes.distil`).
        out: the run's folder.
        options: with `resume` only steps, minutes, checkpoint_seconds and evaluate_at count; the
            rest is what the run was started with.
        force: replace a run that is there.
        resume: go on from the newest checkpoint of the run at `out`.

    Raises:
        TondoError: something in the photos, options or output folder cannot be used.
        Interrupted: Ctrl-C; a checkpoint has been written.
    """
    check_options(options)
    began = time.perf_counter()
    if resume:
        run = open_run(out)
        options, source = stored_options(run, options)
        create_run(out, {}, resume=True)
    else:
        run = create_run(out, config_json(source, options), force=force)
    try:
        posed = _posed(source, run, options, watch)
        photos = load_posed(posed, max_size=options.max_size, holdout=options.holdout)
        watch.note(_found(photos))
        fitting, about = _begin_or_resume(
            run, _request(photos, posed, options), options, resume, watch
        )
    except BaseException:
        if not resume and not (run.path / "prepared").exists():
            abandon_run(run)  # nothing in it is worth keeping
        raise
    for one in photos.skipped:
        append_event(run, Note(0, f"left out {one.name}: {one.reason}", 0.0))
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
    write_cameras(run.cameras_path, [*cameras, *held_out], {name for name, _ in held_out})


def check_options(options: ReconstructOptions) -> None:
    """Raises OptionError for values that cannot be used."""
    if options.steps is not None and options.minutes is not None:
        raise OptionError("give --steps or --minutes, not both")
    if options.steps is not None and options.steps < 1:
        raise OptionError(f"--steps must be at least 1, got {options.steps}")
    if options.minutes is not None and not 0 < options.minutes < 1e6:
        raise OptionError(f"--minutes must be above 0, got {options.minutes:g}")
    if not options.checkpoint_seconds >= 0:
        raise OptionError(
            "--checkpoint-seconds must be 0 (after each step) or more, "
            f"got {options.checkpoint_seconds:g}"
        )
    if options.method not in ("splats", "nerf"):
        raise OptionError(f"--method must be splats or nerf, got {options.method}")
    if options.splats.max_splats < 1:
        raise OptionError(f"--max-splats must be at least 1, got {options.splats.max_splats}")
    if options.seed < 0 or options.seed >= 2**63:
        raise OptionError(f"--seed must be from 0 to 2^63 - 1, got {options.seed}")


def config_json(source: Path, options: ReconstructOptions) -> dict[str, Any]:
    """`config.json`: everything needed to repeat the run."""
    stored = dataclasses.asdict(options)
    for name in {"splats", "nerf"} - {options.method}:
        del stored[name]
    del stored["evaluate_at"], stored["checkpoint_seconds"], stored["method"]
    posed = {} if has_poses(source) and not is_scene(source) else {"posed": "prepared"}
    return {
        "tondo": tondo.__version__,
        "command": "reconstruct",
        "method": options.method,
        "source": str(Path(source).absolute()),
        **posed,
        **stored,
    }


def stored_options(
    run: RunDirectory, options: ReconstructOptions
) -> tuple[ReconstructOptions, Path]:
    """The options that a run was started with, `options`' length of training where it says one."""
    config = read_config(run)
    try:
        method = config["method"]
        background = config["background"]
        stored = ReconstructOptions(
            method=method,
            **{name: config[name] for name in ("max_size", "steps", "minutes", "seed", "holdout")},
            background=tuple(background) if isinstance(background, list) else background,
            exposure=config["exposure"],
            splats=_splat_config(config),
            nerf=NerfConfig(**config["nerf"]) if method == "nerf" else NerfConfig(),
            checkpoint_seconds=options.checkpoint_seconds,
            evaluate_at=options.evaluate_at,
        )
        source = Path(config["source"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{run.config_path} is not the config of a reconstruction ({error!r}): "
            "start again with --force"
        ) from error
    if options.steps is not None or options.minutes is not None:
        stored = dataclasses.replace(stored, steps=options.steps, minutes=options.minutes)
    check_options(stored)
    return stored, source


def _splat_config(config: dict[str, Any]) -> SplatConfig:
    if config["method"] != "splats":
        return SplatConfig()
    stored = dict(config["splats"])
    stored["coarse"] = tuple((float(f), int(d)) for f, d in stored["coarse"])
    return SplatConfig(**stored)


def _posed(source: Path, run: RunDirectory, options: ReconstructOptions, watch: Watch) -> Path:
    """Where photos with poses are: `source`, or what `prepare` makes of it inside the run; of a
    scene, its pictures."""
    prepared = run.path / "prepared"
    if is_scene(source):
        if not (prepared.is_dir() and has_poses(prepared)):
            photograph_scene(open_scene(source), prepared, options.max_size, watch.stage)
        return prepared
    if has_poses(source):
        return source
    if not (prepared.is_dir() and has_poses(prepared)):
        watch.note("these photos have no poses: finding them first")
        prepare(source, prepared, force=True, seed=options.seed, on_progress=watch.stage)
        watch.note(f"how it went, and what to photograph next: {prepared / 'report.html'}")
    return prepared


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


def _request(photos: PhotoSet, posed: Path, options: ReconstructOptions) -> Request:
    if options.steps is not None:
        horizon = Horizon(options.steps, None)
    else:
        horizon = Horizon(None, 60 * (options.minutes or DEFAULT_MINUTES))
    exposure = not photos.is_render if options.exposure is None else options.exposure
    return Request(
        photos, posed, options.max_size, options.seed, horizon, options.background, exposure
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
                save_checkpoint(run, fitting.step, fitting.tensors(), about)
            if stop:
                writer.close()
                raise Interrupted(fitting.step)
    save_checkpoint(run, fitting.step, fitting.tensors(), about)
    _log_pictures(fitting, photos, writer)
    writer.close()


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
    write_metrics(run, {**measured, **summary})
    finish_run(run)
    return Result(run, scene, metrics, summary)
