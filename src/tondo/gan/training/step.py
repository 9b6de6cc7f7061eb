"""The training loop: G makes objects, cameras photograph them, D judges, both learn."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tondo.gan.config import GanConfig
from tondo.gan.files.adapters import add_adapters, merged
from tondo.gan.networks.discriminator import (
    GROUP,
    PlainDiscriminator,
    ProjectedDiscriminator,
    judge_both,
)
from tondo.gan.networks.generator import FIRST_RADIUS, Generator
from tondo.gan.networks.latent_mixture import KEPT, Lately
from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.networks.skin import Skins
from tondo.gan.objects.geometry_loss import geometry_loss
from tondo.gan.objects.render import first_of, objects_of, seen
from tondo.gan.training.augment import augmented, blurred, next_strength
from tondo.gan.training.autoencoder import Codes
from tondo.gan.training.initial_shape import body_radii
from tondo.gan.training.losses import gradient_penalty, loss_named
from tondo.gan.training.reconstruction import (
    Tries,
    priors_found,
    rebuilding,
    styles_of_photographs,
    tries_of,
)
from tondo.gan.training.state import Setting, Training, as_seen, known_cameras, reals
from tondo.geometry.pose_prior import Cameras, draw_cameras
from tondo.kernels.fields.tri_planes_torch import Planes
from tondo.runs import distributed

AUGMENT_EVERY = 4
W_MEAN_RATE = 0.005


@dataclass(frozen=True)
class StepReport:
    """One step: the losses, D's mean logits and the norms of the gradients."""

    step: int
    pictures: int
    loss_d: float
    loss_g: float
    real: float
    fake: float
    grad_d: float
    grad_g: float
    augment_p: float

    @property
    def finite(self) -> bool:
        values = (self.loss_d, self.loss_g, self.grad_d, self.grad_g)
        return all(math.isfinite(value) for value in values)


@dataclass(frozen=True)
class Watch:
    """How a training tells what it does: sentences; (stage, done, total) while pictures are
    prepared; every step, with the fraction of the training that is over and pictures a second."""

    note: Callable[[str], None] = lambda text: None
    stage: Callable[[str, int, int], None] = lambda stage, done, total: None
    step: Callable[[StepReport, float, float], None] = lambda report, fraction, rate: None


def begin(setting: Setting, shape: GeneratorShape, seed: int) -> Training:
    """A training at step 0. The same seed gives the same networks and the same course."""
    config = setting.config
    distributed.check_batch(config.batch, config.accumulate, GROUP)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        G = _first_generator(setting, shape)
        D = _new_discriminator(setting, shape)
        codes = _new_codes(setting, shape)
    for network in filter(None, (G, D, codes)):
        network.to(setting.device)
    chance = torch.Generator().manual_seed(seed)
    some = reals(setting, torch.randint(len(setting.pictures.images), (64,), generator=chance))
    if isinstance(D, ProjectedDiscriminator):
        D.calibrate(some)
    if codes is not None:
        codes.calibrate(some)
    G_ema = copy.deepcopy(G).requires_grad_(False)
    betas = (config.beta1, config.beta2)
    trained = [p for p in D.parameters() if p.requires_grad]
    return Training(
        G,
        D,
        G_ema,
        torch.optim.Adam(
            [
                {"params": to_train(x), "lr": lr}
                for x, lr in ((G, config.lr_g), (codes, config.lr_codes))
                if x
            ],
            betas=betas,
            fused=True,
        ),
        torch.optim.Adam(trained, config.lr_d, betas, eps=1e-8, fused=True),
        chance,
        torch.tensor([0.0, 0.0, 0.0, -1.0]).repeat(len(setting.pictures.images), 1),
        Lately(torch.zeros(KEPT, shape.z)),
        augment_p=config.augment_p,
        codes=codes,
    )


