"""The training loop: G makes objects, cameras photograph them, D judges, both learn."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tondo.data.pictures import PictureSet
from tondo.features.extractor import Extractor
from tondo.gan import parallel
from tondo.gan.augment import augmented, next_strength
from tondo.gan.config import GanConfig, GeneratorShape
from tondo.gan.discriminator import PlainDiscriminator, ProjectedDiscriminator
from tondo.gan.first_body import body_radii
from tondo.gan.generator import FIRST_RADIUS, Generator
from tondo.gan.lora import add_adapters, merged
from tondo.gan.losses import gradient_penalty, loss_named
from tondo.gan.poses import Cameras, PosePrior, draw_cameras
from tondo.gan.regularise import geometry_loss
from tondo.gan.render import pictures_of

AUGMENT_EVERY = 4
W_MEAN_RATE = 0.005


@dataclass(frozen=True)
class Base:
    """A trained generator to start from; lora: rank of the adapters that alone are trained, 0 to
    train all of its weights."""

    generator: Generator
    lora: int = 0


@dataclass(frozen=True)
class Setting:
    """What a training is given and does not change.

    Attributes:
        pictures: the photographs. With cameras, `camera_angles` [N, 3] are theirs.
        priors: where the cameras stand if the photographs do not say.
        extractor: the frozen CNN of a projected discriminator.
        base: the generator to start from, or None for a new one.
    """

    pictures: PictureSet
    priors: tuple[PosePrior, ...]
    extractor: Extractor
    config: GanConfig
    camera_angles: Tensor | None = None
    base: Base | None = None


@dataclass
class Training:
    """Everything that a training changes.

    Attributes:
        chance: the only source of chance.
        queue: photographs still to come in this round, last first.
        pictures: photographs shown so far.
        augment_p: strength of the augmentation. seconds: of training.
    """

    G: Generator
    D: ProjectedDiscriminator | PlainDiscriminator
    G_ema: Generator
    opt_g: torch.optim.Adam
    opt_d: torch.optim.Adam
    chance: torch.Generator
    queue: list[int] = field(default_factory=list)
    pictures: int = 0
    step: int = 0
    augment_p: float = 0.0
    signs: list[float] = field(default_factory=list)
    seconds: float = 0.0


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


def begin(setting: Setting, shape: GeneratorShape, seed: int) -> Training:
    """A training at step 0. The same seed gives the same networks and the same course."""
    config = setting.config
    parallel.check_batch(config.batch)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        G = _first_generator(setting, shape)
        D = _new_discriminator(setting, shape)
    chance = torch.Generator().manual_seed(seed)
    if isinstance(D, ProjectedDiscriminator):
        rows = torch.randint(len(setting.pictures.images), (64,), generator=chance)
        D.calibrate(reals(setting, rows))
    G_ema = copy.deepcopy(G).requires_grad_(False)
    betas = (config.beta1, config.beta2)
    trained = [p for p in D.parameters() if p.requires_grad]
    return Training(
        G,
        D,
        G_ema,
        torch.optim.Adam(to_train(G), config.lr_g, betas, eps=1e-8),
        torch.optim.Adam(trained, config.lr_d, betas, eps=1e-8),
        chance,
        augment_p=config.augment_p,
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
    if setting.config.discriminator == "plain":
        return PlainDiscriminator(shape.size, with_cameras=with_cameras)
    return ProjectedDiscriminator(setting.extractor, shape.size, with_cameras=with_cameras)


def reals(setting: Setting, rows: Tensor, behind: Tensor | None = None) -> Tensor:
    """Photographs [B, 3, S, S] float 0..1, transparent ones over the colours `behind` [B, 3], or
    over white."""
    images = setting.pictures.images[rows].float() / 255
    if images.shape[1] == 4:
        colours = images.new_ones(1, 3) if behind is None else behind
        images = images[:, :3] * images[:, 3:] + (1 - images[:, 3:]) * colours[:, :, None, None]
    return images


def _behind(t: Training, setting: Setting) -> tuple[Tensor | None, Tensor | None]:
    """Colours [B, 3] behind transparent photographs and behind generated objects, or None: white.

    On one colour alone G would paint that colour where it wants nothing to be.
    """
    if not setting.pictures.with_alpha or t.G.behind is not None:
        return None, None
    drawn = torch.rand(2, setting.config.batch, 3, generator=t.chance)
    return parallel.part(drawn[0]), parallel.part(drawn[1])


def run(training: Training, setting: Setting) -> Iterator[StepReport]:
    """Train without end, giving a report after every step."""
    while True:
        yield one_step(training, setting)


def one_step(training: Training, setting: Setting) -> StepReport:
    """One step of D and one of G, on the same generated pictures."""
    config, t = setting.config, training
    rows = parallel.part(torch.tensor([_next_photo(t, setting) for _ in range(config.batch)]))
    cameras = Cameras(*map(parallel.part, _cameras(t, setting)))
    z = parallel.part(torch.randn(config.batch, t.G.shape.z, generator=t.chance))
    w = t.G.styles(z)
    t.G.w_mean.lerp_(parallel.mean_of(w.mean(dim=0)), W_MEAN_RATE)
    behind_reals, behind_fakes = _behind(t, setting)
    shots, made = pictures_of(t.G, w, cameras.viewmats, cameras.Ks, t.G.shape.size, behind_fakes)
    fake = t.D.looks(augmented(shots.images.permute(0, 3, 1, 2), t.augment_p, t.chance))
    angles_real = None if setting.camera_angles is None else setting.camera_angles[rows]
    angles_fake = None if setting.camera_angles is None else cameras.angles
    with torch.no_grad():
        real = t.D.looks(augmented(reals(setting, rows, behind_reals), t.augment_p, t.chance))

    loss_d, judged, grad_d = _step_d(t, config, (real, angles_real), (fake, angles_fake))
    _require(t, False)
    on_fake = t.D.judge(fake, angles_fake)
    with torch.no_grad():
        on_real = t.D.judge(real, angles_real)
    loss_g = loss_named(config.loss).of_g(on_real, on_fake)
    geometry = geometry_loss(made, config)
    t.opt_g.zero_grad(set_to_none=True)
    (loss_g + geometry).backward()
    parallel.average_gradients(t.G.parameters())
    grad_g = float(nn.utils.clip_grad_norm_(t.G.parameters(), 50.0))
    t.opt_g.step()
    _require(t, True)

    t.step += 1
    t.pictures += config.batch
    _average(t, config)
    means = [loss_d, loss_g, judged[0].mean(), judged[1].mean(), judged[0].sign().mean()]
    told = parallel.mean_of(torch.stack(means)).tolist()
    _adapt(t, config, told[4])
    losses, scores = (told[0], told[1]), (told[2], told[3])
    return StepReport(t.step, t.pictures, *losses, *scores, grad_d, grad_g, t.augment_p)


def _step_d(
    t: Training,
    config: GanConfig,
    real: tuple[list[Tensor], Tensor | None],
    fake: tuple[list[Tensor], Tensor | None],
) -> tuple[Tensor, tuple[Tensor, Tensor], float]:
    penalise = config.r1_gamma > 0 and t.step % config.lazy == 0
    seen = [[x.detach().requires_grad_(penalise) for x in looks] for looks in (real[0], fake[0])]
    on_real, on_fake = t.D.judge(seen[0], real[1]), t.D.judge(seen[1], fake[1])
    loss = loss_named(config.loss).of_d(on_real, on_fake)
    total = loss
    if penalise:
        penalty = gradient_penalty(on_real, seen[0])
        if config.loss == "relativistic":
            penalty = penalty + gradient_penalty(on_fake, seen[1])
        total = loss + config.r1_gamma * config.lazy * penalty
    t.opt_d.zero_grad(set_to_none=True)
    total.backward()
    parallel.average_gradients(t.opt_d.param_groups[0]["params"])
    grad = float(nn.utils.clip_grad_norm_(t.opt_d.param_groups[0]["params"], 50.0))
    t.opt_d.step()
    return loss.detach(), (on_real.detach(), on_fake.detach()), grad


def _next_photo(t: Training, setting: Setting) -> int:
    if not t.queue:
        t.queue = torch.randperm(len(setting.pictures.images), generator=t.chance).tolist()
    return t.queue.pop()


def _cameras(t: Training, setting: Setting) -> Cameras:
    count, known = setting.config.batch, setting.pictures
    if setting.camera_angles is None or known.viewmats is None or known.Ks is None:
        return draw_cameras(setting.priors, count, t.G.shape.size, t.chance)
    rows = torch.randint(len(known.images), (count,), generator=t.chance)
    return Cameras(setting.camera_angles[rows], known.viewmats[rows], known.Ks[rows])


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
