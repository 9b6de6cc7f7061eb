"""A step of training: draw rays, render, compare, update."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Generator, Tensor

from tondo.data.field import (
    AnyField,
    DctEncoding,
    Field,
    FrequencyField,
    Marching,
    Space,
    arrays_of,
    with_arrays,
)
from tondo.kernels.adam import adam_touched_, adam_visible_
from tondo.kernels.adam_torch import AdamStep
from tondo.kernels.fields.frequency import half_products
from tondo.kernels.fields.occupancy import remember_samples_
from tondo.kernels.fields.occupancy_torch import MemoryRule
from tondo.kernels.fields.rays import RayPictures, Tape, ends_of, render_rays
from tondo.nerf.bounds import first_field, range_of
from tondo.nerf.occupancy import forget_, look_again, rule_of, rule_with
from tondo.nerf.options import NerfOptions
from tondo.nerf.patches import SIDE, Patches, bends_of, draw_patches
from tondo.nerf.ray_batches import (
    Drawn,
    Pixels,
    Rays,
    draw_rows,
    first_errors,
    learn_errors,
    rays_at,
)
from tondo.runs.events import Step
from tondo.runs.horizon import Clock, Horizon
from tondo.runs.method import Background, Report

# Of a step, until the samples a ray are known; bounds memory; chosen, not measured.
FIRST_RAYS, FEWEST_RAYS, MOST_RAYS = 256, 64, 32_768
BETA1, EPS = 0.9, 1e-15  # Kingma and Ba 2015; eps of Mueller et al. 2022 (Instant NGP), section 4
_STORED = ("exposures", "exposure_moments", "background", "background_moments", "errors")
CENTER = 0.1  # share of the way by which the mean exposure goes back to none at each step


@dataclass
class TrainState:
    """Everything that a training changes.

    Attributes:
        field: the field as it stands, its space's occupied cells included.
        moments: Adam's two for each of the field's arrays (`data.field.arrays_of`).
        densities: [C, C, C] remembered density of each cell, per world unit.
        exposures: [N, 3, 4] of the photos: colour in a photo = exposures @ (r, g, b, 1).
        exposure_moments: [2, N, 3, 4].
        background: [3] 0..1, behind everything; background_moments: [2, 3].
        errors: of the photos' pixels, as remembered (`nerf.pixels.learn_errors`).
        rng: the only source of random numbers.
        rays: how many the next step draws.
        recovered: how often the occupied cells had run out.
        drawn: place in the order of pixels (`even_rows`) from which the next step draws.
        rule: by which cells remember until they are looked at again.
    """

    field: AnyField
    moments: dict[str, tuple[Tensor, Tensor]]
    densities: Tensor
    exposures: Tensor
    exposure_moments: Tensor
    background: Tensor
    background_moments: Tensor
    errors: Tensor
    rng: Generator
    rays: int = FIRST_RAYS
    step: int = 0
    recovered: int = 0
    drawn: int = 0
    rule: MemoryRule | None = None
    clock: Clock = dataclasses.field(default_factory=Clock)


@dataclass(frozen=True)
class TrainInputs:
    """What a training is given and does not change.

    Attributes:
        pixels: of the training photos.
        config, horizon: how and how long.
        space: where the field is, all its cells occupied.
        marching: how rays are sampled.
        background: behind the scene; random for every ray, learned only for photos without
            transparency.
        exposure: fit a colour correction per photo.
    """

    pixels: Pixels
    config: NerfOptions
    horizon: Horizon
    space: Space
    marching: Marching
    background: Background
    exposure: bool = False


def begin(inputs: TrainInputs, photos: int, seed: int) -> TrainState:
    """A training at step 0, of `photos` photos."""
    rng = Generator().manual_seed(seed)
    own = replace(inputs.space, occupied=inputs.space.occupied.clone())  # changes in place
    first = first_field(own, inputs.config, rng)
    zeros = torch.zeros_like
    return TrainState(
        first,
        {name: (zeros(x), zeros(x)) for name, x in arrays_of(first).items()},
        torch.zeros(inputs.space.occupied.shape),
        torch.eye(3, 4).expand(photos, 3, 4).clone(),
        torch.zeros(2, photos, 3, 4),
        inputs.background.color.clone(),
        torch.zeros(2, 3),
        first_errors(inputs.pixels),
        rng,
        drawn=int(torch.randint(len(inputs.pixels.colors), (1,), generator=rng)),
    )


def advance(t: TrainState, inputs: TrainInputs, tape: Tape, fraction: float) -> Report:
    """One step, `fraction` of the training being over.

    The same `t` and a horizon in steps give the same field bit for bit, for any number of native
    threads (of a `FrequencyField`, for the same number) and one of torch's.

    Args:
        tape: is kept from step to step.
    """
    note = None
    if t.step % inputs.config.sampling.occupancy_every == 0:
        note = _look_again(t, inputs)
    loss, mean_square = _one_step(t, inputs, tape, fraction)
    seconds = t.clock.seconds()
    event = Step(t.step, loss, psnr_of(mean_square), None, seconds)
    return Report(event, inputs.horizon.fraction(t.step, seconds), note)


def _look_again(t: TrainState, inputs: TrainInputs) -> str | None:
    """Look where rays do not, and start anew, and say so, where nothing is left to look at."""
    if isinstance(t.field, FrequencyField):  # its coarse network tells where to look
        return None
    space = t.field.space
    if t.step == 0:
        forget_(t.field, t.densities, t.rng)
    t.rule = rule_of(space, t.densities, inputs.marching)
    look_again(t.field, inputs.marching, t.rule, t.densities, t.rng)
    if bool(space.occupied.any()):
        return None
    t.recovered += 1  # nothing could be learned any more: begin to look again
    forget_(t.field, t.densities, t.rng)
    t.rule = None  # cells are not judged before something can have been learned
    return "every cell of the field had become empty: looking everywhere again"


def _one_step(
    t: TrainState, inputs: TrainInputs, tape: Tape, fraction: float
) -> tuple[float, float]:
    config = inputs.config
    bend_weight = config.smoothness.weight_at(fraction)
    drawn, patches, offsets = _drawn(t, inputs, with_patches=bend_weight > 0)
    rays = rays_at(inputs.pixels, drawn.rows)
    background = t.background.clone().requires_grad_(inputs.background.is_learned)
    behind = background.expand(len(rays.photo), 3)
    if inputs.background.is_random:
        behind = torch.rand(len(rays.photo), 3, generator=t.rng)
    _set_band(t, config, fraction)
    learned = with_arrays(
        t.field,
        {name: x.detach().requires_grad_(True) for name, x in arrays_of(t.field).items()},
    )
    exposures = t.exposures.clone().requires_grad_(inputs.exposure)
    found = _rendered(learned, inputs, rays, offsets, tape)
    truth = rays.colors
    if inputs.pixels.alphas is not None:
        truth = truth * rays.alphas[:, None] + behind * (1 - rays.alphas)[:, None]
    seen = partial(_as_in_photos, behind=behind, exposures=exposures if inputs.exposure else None)
    shown = seen(found.colors, found.opacities, rays.photo)
    squares = (shown - truth).square().mean(dim=1)
    loss = mean_square = (drawn.counts * squares).mean()
    if found.coarse is not None:
        coarse = (seen(*found.coarse, rays.photo) - truth).square().mean(dim=1)
        loss = loss + (drawn.counts * coarse).mean()
    if config.distortion.weight:
        until, steps = config.distortion.until, config.distortion.steps
        risen = min(1.0, fraction / until, t.step / steps)
        loss = loss + config.distortion.weight * risen * found.distortions.mean()
    if patches is not None:
        loss = loss + bend_weight * bends_of(patches, rays, found, learned.space.radius)
    learning = arrays_of(learned)
    learning |= {"exposures": exposures} if inputs.exposure else {}
    learning |= {"background": background} if inputs.background.is_learned else {}
    grads = dict(zip(learning, torch.autograd.grad(loss, list(learning.values())), strict=True))
    t.step += 1
    if t.rule is not None:
        remember_samples_(t.field.space, inputs.marching, t.rule, t.densities, tape)
    if config.sampling.by_error > 0:
        learn_errors(t.errors, drawn.rows, squares.detach())
    _update(t, config, grads, fraction)
    # what was computed: of the native pass more than what counts, which ends where light does
    taken = tape.native.samples if found.coarse is None else int(found.samples.sum())
    wanted = t.rays * config.rates.batch / max(1, taken)
    t.rays = int(min(MOST_RAYS, 2 * t.rays, max(FEWEST_RAYS, t.rays // 2, wanted)))
    return loss.item(), mean_square.item()


def _drawn(
    t: TrainState, inputs: TrainInputs, *, with_patches: bool
) -> tuple[Drawn, Patches | None, Tensor]:
    """The step's pixels, the last of them in patches, and the offsets [R] of their rays' samples.
    All rays of a patch have one: from ray to ray it would move their depths."""
    config = inputs.config
    count = int(with_patches) * math.ceil(config.smoothness.share * t.rays / SIDE**2)
    single = max(1, t.rays - count * SIDE**2)
    # The first pixels of the patches come in turn with the others.
    first, share = single + count, config.sampling.by_error
    drawn = draw_rows(inputs.pixels, t.drawn, first, t.rng, t.errors, share)
    t.drawn += drawn.in_turn
    offsets = torch.rand(first, generator=t.rng)
    if not count:
        return drawn, None, offsets
    patches = draw_patches(inputs.pixels, drawn.rows[single:], config.smoothness.spacing, t.rng)
    rows = torch.cat([drawn.rows[:single], patches.rows.flatten()])
    counts, offsets = (
        torch.cat([x[:single], x[single:].repeat_interleave(SIDE**2)])
        for x in (drawn.counts, offsets)
    )
    return Drawn(rows, counts, drawn.in_turn), patches, offsets


def _as_in_photos(
    colors: Tensor, opacities: Tensor, photo: Tensor, behind: Tensor, exposures: Tensor | None
) -> Tensor:
    """[R, 3] of rays of the photos `photo` [R]: before `behind` [R, 3], by `exposures`."""
    color = colors + (1 - opacities)[:, None] * behind
    if exposures is None:
        return color
    E = exposures[photo]
    return (E[..., :3] @ color[:, :, None]).squeeze(2) + E[..., 3]


def _set_band(t: TrainState, config: NerfOptions, fraction: float) -> None:
    """Which frequencies of cosines are in use by now."""
    if isinstance(t.field, Field) and isinstance(t.field.encoding, DctEncoding):
        encoding = replace(t.field.encoding, band=config.dct.band_at(fraction))
        t.field = replace(t.field, encoding=encoding)


def _rendered(
    learned: AnyField, inputs: TrainInputs, rays: Rays, offsets: Tensor, tape: Tape
) -> RayPictures:
    space = learned.space
    ends = ends_of(space, rays.origins, rays.directions, *range_of(space))
    with half_products(learned):
        return render_rays(
            learned,
            rays.origins,
            rays.directions,
            ends,
            inputs.marching,
            offsets=offsets,
            tape=tape,
        )


def _update(t: TrainState, config: NerfOptions, grads: dict[str, Tensor], fraction: float) -> None:
    """One step of Adam for tables, networks, exposures and background."""
    how = config.rates
    fall = how.end ** max(0.0, (fraction - (1 - how.decay)) / how.decay)
    rate = min(1.0, t.step / how.warm_up) * fall
    rates = {"weights": how.heads, "coarse": how.networks, "fine": how.networks}
    for name, values in arrays_of(t.field).items():
        lr = rate * rates.get(name, how.tables)
        adam = AdamStep(lr, BETA1, how.beta2, EPS, t.step)
        first, second = t.moments[name]
        if name == "tables":
            adam_touched_(values, grads[name], first, second, adam)
            continue
        now, grad, first, second = (
            x.view(-1, x.shape[-1]) if x.dim() > 1 else x[None]
            for x in (values, grads[name].contiguous(), first, second)
        )
        every = torch.ones(len(now), dtype=torch.bool)
        adam_visible_(now, grad, first, second, every, adam)
    if "exposures" in grads:
        towards = _adam(t.exposure_moments, grads["exposures"], how.beta2, t.step)
        t.exposures -= fall * how.exposure * towards
        t.exposures -= CENTER * (t.exposures.mean(dim=0) - torch.eye(3, 4))
    if "background" in grads:
        towards = _adam(t.background_moments, grads["background"], how.beta2, t.step)
        t.background = (t.background - fall * how.background * towards).clamp(0, 1)


def _adam(moments: Tensor, grad: Tensor, beta2: float, step: int) -> Tensor:
    """Where a step of Adam goes, at rate 1; its two `moments` [2, ...] follow `grad`, in place."""
    first, second = moments
    first.lerp_(grad, 1 - BETA1)
    second.lerp_(grad.square(), 1 - beta2)
    return first / (1 - BETA1**step) / ((second / (1 - beta2**step)).sqrt() + 1e-12)


def psnr_of(mean_square: float) -> float:
    """dB of a mean squared error of values 0..1."""
    return -10 * math.log10(max(mean_square, 1e-12))


def to_tensors(t: TrainState) -> dict[str, Tensor]:
    """All of a training's state as tensors, for a checkpoint."""
    tensors = dict(arrays_of(t.field))
    for name, (mean, square) in t.moments.items():
        tensors |= {f"{name}.mean": mean, f"{name}.square": square}
    return {
        **tensors,
        "occupied": t.field.space.occupied,
        "remembered": t.densities,
        **{name: getattr(t, name) for name in _STORED},
        "rng": t.rng.get_state(),
        "numbers": torch.tensor([t.rays, t.step, t.recovered, t.drawn]),
        "least": torch.tensor(-1.0 if t.rule is None else t.rule.least, dtype=torch.float64),
        "seconds": torch.tensor(t.clock.seconds(), dtype=torch.float64),
    }


