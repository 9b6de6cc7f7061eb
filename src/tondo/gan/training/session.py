"""Pictures in, a run with a generator out."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tondo.errors import InputError
from tondo.gan.files.generator_file import Trained, load_generator
from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.options import TrainOptions
from tondo.gan.training import state_tensors
from tondo.gan.training.inputs import note_pictures, open_base, train_inputs, training_set
from tondo.gan.training.options import OF_NOW, check_options
from tondo.gan.training.stages import (
    PRETRAINING,
    AdversarialTraining,
    Pretraining,
    write_generator,
)
from tondo.gan.training.state import TrainInputs, TrainState
from tondo.gan.training.step import begin
from tondo.runs import loop
from tondo.runs.checkpoints import Checkpoint, save_checkpoint
from tondo.runs.horizon import Horizon
from tondo.runs.run_directory import RunDirectory, change_config, create_run, open_run
from tondo.runs.stored_options import config_of, ignored_options, stored_options
from tondo.runs.watch import SILENT, Watch

DEFAULT_MINUTES = 60.0  # an hour, as the notes' longer trainings; chosen
PRETRAIN_SHARE = 0.15  # of a training, at most; chosen
DEFAULTS = TrainOptions()


def train_generator(
    source: str | Path,
    out: str | Path,
    options: TrainOptions = DEFAULTS,
    *,
    force: bool = False,
    resume: bool = False,
    given: Collection[str] | None = None,
    watch: Watch = SILENT,
) -> loop.Result[Trained]:
    """Train a generator on pictures of one kind of thing and write a run.

    Args:
        source: a folder, zip or CelebA layout of pictures, or what `tondo prepare --for gan` made.
        out: the run's folder; beside what every run has, generator.safetensors (the averaged G).
        options: with `resume` only minutes, kimg and checkpoint_seconds count; the rest is what
            the run was started with.
        force: replace a run that is there.
        resume: go on from the newest checkpoint of the run at `out`.
        given: with `resume`, which options were asked for (`runs.stored_options.ignored_options`).

    Raises:
        TondoError: something in the pictures, options or output folder cannot be used; or the
            training broke down twice, and what was good before is saved.
        Interrupted: Ctrl-C; a checkpoint and the generator have been written.

    Example:
        >>> import tondo
        >>> options = tondo.TrainOptions(size=32, kimg=0.024)
        >>> result = tondo.train_generator("pictures", "trained", options)
        >>> result.summary["pictures"], result.model.generator.shape.size
        (20, 32)
    """
    check_options(options)
    source, out = Path(source), Path(out)
    if resume:
        run, options, source = _go_on(out, source, options, given, watch)
    base = open_base(options)
    if not resume:
        run = create_run(out, config_of("train", source, options, OF_NOW), force=force)
    with loop.beginning(run, is_new=not resume):
        pictures = training_set(source, run, options, watch)
        note_pictures(run, pictures, resume=resume)
        inputs, shape = train_inputs(pictures, options, watch, base)
        method = _begin_or_resume(run, inputs, shape, watch, resume=resume)
    loop.train(run, method, watch, checkpoint_seconds=options.checkpoint_seconds)
    trained = write_generator(run, method.state, inputs)
    return loop.Result(run, trained, loop.finish(run, method))


def _go_on(
    out: Path, source: Path, asked: TrainOptions, given: Collection[str] | None, watch: Watch
) -> tuple[RunDirectory, TrainOptions, Path]:
    """The run at `out`, the options that it was started with, and where its pictures are."""
    run = open_run(out)
    options, begun_with = stored_options(run, "train", asked, OF_NOW)
    check_options(options)
    if source.absolute() != begun_with:
        watch.note(f"going on with the pictures that the run was started with: {begun_with}")
    for sentence in ignored_options(asked, options, OF_NOW, given):
        watch.note(sentence)
    create_run(out, {}, resume=True)
    change_config(run, {"minutes": options.minutes, "kimg": options.kimg})
    return run, options, begun_with


def _begin_or_resume(
    run: RunDirectory, inputs: TrainInputs, shape: GeneratorShape, watch: Watch, *, resume: bool
) -> AdversarialTraining:
    options = inputs.options
    horizon = Horizon(None, 60 * (options.minutes or DEFAULT_MINUTES))
    if options.kimg is not None:
        horizon = Horizon(1000 * options.kimg, None)
    checkpoint = loop.newest_checkpoint(run, watch) if resume else None
    if checkpoint is None:
        state = begin(inputs, shape, options.seed)
        return _pretrained(run, state, inputs, horizon, watch, None)
    with loop.restoring(run, checkpoint, "training"):
        state = state_tensors.from_tensors(checkpoint.tensors, inputs, stored_shape(run) or shape)
        rollbacks = int(checkpoint.state.get("rollbacks", 0))
    if PRETRAINING in checkpoint.state:
        watch.note("going on with the pretraining")
        return _pretrained(run, state, inputs, horizon, watch, checkpoint)
    method = AdversarialTraining(state, inputs, horizon, rollbacks)
    loop.say_resumed(run, method, watch)
    return method


def stored_shape(run: RunDirectory) -> GeneratorShape | None:
    """The shape of a run's generator as far as it has written one: another version of the program
    may begin others."""
    try:
        return load_generator(run.generator_path).generator.shape
    except InputError:
        return None


def _pretrained(
    run: RunDirectory,
    state: TrainState,
    inputs: TrainInputs,
    horizon: Horizon,
    watch: Watch,
    kept: Checkpoint | None,
) -> AdversarialTraining:
    """Adversarial training at its beginning, in a checkpoint, after pretraining where there is one:
    its time counts, its pictures do not. `kept`: a checkpoint within it."""
    if state.photo_encoder is not None:
        options, kimg = inputs.options, inputs.options.autoencoder.pretrain_kimg
        if options.kimg is not None:
            kimg = min(kimg, PRETRAIN_SHARE * options.kimg)
        seconds = None if horizon.seconds is None else PRETRAIN_SHARE * horizon.seconds
        pretraining = Pretraining(state, inputs, int(1000 * kimg), seconds, watch)
        if kept is not None:
            with loop.restoring(run, kept, "training"):
                pretraining.resume(kept)
        try:
            loop.train(run, pretraining, watch, checkpoint_seconds=options.checkpoint_seconds)
        except loop.Interrupted:
            write_generator(run, state, inputs)
            raise
        pretraining.end()
    method = AdversarialTraining(state, inputs, horizon)
    save_checkpoint(run, 0, method.tensors(), method.facts())
    return method
