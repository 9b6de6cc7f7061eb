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
from tondo.gan.training.inputs import note_pictures, open_base, train_inputs, training_set
from tondo.gan.training.options import (
    TrainOptions,
    check_options,
    config_json,
    ignored_options,
    store_duration,
    stored_options,
)
from tondo.gan.training.pretrain import pretrain, pretrain_optimiser
from tondo.gan.training.reconstruction import reweighted_priors
from tondo.gan.training.state import TrainInputs, TrainState
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
MOST_ROLLBACKS = 1
FIRST_SHARE = 0.15  # of a training
DEFAULTS = TrainOptions()
SILENT = Watch()
PRETRAINING = "pretraining"  # of a checkpoint within it: photographs seen


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
    """Where a session stands; `rollbacks`: how often it went back to an older checkpoint."""

    rollbacks: int = 0
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
        _warn_ignored(given, options, asked, source, watch)
        create_run(out, {}, resume=True)
        store_duration(run, options)
    base = open_base(options)
    if not resume:
        run = create_run(out, config_json(source, options), force=force)
    try:
        pictures = training_set(source, run, options, watch)
        note_pictures(run, pictures, resume=resume)
        inputs, shape = train_inputs(pictures, options, watch, base)
        state, progress = _begin_or_resume(run, inputs, shape, options, resume, watch)
    except Interrupted:
        raise
    except BaseException:
        if not resume:
            abandon_run(run)  # nothing in it is worth keeping
        raise
    state = _train(run, state, inputs, options, progress, watch)
    return _finish(run, state, inputs, options)


def _warn_ignored(
    given: TrainOptions, begun: TrainOptions, asked: Path, source: Path, watch: Watch
) -> None:
    """A run that goes on keeps its pictures and options, whatever is given now."""
    other = ignored_options(given, begun)
    if asked != source:
        watch.note(f"going on with the pictures that the run was begun with: {source}")
    if other:
        watch.note(
            f"the run keeps what it was begun with, so this changes nothing: {', '.join(other)} "
            "(for other settings begin a new one)"
        )


def _begin_or_resume(
    run: RunDirectory,
    inputs: TrainInputs,
    shape: GeneratorShape,
    options: TrainOptions,
    resume: bool,
    watch: Watch,
) -> tuple[TrainState, _Progress]:
    checkpoint = load_latest_checkpoint(run) if resume else None
    if checkpoint is None:
        if resume:
            watch.note("no checkpoint yet: starting from the first step")
        state = begin(inputs, shape, options.seed)
        _pretrain(run, state, inputs, options, watch, None)
        return state, _Progress()
    for skipped in checkpoint.skipped:
        watch.note(f"checkpoint not usable, taking the one before: {skipped}")
        append_event(run, Note(checkpoint.step, f"checkpoint not usable: {skipped}", 0.0))
    try:
        state = state_tensors.from_tensors(checkpoint.tensors, inputs, stored_shape(run) or shape)
        rollbacks = int(checkpoint.state.get("rollbacks", 0))
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"the checkpoint of step {checkpoint.step} in {run.checkpoints_dir} is not one of "
            f"this training ({reason}): start again with `force`"
        ) from error
    if PRETRAINING in checkpoint.state:
        watch.note("going on with the pretraining")
        _pretrain(run, state, inputs, options, watch, checkpoint)
        return state, _Progress()
    watch.note(f"going on after {state.pictures / 1000:.1f} thousand pictures")
    append_event(run, Note(state.step, "resumed", state.seconds))
    now = state.seconds
    return state, _Progress(rollbacks, now, now, now, state.pictures)


def stored_shape(run: RunDirectory) -> GeneratorShape | None:
    """The shape of a run's generator as far as it has written one: another version of the program
    may begin others."""
    try:
        return load_generator(run.generator_path).generator.shape
    except InputError:
        return None