def from_tensors(tensors: dict[str, Tensor], inputs: TrainInputs) -> TrainState:
    """The inverse of `to_tensors`; KeyError names what a checkpoint lacks, ValueError what does not
    fit the inputs."""
    t = begin(inputs, len(tensors["exposures"]), 0)
    found = {name: _like(own, tensors[name]) for name, own in arrays_of(t.field).items()}
    space = replace(t.field.space, occupied=_like(t.field.space.occupied, tensors["occupied"]))
    t.field = replace(with_arrays(t.field, found), space=space)
    for name, (mean, square) in t.moments.items():
        mean = _like(mean, tensors[f"{name}.mean"])
        t.moments[name] = (mean, _like(square, tensors[f"{name}.square"]))
    t.densities = _like(t.densities, tensors["remembered"])
    for name in _STORED:
        setattr(t, name, _like(getattr(t, name), tensors[name]))
    t.rng.set_state(tensors["rng"])
    numbers = _like(torch.zeros(4, dtype=torch.int64), tensors["numbers"])
    t.rays, t.step, t.recovered, t.drawn = numbers.tolist()
    least = float(tensors["least"])
    t.rule = rule_with(space, least) if least >= 0 else None
    t.clock = Clock(float(tensors["seconds"]))
    return t


def _like(own: Tensor, found: Tensor) -> Tensor:
    if own.shape != found.shape or own.dtype != found.dtype:
        raise ValueError(f"expected {list(own.shape)} {own.dtype}, got {list(found.shape)}")
    return found.clone()
