"""Before the game: G learns to rebuild photographs (`tondo.gan.training.autoencoder`)."""

from __future__ import annotations

from collections.abc import Callable

import torch

from tondo.gan.config import GanConfig
from tondo.gan.objects.geometry_loss import geometry_loss
from tondo.gan.objects.render import objects_of
from tondo.gan.training.divergence import ADVICE, BrokenTraining
from tondo.gan.training.reconstruction import rebuilding, styles_of_photographs, tries_of
from tondo.gan.training.state import Setting, Training, reals
from tondo.gan.training.step import to_train

PIXELS = 60.0  # weight of the comparison beside the terms of the geometry
BETAS = (0.9, 0.99)
# Cameras are looked for near the middle of their ranges first, until there is something to look at:
# averaged over wrong angles a face has four eyes.
FIRST_REACH, WIDENS = 0.1, 1.2
EVERY = 10  # steps between reports


def first_optimiser(training: Training, config: GanConfig) -> torch.optim.Adam:
    """Adam of a first look, of a training with codes."""
    assert training.codes is not None
    groups = ((training.G, config.lr_g), (training.codes, config.lr_codes))
    return torch.optim.Adam(
        [{"params": to_train(x), "lr": lr} for x, lr in groups], betas=BETAS, fused=True
    )


def look_first(
    training: Training,
    setting: Setting,
    learned: torch.optim.Adam,
    count: int,
    told: Callable[[int, int], bool],
    begin: int = 0,
) -> None:
    """Train G without D on `count` photographs.

    Of several processes the first one does it, and the others read what came of it.

    Args:
        learned: what `first_optimiser` made.
        told: called with (photographs seen, count) now and then; says whether it is enough.
        begin: photographs that were seen before this.

    Raises:
        BrokenTraining: a number became infinite or NaN.
    """
    t, config = training, setting.config
    assert t.codes is not None
    t.codes.shared = False
    steps = count // config.batch
    for step in range(begin // config.batch, steps):
        if step % EVERY == 0:
            t.G_ema.load_state_dict(t.G.state_dict())
            if told(step * config.batch, count):
                break
        t.codes.reach = min(1.0, FIRST_REACH + WIDENS * step / steps)
        rows = torch.randint(len(setting.pictures.images), (config.batch,), generator=t.chance)
        photographs = reals(setting, rows)
        tries = tries_of(t, setting, rows).map(lambda x: x.to(setting.device))
        noise = torch.randn(len(rows), t.G.shape.z, generator=t.chance).to(setting.device)
        styled = styles_of_photographs(t, setting, rows, photographs, noise)
        made = objects_of(t.G, styled.w)
        behind = t.G.backdrop(styled.w, t.G.shape.size)
        loss = rebuilding(t, setting, styled, made, behind, rows, photographs, tries)
        if not bool(loss.isfinite()):
            raise BrokenTraining(
                f"a rebuilt photograph became infinite or NaN after {step * config.batch} of "
                f"{count} photographs of the first look: nothing is kept. {ADVICE}"
            )
        learned.zero_grad(set_to_none=True)
        (PIXELS * loss + geometry_loss(made, config, setting.one_side)).backward()
        learned.step()
        if t.lately.add(styled.z.cpu()):
            t.G.follow(t.lately.all)
    t.G_ema.load_state_dict(t.G.state_dict())
    t.codes.shared, t.codes.reach = True, 1.0
    told(count, count)