def _pretrain(
    run: RunDirectory,
    state: TrainState,
    inputs: TrainInputs,
    options: TrainOptions,
    watch: Watch,
    kept: Checkpoint | None,
) -> None:
    """What `pretrain` does before the game, with checkpoints, the last one where the game begins;
    its time counts, its pictures do not. It is at most `FIRST_SHARE` of the
    whole.
    `kept`: a checkpoint within it."""
    if state.photo_encoder is None:
        save_checkpoint(run, 0, state_tensors.to_tensors(state), {"rollbacks": 0})
        return
    kpictures, seconds = inputs.options.autoencoder.pretrain_kimg, math.inf
    if options.kimg is not None:
        kpictures = min(kpictures, FIRST_SHARE * options.kimg)
    else:
        seconds = FIRST_SHARE * 60 * (options.minutes or DEFAULT_MINUTES)
    learned, begin = pretrain_optimiser(state, inputs.options), 0
    if kept is not None:
        into_optimiser(PRETRAINING, learned, kept.tensors)
        begin = int(kept.state[PRETRAINING])
    before, started, saved = state.seconds, time.perf_counter(), state.seconds
    # torch's convolutions and our kernels take turns, so each may have all threads
    with ctrl_c_flag() as stop, torch_threads(num_threads()):

        def on_progress(done: int, of: int) -> bool:
            nonlocal saved
            watch.stage("pretraining", done, of)
            state.seconds = now = before + time.perf_counter() - started
            if (stop or now - saved >= options.checkpoint_seconds) and divergence.finite(state):
                saved = now
                tensors = state_tensors.to_tensors(state) | of_optimiser(PRETRAINING, learned)
                save_checkpoint(run, 0, tensors, {"rollbacks": 0, PRETRAINING: done})
            if stop:
                _write_generator(run, state, inputs, options)
                raise Interrupted(0.0)
            return now > seconds

        pretrain(state, inputs, learned, int(1000 * kpictures), on_progress, begin)
    state.seconds = before + time.perf_counter() - started
    save_checkpoint(run, 0, state_tensors.to_tensors(state), {"rollbacks": 0})


def _fraction(state: TrainState, options: TrainOptions) -> float:
    if options.kimg is not None:
        return min(1.0, state.pictures / (1000 * options.kimg))
    return min(1.0, state.seconds / (60 * (options.minutes or DEFAULT_MINUTES)))


def _train(
    run: RunDirectory,
    state: TrainState,
    inputs: TrainInputs,
    options: TrainOptions,
    progress: _Progress,
    watch: Watch,
) -> TrainState:
    """Run the loop with events, grids, checkpoints and checks of its health. Returns the training
    that came to the end: another than the one given where it went back."""
    writer = open_tensorboard(run, from_step=state.step)
    before, started = state.seconds, time.perf_counter()
    monitor = divergence.DivergenceMonitor(inputs.options.adversarial)
    distributed.send_command(distributed.RELOAD + progress.rollbacks)
    # torch's convolutions and our kernels take turns, so each may have all threads
    with ctrl_c_flag() as stop, torch_threads(num_threads()):
        while _fraction(state, options) < 1:
            distributed.send_command(distributed.STEP)
            share = distributed.broadcast_float(_fraction(state, options))
            set_rates(state, inputs.options, progress.rollbacks, share)
            report = one_step(state, inputs)
            state.seconds = before + time.perf_counter() - started
            rate = (state.pictures - progress.pictures_before) / (state.seconds - before)
            watch.step(report, _fraction(state, options), rate)
            monitor.note(report)
            now = state.seconds
            last = _fraction(state, options) == 1
            due = stop or last or now - progress.saved >= options.checkpoint_seconds
            problem = monitor.check_step(report)
            if problem is None and due:
                problem = monitor.check(state)
            if problem is not None:
                state = _roll_back(run, state, inputs, options, progress, problem)
                watch.note(
                    f"{problem}: going back, with half the rates, to where it was well: "
                    f"{state.pictures / 1000:.1f} thousand pictures"
                )
                writer.close()
                writer = open_tensorboard(run, from_step=state.step)
                before, started = state.seconds, time.perf_counter()
                progress.pictures_before = state.pictures
                monitor = divergence.DivergenceMonitor(inputs.options.adversarial)
                continue
            _log(run, writer, state, inputs, report, progress)
            if due:
                _save(run, state, inputs, options, progress)
            if stop:
                writer.close()
                raise Interrupted(state.pictures / 1000)
    _draw(run, writer, state, inputs)
    writer.close()
    return state


