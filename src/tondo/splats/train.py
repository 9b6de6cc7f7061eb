"""A step of training: render, compare, update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from tondo.data.photos import Photo
from tondo.data.splats import Splats
from tondo.runs.events import Step
from tondo.runs.horizon import Clock, Horizon
from tondo.runs.method import Background, Report
from tondo.splats import densify, parameters, schedule
from tondo.splats import per_photo as corrections_
from tondo.splats import step as step_
from tondo.splats.options import SplatOptions
from tondo.splats.parameters import Parameters
from tondo.splats.per_photo import Corrections
from tondo.splats.targets import make_target

PSNR_EVERY = 25  # steps; chosen, not measured


@dataclass
class TrainState:
    """Everything that a training changes.

    Attributes:
        parameters: the splats and their moments.
        corrections: exposure and pose per training photo.
        rng: the only source of random numbers.
        queue: photos still to come in this round, as indices, last first.
        step: steps done.
        clock: training time.
    """

    parameters: Parameters
    corrections: Corrections
    rng: Generator
    queue: list[int] = field(default_factory=list)
    step: int = 0
    clock: Clock = field(default_factory=Clock)


@dataclass(frozen=True)
class TrainInputs:
    """What a training is given and does not change.

    Attributes:
        photos: the training photos.
        config, horizon: how and how long, all of it decided (`splats.options.suited`).
        background: behind the scene; learned only for photos without alpha.
        reach: the scene's length unit, world units.
        exposure: fit a colour correction per photo.
    """

    photos: Sequence[Photo]
    config: SplatOptions
    horizon: Horizon
    background: Background
    reach: float
    exposure: bool = True


def begin(splats: Splats, photos: Sequence[Photo], seed: int) -> TrainState:
    """A training at step 0."""
    rng = Generator().manual_seed(seed)
    return TrainState(parameters.start(splats), corrections_.start(photos), rng)


def to_tensors(state: TrainState) -> dict[str, Tensor]:
    """All of a training's state as tensors, for a checkpoint."""
    return {
        **parameters.to_tensors(state.parameters),
        **corrections_.to_tensors(state.corrections),
        "generator": state.rng.get_state(),
        "queue": torch.tensor(state.queue, dtype=torch.int64),
        "step": torch.tensor(state.step),
        "seconds": torch.tensor(state.clock.seconds(), dtype=torch.float64),
    }


def from_tensors(tensors: dict[str, Tensor]) -> TrainState:
    """The inverse of `to_tensors`; KeyError names what a checkpoint lacks."""
    rng = Generator()
    rng.set_state(tensors["generator"])
    return TrainState(
        parameters.from_tensors(tensors),
        corrections_.from_tensors(tensors),
        rng,
        tensors["queue"].tolist(),
        int(tensors["step"]),
        Clock(float(tensors["seconds"])),
    )


def advance(
    state: TrainState, inputs: TrainInputs, work: step_.Workspace, fraction: float
) -> Report:
    """One step, `fraction` of the training being over.

    The same `state` and a horizon in steps give the same splats bit for bit, for any number of
    threads.
    """
    loss, psnr = _one_step(state, inputs, work, fraction)
    _change_set(state, inputs.config, fraction)
    seconds = state.clock.seconds()
    event = Step(state.step, loss, psnr, len(state.parameters), seconds)
    return Report(event, inputs.horizon.fraction(state.step, seconds))


def _next_photo(state: TrainState, count: int) -> int:
    if not state.queue:
        state.queue = torch.randperm(count, generator=state.rng).tolist()
    return state.queue.pop()


def _compares_normals(config: SplatOptions, step: int, fraction: float) -> bool:
    loss = config.loss
    now = fraction >= loss.normals_from and step % loss.normals_every == 0
    return now and loss.normals > 0


def _one_step(
    state: TrainState, inputs: TrainInputs, work: step_.Workspace, fraction: float
) -> tuple[float, float | None]:
    config, params, fixes = inputs.config, state.parameters, state.corrections
    photo = _next_photo(state, len(inputs.photos))
    degree = schedule.degree_at(config, fraction)
    rates = schedule.rates_at(config, fraction, inputs.reach)
    background = corrections_.background(fixes, inputs.background.color)
    if inputs.background.is_random:
        background = torch.rand(3, generator=state.rng)
    divisor = schedule.divisor_at(config, fraction)
    target = make_target(inputs.photos[photo], divisor, background)
    camera = target.camera
    if config.refine_poses:
        camera = corrections_.corrected(camera, fixes, photo)

    with_planes = _compares_normals(config, state.step, fraction)
    step_.render(work, params, camera, degree, background, with_planes=with_planes)
    exposure = fixes.exposures[photo] if inputs.exposure else None
    loss, v_exposure = step_.compare(work, target, config.loss.ssim, exposure)
    if with_planes:
        weight = config.loss.normals * config.loss.normals_every
        step_.compare_normals(work, camera, weight)
    v_view = torch.zeros(3, 4) if config.refine_poses else None
    step_.backward(work, params, camera, degree, v_view)

    state.step += 1
    psnr = step_.psnr(work, target, exposure) if state.step % PSNR_EVERY == 0 else None
    step_.update(
        work,
        params,
        rates,
        state.step,
        opacity_reg=config.loss.opacity,
        scale_reg=config.loss.scale / inputs.reach,
    )
    fall = config.rates.end**fraction
    fixes.visits[photo] += 1
    if v_exposure is not None:
        corrections_.update_exposure(fixes, photo, v_exposure, config.rates.exposure * fall)
    if v_view is not None:
        corrections_.update_pose(fixes, photo, v_view, config.rates.poses * fall, inputs.reach)
    if inputs.background.is_learned:
        v_background = step_.background_gradient(work)
        lr = config.rates.background * fall
        corrections_.update_background(fixes, inputs.background.color, v_background, lr, state.step)
    if fraction < config.density.until:
        densify.add_noise(params, config.density.noise * rates.means, state.rng)
    return loss, psnr


def _change_set(state: TrainState, config: SplatOptions, fraction: float) -> None:
    """Relocation and growth, every few steps."""
    density, most = config.density, config.max_splats
    assert most is not None
    if state.step % density.every or fraction >= density.until:
        return
    params = state.parameters
    weights = params.values["opacity_logits"].sigmoid()
    densify.relocate(params, weights, density.min_opacity, state.rng)
    room = most - len(params)
    count = min(room, int(density.growth * len(params)))
    weights = params.values["opacity_logits"].sigmoid()
    densify.grow(params, weights, count, density.min_opacity, state.rng)
