"""The training step: G makes objects, cameras render them, D classifies, both learn."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tondo.gan.files.adapters import add_adapters
from tondo.gan.networks.discriminator import (
    GROUP,
    Discriminator,
    PlainDiscriminator,
    ProjectedDiscriminator,
    logits_of_both,
)
from tondo.gan.networks.generator import Generator
from tondo.gan.networks.latent_mixture import KEPT, LatentBuffer
from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.networks.skin import Skins
from tondo.gan.networks.skin_network import FIRST_RADIUS
from tondo.gan.objects.geometry_loss import geometry_loss
from tondo.gan.objects.render import make_objects, render, take_first
from tondo.gan.options import Adversarial, Augmentation, Schedule, TrainOptions
from tondo.gan.training.augment import augmented, blurred, next_strength
from tondo.gan.training.autoencoder import PhotoEncoder
from tondo.gan.training.initial_shape import body_radii
from tondo.gan.training.losses import gradient_penalty, loss_named
from tondo.gan.training.reconstruction import (
    CameraCandidates,
    Photos,
    camera_candidates,
    encode_photos,
    reconstruction_loss,
    render_photos,
    reweighted_priors,
)
from tondo.gan.training.state import (
    CameraEstimates,
    TrainInputs,
    TrainState,
    known_cameras,
    real_images,
    with_coverage,
)
from tondo.geometry.pose_prior import Cameras, draw_cameras
from tondo.kernels.fields.tri_planes_torch import Planes
from tondo.runs import distributed
from tondo.runs.events import GanStep

AUGMENT_EVERY = 4  # steps between changes of p (Karras et al. 2020, ADA, section 3.2)
W_MEAN_RATE = 0.005  # w's moving mean keeps 0.995 a step (Karras et al. 2019, StyleGAN's code)


def begin(inputs: TrainInputs, shape: GeneratorShape, seed: int) -> TrainState:
    """A training at step 0. The same seed gives the same networks and the same course."""
    options = inputs.options
    distributed.check_batch(options.schedule.batch, options.schedule.accumulate, GROUP)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        G = _first_generator(inputs, shape)
        D = _new_discriminator(inputs, shape)
        photo_encoder = _new_photo_encoder(inputs, shape)
    for network in filter(None, (G, D, photo_encoder)):
        network.to(inputs.device)
    rng = torch.Generator().manual_seed(seed)
    some = real_images(inputs, torch.randint(len(inputs.pictures.images), (64,), generator=rng))
    if isinstance(D, ProjectedDiscriminator):
        D.calibrate(some)
    if photo_encoder is not None:
        photo_encoder.calibrate(some)
    G_ema = copy.deepcopy(G).requires_grad_(False)
    adversarial = options.adversarial
    betas = (adversarial.beta1, adversarial.beta2)
    trained = [p for p in D.parameters() if p.requires_grad]
    return TrainState(
        G,
        D,
        G_ema,
        optimiser_of_g(G, photo_encoder, options, adversarial.beta1),
        torch.optim.Adam(trained, adversarial.lr_d, betas, eps=1e-8, fused=True),
        rng,
        CameraEstimates.none(len(inputs.pictures.images)),
        LatentBuffer(torch.zeros(KEPT, shape.z)),
        augment_p=options.augmentation.strength,
        photo_encoder=photo_encoder,
    )


def _first_generator(inputs: TrainInputs, shape: GeneratorShape) -> Generator:
    if inputs.base is None:
        G = Generator(shape)
        radii = body_radii(inputs.pictures)
        if radii is not None and G.skin_network is not None:
            with torch.no_grad():
                G.skin_network.axes.copy_((radii / FIRST_RADIUS).log())
        return G
    G = copy.deepcopy(inputs.base).requires_grad_(True).train()
    if inputs.options.lora:
        add_adapters(G, inputs.options.lora)
    return G


def to_train(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that training changes, in the order in which checkpoints hold their moments:
    those that no layer of the skin's network has come first."""
    skin = getattr(module, "skin_network", None)
    first = [] if skin is None else list(skin.parameters(recurse=False))
    rest = [one for one in module.parameters() if all(one is not other for other in first)]
    return [parameter for parameter in (*first, *rest) if parameter.requires_grad]


