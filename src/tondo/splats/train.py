"""The loop: render, compare, update."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from tondo.data.photos import Photo
from tondo.data.splats import Splats
from tondo.runs.horizon import Clock, Horizon
from tondo.runs.method import Report
from tondo.splats import densify, parameters, schedule
from tondo.splats import per_photo as corrections_
from tondo.splats import step as step_
from tondo.splats.config import SplatConfig
from tondo.splats.parameters import Parameters
from tondo.splats.per_photo import Corrections
from tondo.splats.targets import make_targets, over_random

PSNR_EVERY = 25


@dataclass
class Training:
    """Everything that a training changes.

    Attributes:
        parameters: the splats and their moments.
        corrections: exposure and pose per training photo.
        generator: the only source of random numbers.
        queue: photos still to come in this round, as indices, last first.
        step: steps done.
        clock: training time.
    """

    parameters: Parameters
    corrections: Corrections
    generator: Generator
    queue: list[int] = field(default_factory=list)
    step: int = 0
    clock: Clock = field(default_factory=Clock)


@dataclass(frozen=True)
class Setting:
    """What a training is given and does not change.

    Attributes:
        photos: the training photos.
        config, horizon: how and how long.
        background: [3] float32 0..1; with `learn_background` where that begins.
        random_background: photos with alpha are shown on a new colour at every step.
        reach: the scene's length unit, world units.
        learn_background: fit the background's colour too; for photos without alpha.
    """

    photos: Sequence[Photo]
    config: SplatConfig
    horizon: Horizon
    background: Tensor
    random_background: bool
    reach: float
    learn_background: bool = False


def begin(splats: Splats, photos: Sequence[Photo], seed: int) -> Training:
    """A training at step 0."""
    generator = Generator().manual_seed(seed)
    return Training(parameters.start(splats), corrections_.start(photos), generator)


def to_tensors(training: Training) -> dict[str, Tensor]:
    """All of a training's state as tensors, for a checkpoint."""
    return {
        **parameters.to_tensors(training.parameters),
        **corrections_.to_tensors(training.corrections),
        "generator": training.generator.get_state(),
        "queue": torch.tensor(training.queue, dtype=torch.int64),
        "step": torch.tensor(training.step),
        "seconds": torch.tensor(training.clock.seconds(), dtype=torch.float64),
    }


def from_tensors(tensors: dict[str, Tensor]) -> Training:
    """The inverse of `to_tensors`; KeyError names what a checkpoint lacks."""
    generator = Generator()
    generator.set_state(tensors["generator"])
    return Training(
        parameters.from_tensors(tensors),
        corrections_.from_tensors(tensors),
        generator,
        tensors["queue"].tolist(),
        int(tensors["step"]),
        Clock(float(tensors["seconds"])),
    )


def run(training: Training, setting: Setting) -> Iterator[Report]:
    """Train until the horizon, giving a report after every step.

    The same `training` state and a horizon in steps give the same splats bit for bit, for any
    number of threads. The clock runs between reports too: what the caller does counts, unless it
    pauses `training.clock`.
    """
    work = step_.new_workspace()
    targets, divisor = [], 0
    training.clock.run()
    while True:
        fraction = setting.horizon.fraction(training.step, training.clock.seconds())
        if fraction >= 1:
            break
        if schedule.divisor_at(setting.config, fraction) != divisor:
            divisor = schedule.divisor_at(setting.config, fraction)
            targets = make_targets(
                setting.photos,
                divisor,
                setting.background,
                keep_alpha=setting.random_background,
            )
        photo = _next_photo(training, len(targets))
        loss, psnr = _one_step(training, setting, work, targets[photo], photo, fraction)
        _change_set(training, setting.config, fraction)
        yield Report(
            training.step,
            loss,
            psnr,
            len(training.parameters),
            training.clock.seconds(),
            setting.horizon.fraction(training.step, training.clock.seconds()),
        )
    training.clock.pause()


def _next_photo(training: Training, count: int) -> int:
    if not training.queue:
        training.queue = torch.randperm(count, generator=training.generator).tolist()
    return training.queue.pop()


def _one_step(
    training: Training,
    setting: Setting,
    work: step_.Workspace,
    target: step_.Target,
    photo: int,
    fraction: float,
) -> tuple[float, float | None]:
    config, params, fixes = setting.config, training.parameters, training.corrections
    degree = schedule.degree_at(config, fraction)
    rates = schedule.rates_at(config, fraction, setting.reach)
    background = corrections_.background(fixes, setting.background)
    if setting.random_background:
        target, background = over_random(target, training.generator)
    camera = target.camera
    if config.refine_poses:
        camera = corrections_.corrected(camera, fixes, photo)

    step_.render(work, params, camera, degree, background)
    exposure = fixes.exposures[photo] if config.exposure else None
    loss, v_exposure = step_.compare(work, target, config.ssim_weight, exposure)
    v_view = torch.zeros(3, 4) if config.refine_poses else None
    step_.backward(work, params, camera, degree, v_view)

    training.step += 1
    psnr = step_.psnr(work, target, exposure) if training.step % PSNR_EVERY == 0 else None
    step_.update(
        work,
        params,
        rates,
        training.step,
        opacity_reg=config.opacity_reg,
        scale_reg=config.scale_reg / setting.reach,
    )
    fall = config.lr_end**fraction
    fixes.visits[photo] += 1
    if v_exposure is not None:
        corrections_.update_exposure(fixes, photo, v_exposure, config.lr_exposure * fall)
    if v_view is not None:
        corrections_.update_pose(fixes, photo, v_view, config.lr_poses * fall, setting.reach)
    if setting.learn_background:
        v_background = step_.background_gradient(work)
        lr = config.lr_background * fall
        corrections_.update_background(fixes, setting.background, v_background, lr, training.step)
    if fraction < config.densify_until:
        densify.add_noise(params, config.noise * rates.means, training.generator)
    return loss, psnr


def _change_set(training: Training, config: SplatConfig, fraction: float) -> None:
    """Relocation and growth, every few steps."""
    if training.step % config.densify_every or fraction >= config.densify_until:
        return
    params = training.parameters
    weights = params.values["opacity_logits"].sigmoid()
    densify.relocate(params, weights, config.min_opacity, training.generator)
    room = config.max_splats - len(params)
    count = min(room, int(config.growth * len(params)))
    weights = params.values["opacity_logits"].sigmoid()
    densify.grow(params, weights, count, config.min_opacity, training.generator)