def _roll_back(
    run: RunDirectory,
    state: TrainState,
    inputs: TrainInputs,
    options: TrainOptions,
    progress: _Progress,
    problem: str,
) -> TrainState:
    """The last good checkpoint with half the rates, once; the second time it is the end."""
    append_event(run, Note(state.step, problem, state.seconds))
    checkpoint = load_latest_checkpoint(run)
    assert checkpoint is not None  # there is one from step 0 on
    healthy = state_tensors.from_tensors(checkpoint.tensors, inputs, state.G.shape)
    if progress.rollbacks >= MOST_ROLLBACKS:
        _write_generator(run, healthy, inputs, options)
        raise divergence.BrokenTraining(
            f"{problem}, again. The generator of {healthy.pictures / 1000:.1f} thousand pictures, "
            f"the last good one, is in {run.generator_path}. {divergence.ADVICE}"
        )
    progress.rollbacks += 1
    # at once: a training that is killed now must not begin anew with all its rates
    save_checkpoint(
        run, healthy.step, state_tensors.to_tensors(healthy), {"rollbacks": progress.rollbacks}
    )
    distributed.send_command(distributed.RELOAD + progress.rollbacks)
    progress.saved = progress.noted = progress.drawn = healthy.seconds
    return healthy


def _log(
    run: RunDirectory,
    writer: Any,
    state: TrainState,
    inputs: TrainInputs,
    report: StepReport,
    progress: _Progress,
) -> None:
    """Events and pictures of what is going on, every so often."""
    now = state.seconds
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
        _draw(run, writer, state, inputs)


def _draw(run: RunDirectory, writer: Any, state: TrainState, inputs: TrainInputs) -> None:
    """The same seeds from eight sides, with depth: for TensorBoard, and as RUN/renders/grid.png."""
    G = state.G_ema
    with torch.no_grad():
        w = G.styles(latents(list(range(GRID_SEEDS)), G.shape.z).to(G.device))
    picture = grid(G, w, inputs.priors, G.shape.size, with_depth=True)
    log_picture(writer, "samples", picture, state.step)
    write_png(run.renders_dir / "grid.png", picture)
    plain = grid(G, w, inputs.priors, G.shape.size)
    write_png(run.renders_dir / f"grid-{state.pictures // 1000:06d}k.png", plain)


def _save(
    run: RunDirectory,
    state: TrainState,
    inputs: TrainInputs,
    options: TrainOptions,
    progress: _Progress,
) -> None:
    progress.saved = state.seconds
    about = {"rollbacks": progress.rollbacks}
    save_checkpoint(run, state.step, state_tensors.to_tensors(state), about)
    _write_generator(run, state, inputs, options)
    done = {
        "steps_done": state.step,
        "kimg_done": round(state.pictures / 1000, 3),
        "seconds_done": round(state.seconds, 3),
    }
    change_config(run, done)


def _write_generator(
    run: RunDirectory, state: TrainState, inputs: TrainInputs, options: TrainOptions
) -> Trained:
    """generator.safetensors, and the adapter by itself where only one was trained."""
    card = Card(
        name=Path(inputs.pictures.source).stem,
        pictures=len(inputs.pictures.images),
        kimg=state.pictures / 1000,
        hours=state.seconds / 3600,
        source=inputs.pictures.source,
        licence=options.licence,
        poses="known" if inputs.camera_angles is not None else (options.poses or "assumed"),
    )
    trained = Trained(plain_generator(state.G_ema), reweighted_priors(state, inputs), card)
    save_generator(run.generator_path, trained)
    if inputs.base is not None and inputs.base.lora:
        about = AdapterCard(
            base=str(options.base),
            base_fingerprint=fingerprint(inputs.base.generator),
            rank=inputs.base.lora,
            kimg=card.kimg,
            source=card.source,
        )
        save_adapter(run.path / ADAPTER, state.G_ema, about)
    append_event(run, Saved(state.step, run.generator_path.name, state.seconds))
    return trained


def _finish(
    run: RunDirectory, state: TrainState, inputs: TrainInputs, options: TrainOptions
) -> Result:
    trained = _write_generator(run, state, inputs, options)
    summary = {
        "train_seconds": round(state.seconds, 3),
        "steps": state.step,
        "kimg": round(state.pictures / 1000, 3),
        "pictures": len(inputs.pictures.images),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "threads": num_threads(),
    }
    write_metrics(run, summary)
    finish_run(run)
    return Result(run, trained, summary)