def optimiser_of_g(
    G: Generator, photo_encoder: PhotoEncoder | None, options: TrainOptions, beta1: float
) -> torch.optim.Adam:
    """Adam over what makes pictures: the generator, and the encoder where there is one."""
    rates = ((G, options.adversarial.lr_g), (photo_encoder, options.autoencoder.lr_encoder))
    groups = [{"params": to_train(x), "lr": lr} for x, lr in rates if x is not None]
    return torch.optim.Adam(groups, betas=(beta1, options.adversarial.beta2), fused=True)


def _new_discriminator(inputs: TrainInputs, shape: GeneratorShape) -> Discriminator:
    with_cameras = inputs.camera_angles is not None
    with_alpha = inputs.pictures.with_alpha
    if inputs.options.adversarial.discriminator == "plain":
        return PlainDiscriminator(shape.size, with_cameras=with_cameras, with_alpha=with_alpha)
    return ProjectedDiscriminator(
        inputs.extractor, shape.size, with_cameras=with_cameras, with_alpha=with_alpha
    )


def _new_photo_encoder(inputs: TrainInputs, shape: GeneratorShape) -> PhotoEncoder | None:
    """Cameras that are not known are looked for if all stood on one side, and drawn if not."""
    if inputs.options.autoencoder.reconstruction_weight == 0:
        return None
    if inputs.camera_angles is not None:
        return PhotoEncoder(inputs.extractor, shape.size, shape.z)
    where = inputs.priors[0] if inputs.one_side is not None else None
    return PhotoEncoder(
        inputs.extractor,
        shape.size,
        shape.z,
        where,
        with_cameras=False,
        side=2,
        mirror=shape.mirror,
    )


def set_rates(state: TrainState, options: TrainOptions, rollbacks: int, share: float) -> None:
    """Adam's rates after `share` 0..1 of the training: half for every setback."""
    encoder = [options.autoencoder.lr_encoder] if state.photo_encoder else []
    rates = [options.adversarial.lr_g, *encoder, options.adversarial.lr_d]
    for group, rate in zip(
        [*state.opt_g.param_groups, *state.opt_d.param_groups], rates, strict=True
    ):
        group["lr"] = rate * 0.5**rollbacks * options.schedule.rate_after(share)


class Draws(NamedTuple):
    """What a step draws at random: rows of the photographs [B], cameras [B], z [B, Z], and cameras
    [B, T] that may have taken the photographs (`camera_candidates`)."""

    rows: Tensor
    cameras: Cameras
    z: Tensor
    candidates: CameraCandidates

    def map(self, change: Callable[[Tensor], Tensor]) -> Draws:
        cameras = Cameras(*map(change, self.cameras))
        return Draws(change(self.rows), cameras, change(self.z), self.candidates.map(change))

    def on(self, device: torch.device) -> Draws:
        """With everything but the rows on `device`."""
        return self.map(lambda x: x.to(device))._replace(rows=self.rows)


class Forward(NamedTuple):
    """A forward pass up to the trained part of D.

    Attributes:
        fake, real: D's `features` of generated pictures, with G's gradients, and of photographs.
        angles_fake, angles_real: [B, 3] of their cameras, where those of photographs are known.
        objects: G's. reconstruction: loss of those that are of photographs' codes, 0 if none are.
        codes: [up to B / 2, Z] their z.
    """

    fake: list[Tensor]
    real: list[Tensor]
    angles_fake: Tensor | None
    angles_real: Tensor | None
    objects: Skins | Planes
    reconstruction: Tensor
    codes: Tensor


def one_step(state: TrainState, inputs: TrainInputs) -> GanStep:
    """One step of D and one of G, on the same generated objects.

    With `accumulate` n both gradients are sums over n parts of the batch, one in memory at a time.
    """
    schedule = inputs.options.schedule
    draws = _draw(state, inputs).map(partial(distributed.shard, groups=GROUP)).on(inputs.device)
    with torch.no_grad():
        w = state.G.styles(draws.z)
        state.G.w_mean.lerp_(distributed.mean_of(w.mean(dim=0)), W_MEAN_RATE)
    count = schedule.accumulate
    microbatches = [
        draws.map(partial(distributed.microbatch, groups=GROUP, index=k, count=count))
        for k in range(count)
    ]
    forward = _forward(state, inputs, microbatches[0]) if count == 1 else None
    statistics_d, grad_d = _step_d(state, inputs, microbatches, forward)
    loss_g, grad_g = _step_g(state, inputs, microbatches, forward)

    state.step += 1
    state.pictures += schedule.batch
    _average(state, schedule)
    means = distributed.mean_of(torch.cat([statistics_d, loss_g[None]])).tolist()
    loss_d, real, fake, sign_on_real, loss_g_mean = means
    _adapt(state, inputs.options, sign_on_real)
    return GanStep(
        step=state.step,
        pictures=state.pictures,
        loss_d=loss_d,
        loss_g=loss_g_mean,
        real=real,
        fake=fake,
        grad_d=grad_d,
        grad_g=grad_g,
        augment_p=state.augment_p,
        seconds=state.clock.seconds(),
    )