def _first_generator(setting: Setting, shape: GeneratorShape) -> Generator:
    if setting.base is None:
        G = Generator(shape)
        radii = body_radii(setting.pictures)
        if radii is not None and shape.representation == "splats":
            with torch.no_grad():
                G.axes.copy_((radii / FIRST_RADIUS).log())
        return G
    G = copy.deepcopy(setting.base.generator).requires_grad_(True).train()
    if setting.base.lora:
        add_adapters(G, setting.base.lora)
    return G


def to_train(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that training changes, in a fixed order."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def plain_generator(G: Generator) -> Generator:
    """`G` for use: frozen, with its adapters, if it has any, added into its weights."""
    return merged(G)


def _new_discriminator(
    setting: Setting, shape: GeneratorShape
) -> ProjectedDiscriminator | PlainDiscriminator:
    with_cameras = setting.camera_angles is not None
    with_alpha = setting.pictures.with_alpha
    if setting.config.discriminator == "plain":
        return PlainDiscriminator(shape.size, with_cameras=with_cameras, with_alpha=with_alpha)
    return ProjectedDiscriminator(
        setting.extractor, shape.size, with_cameras=with_cameras, with_alpha=with_alpha
    )


def _new_codes(setting: Setting, shape: GeneratorShape) -> Codes | None:
    """Cameras that are not known are looked for if all stood on one side, and drawn if not."""
    if setting.config.rebuild == 0:
        return None
    if setting.camera_angles is not None:
        return Codes(setting.extractor, shape.size, shape.z)
    where = setting.priors[0] if setting.one_side is not None else None
    return Codes(
        setting.extractor, shape.size, shape.z, where, told=False, side=2, mirror=shape.mirror
    )


def set_rates(t: Training, config: GanConfig, setbacks: int, share: float) -> None:
    """Adam's rates after `share` 0..1 of the training: half for every setback."""
    rates = [config.lr_g, *([config.lr_codes] if t.codes else []), config.lr_d]
    for group, rate in zip([*t.opt_g.param_groups, *t.opt_d.param_groups], rates, strict=True):
        group["lr"] = rate * 0.5**setbacks * config.rate_after(share)


class Drawn(NamedTuple):
    """The chance of one step: rows of the photographs [B], cameras [B], z [B, Z], and cameras
    [B, T] that may have taken the photographs (`tries_of`)."""

    rows: Tensor
    cameras: Cameras
    z: Tensor
    tries: Tries

    def map(self, change: Callable[[Tensor], Tensor]) -> Drawn:
        cameras = Cameras(*map(change, self.cameras))
        return Drawn(change(self.rows), cameras, change(self.z), self.tries.map(change))

    def on(self, device: torch.device) -> Drawn:
        """With everything but the rows on `device`."""
        return self.map(lambda x: x.to(device))._replace(rows=self.rows)


class Shown(NamedTuple):
    """What D looks at: `looks` of generated pictures, with G's gradients, and of photographs, with
    the angles of their cameras where these are known; the objects themselves; what the rebuilt ones
    lack and their codes cost, 0 if none were rebuilt; and their z, if any."""

    fake: list[Tensor]
    real: list[Tensor]
    angles_fake: Tensor | None
    angles_real: Tensor | None
    made: Skins | Planes
    unlike: Tensor
    codes: Tensor


def one_step(training: Training, setting: Setting) -> StepReport:
    """One step of D and one of G, on the same generated objects.

    With `accumulate` n both gradients are sums over n parts of the batch, one in memory at a time.
    """
    config, t = setting.config, training
    drawn = _draw(t, setting).map(partial(distributed.part, groups=GROUP)).on(setting.device)
    with torch.no_grad():
        w = t.G.styles(drawn.z)
        t.G.w_mean.lerp_(distributed.mean_of(w.mean(dim=0)), W_MEAN_RATE)
    count = config.accumulate
    pieces = [
        drawn.map(partial(distributed.piece, groups=GROUP, index=k, count=count))
        for k in range(count)
    ]
    shown = _show(t, setting, pieces[0]) if count == 1 else None
    told_d, grad_d = _step_d(t, setting, pieces, shown)
    loss_g, grad_g = _step_g(t, setting, pieces, shown)

    t.step += 1
    t.pictures += config.batch
    _average(t, config)
    told = distributed.mean_of(torch.cat([told_d, loss_g[None]])).tolist()
    _adapt(t, config, told[3])
    return StepReport(
        t.step, t.pictures, told[0], told[4], told[1], told[2], grad_d, grad_g, t.augment_p
    )


def _draw(t: Training, setting: Setting) -> Drawn:
    """The chance of the whole batch, of all processes."""
    config = setting.config
    rows = torch.tensor([_next_photo(t, setting) for _ in range(config.batch)])
    cameras = _cameras(t, setting)
    z = torch.randn(config.batch, t.G.shape.z, generator=t.chance)
    return Drawn(rows, cameras, z, tries_of(t, setting, rows))


def _show(t: Training, setting: Setting, drawn: Drawn, for_g: bool = True) -> Shown:
    """What both are shown; without what G alone learns from, rebuilt photographs, if not `for_g`:
    running numbers and found cameras then stay, too, and move once a step."""
    size = t.G.shape.size
    photographs = reals(setting, drawn.rows)
    w = t.G.styles(drawn.z)
    half = 0 if t.codes is None else len(w) // 2  # of the objects are photographs' own
    if half:
        assert t.codes is not None
        t.codes.train(for_g)
        own = styles_of_photographs(
            t, setting, drawn.rows[:half], photographs[:half], drawn.z[:half]
        )
        w = torch.cat([own.w, w[half:]])
    made = objects_of(t.G, w)
    behind = t.G.backdrop(w, size)
    shots = seen(made, drawn.cameras.viewmats, drawn.cameras.Ks, behind)
    fake = t.D.looks(_for_d(t, setting.config, as_seen(shots, setting)))
    with torch.no_grad():
        real = t.D.looks(_for_d(t, setting.config, photographs))
    off, codes = w.new_zeros(()), w.new_zeros(0, t.G.shape.z)
    if half and for_g:
        codes = own.z
        tries = drawn.tries.map(lambda x: x[:half])
        some = (drawn.rows[:half], photographs[:half])
        off = rebuilding(t, setting, own, first_of(made, half), behind[:half], *some, tries)
    known = known_cameras(setting, drawn.rows)
    if known is None:
        return Shown(fake, real, None, None, made, off, codes)
    return Shown(fake, real, drawn.cameras.angles, known.angles, made, off, codes)


def _for_d(t: Training, config: GanConfig, images: Tensor) -> Tensor:
    """Pictures as D gets them."""
    return augmented(
        blurred(images, images.shape[3] * config.blur_after(t.pictures)), t.augment_p, t.chance
    )


def _step_d(
    t: Training, setting: Setting, pieces: list[Drawn], shown: Shown | None
) -> tuple[Tensor, float]:
    """D's loss, mean logits on photographs and on generated pictures, and how sure it is of
    photographs, as a mean sign [4]; and the norm of its gradient."""
    t.opt_d.zero_grad(set_to_none=True)
    told = []
    for piece in pieces:
        with torch.no_grad():
            now = shown or _show(t, setting, piece, for_g=False)
        total, numbers = _loss_d(t, setting.config, now)
        (total / len(pieces)).backward()
        told.append(numbers)
    trained = t.opt_d.param_groups[0]["params"]
    distributed.average_gradients(trained)
    grad = float(nn.utils.clip_grad_norm_(trained, 50.0))
    t.opt_d.step()
    return torch.stack(told).mean(dim=0), grad


def _loss_d(t: Training, config: GanConfig, shown: Shown) -> tuple[Tensor, Tensor]:
    penalise = config.penalty > 0 and t.step % config.lazy == 0
    real, fake = (
        [x.detach().requires_grad_(penalise) for x in looks] for looks in (shown.real, shown.fake)
    )
    chosen, angles = loss_named(config.loss), (shown.angles_real, shown.angles_fake)
    with parametrize.cached():  # spectral norms, once for all
        if chosen.compares:  # what both kinds ask of a bias cancels exactly when kept apart
            on_real, on_fake = t.D.judge(real, angles[0]), t.D.judge(fake, angles[1])
        else:
            on_real, on_fake = judge_both(t.D, real, fake, angles)
    loss = chosen.of_d(on_real, on_fake)
    # Where D only compares, its logits' zero means nothing
    sure = on_real - on_fake if chosen.compares else on_real
    numbers = torch.stack([loss, on_real.mean(), on_fake.mean(), sure.sign().mean()]).detach()
    if penalise:
        penalty = gradient_penalty(on_real, real)
        if config.loss == "relativistic":
            penalty = penalty + gradient_penalty(on_fake, fake)
        loss = loss + config.penalty * config.lazy * penalty
    return loss, numbers


def _step_g(
    t: Training, setting: Setting, pieces: list[Drawn], shown: Shown | None
) -> tuple[Tensor, float]:
    """G's loss without the geometry's terms, and the norm of its gradient."""
    config = setting.config
    _require(t, False)
    t.opt_g.zero_grad(set_to_none=True)
    told, codes = [], []
    chosen = loss_named(config.loss)
    for piece in pieces:
        now = shown or _show(t, setting, piece)
        on_fake = t.D.judge(now.fake, now.angles_fake)
        on_real = torch.zeros_like(on_fake)
        if chosen.compares:
            with torch.no_grad():
                on_real = t.D.judge(now.real, now.angles_real)
        loss = chosen.of_g(on_real, on_fake)
        whole = loss + geometry_loss(now.made, config, setting.one_side)
        whole = whole + config.rebuild * now.unlike
        (whole / len(pieces)).backward()
        told.append(loss.detach())
        codes.append(now.codes)
    trained = [parameter for group in t.opt_g.param_groups for parameter in group["params"]]
    distributed.average_gradients(trained)
    grad = float(nn.utils.clip_grad_norm_(trained, 50.0))
    t.opt_g.step()
    if len(codes[0]) and t.lately.add(distributed.all_of(torch.cat(codes)).cpu()):
        t.G.follow(t.lately.all)
    _require(t, True)
    return torch.stack(told).mean(), grad


def _next_photo(t: Training, setting: Setting) -> int:
    if not t.queue:
        t.queue = torch.randperm(len(setting.pictures.images), generator=t.chance).tolist()
    return t.queue.pop()


def _cameras(t: Training, setting: Setting) -> Cameras:
    count = setting.config.batch
    if setting.camera_angles is None:
        return draw_cameras(priors_found(t, setting), count, t.G.shape.size, t.chance)
    rows = torch.randint(len(setting.pictures.images), (count,), generator=t.chance)
    known = known_cameras(setting, rows)
    assert known is not None
    return known


def _require(t: Training, wanted: bool) -> None:
    """Gradients of D's trained parameters on or off."""
    for parameter in t.opt_d.param_groups[0]["params"]:
        parameter.requires_grad_(wanted)


@torch.no_grad()
def _average(t: Training, config: GanConfig) -> None:
    """G_ema follows G with a half-life in pictures, shorter at the start."""
    half_life = min(config.ema_kpictures * 1000, 0.1 * t.pictures + 1)
    keep = 0.5 ** (config.batch / half_life)
    for mean, now in zip(t.G_ema.parameters(), t.G.parameters(), strict=True):
        mean.lerp_(now, 1 - keep)
    for kept, fresh in zip(t.G_ema.buffers(), t.G.buffers(), strict=True):
        kept.copy_(fresh)


def _adapt(t: Training, config: GanConfig, sign_on_real: float) -> None:
    if config.augment != "adaptive":
        return
    t.signs.append(sign_on_real)
    if len(t.signs) == AUGMENT_EVERY:
        sign = sum(t.signs) / len(t.signs)
        pictures = AUGMENT_EVERY * config.batch
        t.augment_p = next_strength(t.augment_p, sign, config.augment_target, pictures)
        t.signs.clear()
