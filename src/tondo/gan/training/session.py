"""Pictures in, a run with a generator out: the long way around the training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tondo.errors import InputError
from tondo.gan.files.adapters import AdapterCard, save_adapter
from tondo.gan.files.generator_file import (
    Card,
    Trained,
    fingerprint,
    load_generator,
    save_generator,
)
from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.objects.contact_sheet import grid, latents
from tondo.gan.training import divergence, state_tensors
from tondo.gan.training.inputs import base_of, note_pictures, setting_of, training_set
from tondo.gan.training.options import (
    TrainOptions,
    check_options,
    config_json,
    keep_length,
    set_aside,
    stored_options,
)
from tondo.gan.training.pretrain import first_optimiser, look_first
from tondo.gan.training.reconstruction import priors_found
from tondo.gan.training.state import Setting, Training
from tondo.gan.training.state_tensors import into_optimiser, of_optimiser
from tondo.gan.training.step import StepReport, Watch, begin, one_step, plain_generator, set_rates
from tondo.io.images import write_png
from tondo.kernels.threads import num_threads, torch_threads
from tondo.runs import distributed
from tondo.runs.checkpoints import Checkpoint, load_latest_checkpoint, save_checkpoint
from tondo.runs.events import GanStep, Note, Saved, append_event
from tondo.runs.interrupt import ctrl_c_flag
from tondo.runs.memory import peak_memory_mb
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

DEFAULT_MINUTES = 60.0
EVENT_SECONDS = 2.0
GRID_SECONDS = 60.0
GRID_SEEDS = 8
ADAPTER = "adapter.safetensors"
MOST_SETBACKS = 1
FIRST_SHARE = 0.15  # of a training
DEFAULTS = TrainOptions()
SILENT = Watch()
FIRST = "first_look"  # of a checkpoint within it: photographs seen


@dataclass(frozen=True)
class Result:
    """A finished training."""

    run: RunDirectory
    trained: Trained
    summary: Mapping[str, Any]


class Interrupted(Exception):
    """Ctrl-C during training; everything is saved. `kimg` thousands of pictures were shown."""

    def __init__(self, kimg: float) -> None:
        super().__init__(f"stopped after {kimg:.1f} thousand pictures")
        self.kimg = kimg


@dataclass
class _Progress:
    """Where a session stands; `setbacks`: how often it went back to an older checkpoint."""

    setbacks: int = 0
    saved: float = 0.0
    noted: float = 0.0
    drawn: float = 0.0
    pictures_before: int = 0


def train_generator(
    source: Path,
    out: Path,
    options: TrainOptions = DEFAULTS,
    *,
    force: bool = False,
    resume: bool = False,
    watch: Watch = SILENT,
) -> Result:
    """Train a generator on pictures of one kind of thing and write a run.

    Args:
        source: a folder, zip or CelebA layout of pictures, or what `tondo prepare --for gan` made.
        out: the run's folder; beside what every run has, generator.safetensors (the averaged G).
        options: with `resume` only minutes, kimg and checkpoint_seconds count; the rest is what
            the run was started with.
        force: replace a run that is there.
        resume: go on from the newest checkpoint of the run at `out`.

    Raises:
        TondoError: something in the pictures, options or output folder cannot be used; or the
            training broke down twice, and what was good before is saved.
        Interrupted: Ctrl-C; a checkpoint and the generator have been written.
    """
    check_options(options)
    if resume:
        run = open_run(out)
        given, asked = options, Path(source).absolute()
        options, source = stored_options(run, options)
        _say_what_stays(given, options, asked, source, watch)
        create_run(out, {}, resume=True)
        keep_length(run, options)
    base = base_of(options)
    if not resume:
        run = create_run(out, config_json(source, options), force=force)
    try:
        pictures = training_set(source, run, options, watch)
        note_pictures(run, pictures, resume=resume)
        setting, shape = setting_of(pictures, options, watch, base)
        training, progress = _begin_or_resume(run, setting, shape, options, resume, watch)
    except Interrupted:
        raise
    except BaseException:
        if not resume:
            abandon_run(run)  # nothing in it is worth keeping
        raise
    training = _train(run, training, setting, options, progress, watch)
    return _finish(run, training, setting, options)


def _say_what_stays(
    given: TrainOptions, begun: TrainOptions, asked: Path, source: Path, watch: Watch
) -> None:
    """A run that goes on keeps its pictures and options, whatever is given now."""
    other = set_aside(given, begun)
    if asked != source:
        watch.note(f"going on with the pictures that the run was begun with: {source}")
    if other:
        watch.note(
            f"the run keeps what it was begun with, so this changes nothing: {', '.join(other)} "
            "(for other settings begin a new one)"
        )


def _begin_or_resume(
    run: RunDirectory,
    setting: Setting,
    shape: GeneratorShape,
    options: TrainOptions,
    resume: bool,
    watch: Watch,
) -> tuple[Training, _Progress]:
    checkpoint = load_latest_checkpoint(run) if resume else None
    if checkpoint is None:
        if resume:
            watch.note("no checkpoint yet: starting from the first step")
        training = begin(setting, shape, options.seed)
        _first_look(run, training, setting, options, watch, None)
        return training, _Progress()
    for skipped in checkpoint.skipped:
        watch.note(f"checkpoint not usable, taking the one before: {skipped}")
        append_event(run, Note(checkpoint.step, f"checkpoint not usable: {skipped}", 0.0))
    try:
        training = state_tensors.from_tensors(
            checkpoint.tensors, setting, shape_begun(run) or shape
        )
        setbacks = int(checkpoint.state.get("setbacks", 0))
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"the checkpoint of step {checkpoint.step} in {run.checkpoints_dir} is not one of "
            f"this training ({reason}): start again with --force"
        ) from error
    if FIRST in checkpoint.state:
        watch.note("going on with the first look")
        _first_look(run, training, setting, options, watch, checkpoint)
        return training, _Progress()
    watch.note(f"going on after {training.pictures / 1000:.1f} thousand pictures")
    append_event(run, Note(training.step, "resumed", training.seconds))
    now = training.seconds
    return training, _Progress(setbacks, now, now, now, training.pictures)


def shape_begun(run: RunDirectory) -> GeneratorShape | None:
    """The shape of a run's generator as far as it has written one: another version of the program
    may begin others."""
    try:
        return load_generator(run.generator_path).generator.shape
    except InputError:
        return None


def _first_look(
    run: RunDirectory,
    training: Training,
    setting: Setting,
    options: TrainOptions,
    watch: Watch,
    kept: Checkpoint | None,
) -> None:
    """What `pretrain` does before the game, with checkpoints, the last one where the game begins;
    its time counts, its pictures do not. It is at most `FIRST_SHARE` of the
    whole.
    `kept`: a checkpoint within it."""
    if training.codes is None:
        save_checkpoint(run, 0, state_tensors.to_tensors(training), {"setbacks": 0})
        return
    config = setting.config
    kpictures, seconds = config.first_kpictures, math.inf
    if options.kimg is not None:
        kpictures = min(kpictures, FIRST_SHARE * options.kimg)
    else:
        seconds = FIRST_SHARE * 60 * (options.minutes or DEFAULT_MINUTES)
    learned, begin = first_optimiser(training, config), 0
    if kept is not None:
        into_optimiser(FIRST, learned, kept.tensors)
        begin = int(kept.state[FIRST])
    before, started, saved = training.seconds, time.perf_counter(), training.seconds
    # torch's convolutions and our kernels take turns, so each may have all threads
    with ctrl_c_flag() as stop, torch_threads(num_threads()):

        def told(done: int, of: int) -> bool:
            nonlocal saved
            watch.stage("first look", done, of)
            training.seconds = now = before + time.perf_counter() - started
            if (stop or now - saved >= options.checkpoint_seconds) and divergence.finite(training):
                saved = now
                tensors = state_tensors.to_tensors(training) | of_optimiser(FIRST, learned)
                save_checkpoint(run, 0, tensors, {"setbacks": 0, FIRST: done})
            if stop:
                _write_generator(run, training, setting, options)
                raise Interrupted(0.0)
            return now > seconds

        look_first(training, setting, learned, int(1000 * kpictures), told, begin)
    training.seconds = before + time.perf_counter() - started
    save_checkpoint(run, 0, state_tensors.to_tensors(training), {"setbacks": 0})


def _fraction(training: Training, options: TrainOptions) -> float:
    if options.kimg is not None:
        return min(1.0, training.pictures / (1000 * options.kimg))
    return min(1.0, training.seconds / (60 * (options.minutes or DEFAULT_MINUTES)))


def _train(
    run: RunDirectory,
    training: Training,
    setting: Setting,
    options: TrainOptions,
    progress: _Progress,
    watch: Watch,
) -> Training:
    """Run the loop with events, grids, checkpoints and checks of its health. Returns the training
    that came to the end: another than the one given where it went back."""
    writer = open_tensorboard(run, from_step=training.step)
    before, started = training.seconds, time.perf_counter()
    vitals = divergence.Vitals(setting.config)
    distributed.order(distributed.RELOAD + progress.setbacks)
    # torch's convolutions and our kernels take turns, so each may have all threads
    with ctrl_c_flag() as stop, torch_threads(num_threads()):
        while _fraction(training, options) < 1:
            distributed.order(distributed.STEP)
            share = distributed.of_first(_fraction(training, options))
            set_rates(training, setting.config, progress.setbacks, share)
            report = one_step(training, setting)
            training.seconds = before + time.perf_counter() - started
            rate = (training.pictures - progress.pictures_before) / (training.seconds - before)
            watch.step(report, _fraction(training, options), rate)
            vitals.note(report)
            now = training.seconds
            last = _fraction(training, options) == 1
            due = stop or last or now - progress.saved >= options.checkpoint_seconds
            illness = vitals.sudden(report)
            if illness is None and due:
                illness = vitals.illness(training)
            if illness is not None:
                training = _go_back(run, training, setting, options, progress, illness)
                watch.note(
                    f"{illness}: going back, with half the rates, to where it was well: "
                    f"{training.pictures / 1000:.1f} thousand pictures"
                )
                writer.close()
                writer = open_tensorboard(run, from_step=training.step)
                before, started = training.seconds, time.perf_counter()
                progress.pictures_before = training.pictures
                vitals = divergence.Vitals(setting.config)
                continue
            _tell(run, writer, training, setting, report, progress)
            if due:
                _save(run, training, setting, options, progress)
            if stop:
                writer.close()
                raise Interrupted(training.pictures / 1000)
    _draw(run, writer, training, setting)
    writer.close()
    return training


def _go_back(
    run: RunDirectory,
    training: Training,
    setting: Setting,
    options: TrainOptions,
    progress: _Progress,
    illness: str,
) -> Training:
    """The last good checkpoint with half the rates, once; the second time it is the end."""
    append_event(run, Note(training.step, illness, training.seconds))
    checkpoint = load_latest_checkpoint(run)
    assert checkpoint is not None  # there is one from step 0 on
    healthy = state_tensors.from_tensors(checkpoint.tensors, setting, training.G.shape)
    if progress.setbacks >= MOST_SETBACKS:
        _write_generator(run, healthy, setting, options)
        raise divergence.BrokenTraining(
            f"{illness}, again. The generator of {healthy.pictures / 1000:.1f} thousand pictures, "
            f"the last good one, is in {run.generator_path}. {divergence.ADVICE}"
        )
    progress.setbacks += 1
    # at once: a training that is killed now must not begin anew with all its rates
    save_checkpoint(
        run, healthy.step, state_tensors.to_tensors(healthy), {"setbacks": progress.setbacks}
    )
    distributed.order(distributed.RELOAD + progress.setbacks)
    progress.saved = progress.noted = progress.drawn = healthy.seconds
    return healthy


def _tell(
    run: RunDirectory,
    writer: Any,
    training: Training,
    setting: Setting,
    report: StepReport,
    progress: _Progress,
) -> None:
    """Events and pictures of what is going on, every so often."""
    now = training.seconds
    if now - progress.noted >= EVENT_SECONDS:
        progress.noted = now
        event = GanStep(
            step=report.step,
            pictures=report.pictures,
            loss_d=report.loss_d,
            loss_g=report.loss_g,
            real=report.real,
            fake=report.fake,
            grad_d=report.grad_d,
            grad_g=report.grad_g,
            augment_p=report.augment_p,
            seconds=now,
            memory=peak_memory_mb(),
        )
        append_event(run, event)
        log_event(writer, event)
    if now - progress.drawn >= GRID_SECONDS:
        progress.drawn = now
        _draw(run, writer, training, setting)


def _draw(run: RunDirectory, writer: Any, training: Training, setting: Setting) -> None:
    """The same seeds from eight sides, with depth: for TensorBoard, and as RUN/renders/grid.png."""
    G = training.G_ema
    with torch.no_grad():
        w = G.styles(latents(list(range(GRID_SEEDS)), G.shape.z).to(G.device))
    picture = grid(G, w, setting.priors, G.shape.size, with_depth=True)
    log_picture(writer, "samples", picture, training.step)
    write_png(run.renders_dir / "grid.png", picture)
    plain = grid(G, w, setting.priors, G.shape.size)
    write_png(run.renders_dir / f"grid-{training.pictures // 1000:06d}k.png", plain)


def _save(
    run: RunDirectory,
    training: Training,
    setting: Setting,
    options: TrainOptions,
    progress: _Progress,
) -> None:
    progress.saved = training.seconds
    about = {"setbacks": progress.setbacks}
    save_checkpoint(run, training.step, state_tensors.to_tensors(training), about)
    _write_generator(run, training, setting, options)
    done = {
        "steps_done": training.step,
        "kimg_done": round(training.pictures / 1000, 3),
        "seconds_done": round(training.seconds, 3),
    }
    change_config(run, done)


def _write_generator(
    run: RunDirectory, training: Training, setting: Setting, options: TrainOptions
) -> Trained:
    """generator.safetensors, and the adapter by itself where only one was trained."""
    card = Card(
        name=Path(setting.pictures.source).stem,
        pictures=len(setting.pictures.images),
        kimg=training.pictures / 1000,
        hours=training.seconds / 3600,
        source=setting.pictures.source,
        licence=options.licence,
        poses="known" if setting.camera_angles is not None else (options.poses or "assumed"),
    )
    trained = Trained(plain_generator(training.G_ema), priors_found(training, setting), card)
    save_generator(run.generator_path, trained)
    if setting.base is not None and setting.base.lora:
        about = AdapterCard(
            base=str(options.base),
            base_fingerprint=fingerprint(setting.base.generator),
            rank=setting.base.lora,
            kimg=card.kimg,
            source=card.source,
        )
        save_adapter(run.path / ADAPTER, training.G_ema, about)
    append_event(run, Saved(training.step, run.generator_path.name, training.seconds))
    return trained


def _finish(
    run: RunDirectory, training: Training, setting: Setting, options: TrainOptions
) -> Result:
    trained = _write_generator(run, training, setting, options)
    summary = {
        "train_seconds": round(training.seconds, 3),
        "steps": training.step,
        "kimg": round(training.pictures / 1000, 3),
        "pictures": len(setting.pictures.images),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "threads": num_threads(),
    }
    write_metrics(run, summary)
    finish_run(run)
    return Result(run, trained, summary)