def _draw(state: TrainState, inputs: TrainInputs) -> Draws:
    """The random numbers of the whole batch, of all processes."""
    count = inputs.options.schedule.batch
    rows = torch.tensor([_next_photo(state, inputs) for _ in range(count)])
    cameras = _cameras(state, inputs)
    z = torch.randn(count, state.G.shape.z, generator=state.rng)
    return Draws(rows, cameras, z, camera_candidates(state, inputs, rows))


def _forward(state: TrainState, inputs: TrainInputs, draws: Draws, for_g: bool = True) -> Forward:
    """What both networks learn from; without the reconstruction, of which G alone learns, if not
    `for_g`: running means and camera estimates then stay, and move once a step."""
    size = state.G.shape.size
    photographs = real_images(inputs, draws.rows)
    w = state.G.styles(draws.z)
    half = 0 if state.photo_encoder is None else len(w) // 2  # of the objects are photographs' own
    if half:
        assert state.photo_encoder is not None
        state.photo_encoder.train(for_g)
        own = encode_photos(state, inputs, draws.rows[:half], photographs[:half], draws.z[:half])
        w = torch.cat([own.w, w[half:]])
    objects = make_objects(state.G, w)
    background = state.G.render_background(w, size)
    rendered = render(objects, draws.cameras.viewmats, draws.cameras.Ks, background)
    fake = state.D.features(
        _for_d(state, inputs.options.augmentation, with_coverage(rendered, inputs))
    )
    with torch.no_grad():
        real = state.D.features(_for_d(state, inputs.options.augmentation, photographs))
    reconstruction, codes = w.new_zeros(()), w.new_zeros(0, state.G.shape.z)
    if half and for_g:
        codes = own.z
        assert state.photo_encoder is not None
        candidates = draws.candidates.map(lambda x: x[:half])
        photos = Photos(draws.rows[:half], photographs[:half], candidates)
        some = take_first(objects, half)
        again = render_photos(state, inputs, own, some, background[:half], photos)
        reconstruction = reconstruction_loss(
            state.photo_encoder, inputs, own.code, again, photos.images
        )
    known = known_cameras(inputs, draws.rows)
    if known is None:
        return Forward(fake, real, None, None, objects, reconstruction, codes)
    return Forward(fake, real, draws.cameras.angles, known.angles, objects, reconstruction, codes)


def _for_d(state: TrainState, augmentation: Augmentation, images: Tensor) -> Tensor:
    """Pictures as D gets them."""
    return augmented(
        blurred(images, images.shape[3] * augmentation.blur_after(state.pictures)),
        state.augment_p,
        state.rng,
    )


def _step_d(
    state: TrainState, inputs: TrainInputs, microbatches: list[Draws], forward: Forward | None
) -> tuple[Tensor, float]:
    """D's loss, mean logits on photographs and on generated pictures, and how sure it is of
    photographs, as a mean sign [4]; and the norm of its gradient."""
    state.opt_d.zero_grad(set_to_none=True)
    statistics = []
    for microbatch in microbatches:
        with torch.no_grad():
            now = forward or _forward(state, inputs, microbatch, for_g=False)
        total, numbers = _loss_d(state, inputs.options.adversarial, now)
        (total / len(microbatches)).backward()
        statistics.append(numbers)
    trained = state.opt_d.param_groups[0]["params"]
    distributed.average_gradients(trained)
    grad = float(nn.utils.clip_grad_norm_(trained, inputs.options.adversarial.max_grad_norm))
    state.opt_d.step()
    return torch.stack(statistics).mean(dim=0), grad


def _loss_d(state: TrainState, options: Adversarial, forward: Forward) -> tuple[Tensor, Tensor]:
    penalise = options.r1_weight > 0 and state.step % options.r1_every == 0
    real, fake = (
        [x.detach().requires_grad_(penalise) for x in features]
        for features in (forward.real, forward.fake)
    )
    chosen, angles = loss_named(options.loss), (forward.angles_real, forward.angles_fake)
    with parametrize.cached():  # spectral norms, once for all
        if chosen.compares:  # gradients of a bias cancel exactly when kept apart
            on_real, on_fake = state.D.logits(real, angles[0]), state.D.logits(fake, angles[1])
        else:
            on_real, on_fake = logits_of_both(state.D, real, fake, angles)
    loss = chosen.of_d(on_real, on_fake)
    # Where D only compares, its logits' zero means nothing
    sure = on_real - on_fake if chosen.compares else on_real
    numbers = torch.stack([loss, on_real.mean(), on_fake.mean(), sure.sign().mean()]).detach()
    if penalise:
        penalty = gradient_penalty(on_real, real)
        if options.loss == "relativistic":
            penalty = penalty + gradient_penalty(on_fake, fake)
        loss = loss + options.r1_weight * options.r1_every * penalty
    return loss, numbers


def _step_g(
    state: TrainState, inputs: TrainInputs, microbatches: list[Draws], forward: Forward | None
) -> tuple[Tensor, float]:
    """G's loss without the geometry's terms, and the norm of its gradient."""
    options = inputs.options
    _require(state, False)
    state.opt_g.zero_grad(set_to_none=True)
    statistics, codes = [], []
    chosen = loss_named(options.adversarial.loss)
    for microbatch in microbatches:
        now = forward or _forward(state, inputs, microbatch)
        on_fake = state.D.logits(now.fake, now.angles_fake)
        on_real = torch.zeros_like(on_fake)
        if chosen.compares:
            with torch.no_grad():
                on_real = state.D.logits(now.real, now.angles_real)
        loss = chosen.of_g(on_real, on_fake)
        whole = loss + geometry_loss(now.objects, options.geometry, inputs.one_side)
        whole = whole + options.autoencoder.reconstruction_weight * now.reconstruction
        (whole / len(microbatches)).backward()
        statistics.append(loss.detach())
        codes.append(now.codes)
    trained = [parameter for group in state.opt_g.param_groups for parameter in group["params"]]
    distributed.average_gradients(trained)
    grad = float(nn.utils.clip_grad_norm_(trained, inputs.options.adversarial.max_grad_norm))
    state.opt_g.step()
    if len(codes[0]) and state.latent_buffer.add(distributed.all_gather(torch.cat(codes)).cpu()):
        state.G.update_mixture(state.latent_buffer.all)
    _require(state, True)
    return torch.stack(statistics).mean(), grad


def _next_photo(state: TrainState, inputs: TrainInputs) -> int:
    if not state.queue:
        state.queue = torch.randperm(len(inputs.pictures.images), generator=state.rng).tolist()
    return state.queue.pop()


def _cameras(state: TrainState, inputs: TrainInputs) -> Cameras:
    count = inputs.options.schedule.batch
    if inputs.camera_angles is None:
        return draw_cameras(reweighted_priors(state, inputs), count, state.G.shape.size, state.rng)
    rows = torch.randint(len(inputs.pictures.images), (count,), generator=state.rng)
    known = known_cameras(inputs, rows)
    assert known is not None
    return known


def _require(state: TrainState, wanted: bool) -> None:
    """Gradients of D's trained parameters on or off."""
    for parameter in state.opt_d.param_groups[0]["params"]:
        parameter.requires_grad_(wanted)


@torch.no_grad()
def _average(state: TrainState, schedule: Schedule) -> None:
    """G_ema follows G with a half-life in pictures, shorter at the start."""
    half_life = min(schedule.ema_kimg * 1000, 0.1 * state.pictures + 1)
    keep = 0.5 ** (schedule.batch / half_life)
    for mean, now in zip(state.G_ema.parameters(), state.G.parameters(), strict=True):
        mean.lerp_(now, 1 - keep)
    for kept, fresh in zip(state.G_ema.buffers(), state.G.buffers(), strict=True):
        kept.copy_(fresh)


def _adapt(state: TrainState, options: TrainOptions, sign_on_real: float) -> None:
    augmentation = options.augmentation
    if augmentation.augment != "adaptive":
        return
    state.signs.append(sign_on_real)
    if len(state.signs) == AUGMENT_EVERY:
        sign = sum(state.signs) / len(state.signs)
        pictures = AUGMENT_EVERY * options.schedule.batch
        state.augment_p = next_strength(state.augment_p, sign, augmentation.target, pictures)
        state.signs.clear()
