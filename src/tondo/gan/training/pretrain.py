"""Before the game: G learns to rebuild photographs (`tondo.gan.training.autoencoder`)."""

from __future__ import annotations

from collections.abc import Callable

import torch

from tondo.gan.objects.geometry_loss import geometry_loss
from tondo.gan.objects.render import make_objects
from tondo.gan.options import TrainOptions
from tondo.gan.training.divergence import ADVICE, BrokenTraining
from tondo.gan.training.reconstruction import camera_candidates, encode_photos, reconstruction_loss
from tondo.gan.training.state import TrainInputs, TrainState, real_images
from tondo.gan.training.step import to_train

# Cameras are looked for near the middle of their ranges first, until there is something to look at:
# averaged over wrong angles a face has four eyes.
FIRST_REACH, WIDENS = 0.1, 1.2
EVERY = 10  # steps between reports


def pretrain_optimiser(state: TrainState, options: TrainOptions) -> torch.optim.Adam:
    """Adam of pretraining."""
    assert state.photo_encoder is not None
    adversarial, autoencoder = options.adversarial, options.autoencoder
    groups = ((state.G, adversarial.lr_g), (state.photo_encoder, autoencoder.lr_encoder))
    betas = (autoencoder.pretrain_beta1, adversarial.beta2)
    return torch.optim.Adam(
        [{"params": to_train(x), "lr": lr} for x, lr in groups], betas=betas, fused=True
    )


def pretrain(
    state: TrainState,
    inputs: TrainInputs,
    learned: torch.optim.Adam,
    count: int,
    on_progress: Callable[[int, int], bool],
    begin: int = 0,
) -> None:
    """Train G without D on `count` photographs.

    Of several processes the first one does it, and the others read what came of it.

    Args:
        learned: what `pretrain_optimiser` made.
        on_progress: called with (photographs seen, count) now and then; says whether it is enough.
        begin: photographs that were seen before this.

    Raises:
        BrokenTraining: a number became infinite or NaN.
    """
    options, batch = inputs.options, inputs.options.schedule.batch
    assert state.photo_encoder is not None
    state.photo_encoder.shared = False
    steps = count // batch
    for step in range(begin // batch, steps):
        if step % EVERY == 0:
            state.G_ema.load_state_dict(state.G.state_dict())
            if on_progress(step * batch, count):
                break
        state.photo_encoder.reach = min(1.0, FIRST_REACH + WIDENS * step / steps)
        rows = torch.randint(len(inputs.pictures.images), (batch,), generator=state.rng)
        photographs = real_images(inputs, rows)
        candidates = camera_candidates(state, inputs, rows).map(lambda x: x.to(inputs.device))
        noise = torch.randn(len(rows), state.G.shape.z, generator=state.rng).to(inputs.device)
        styled = encode_photos(state, inputs, rows, photographs, noise)
        objects = make_objects(state.G, styled.w)
        background = state.G.backdrop(styled.w, state.G.shape.size)
        loss = reconstruction_loss(
            state, inputs, styled, objects, background, rows, photographs, candidates
        )
        if not bool(loss.isfinite()):
            raise BrokenTraining(
                f"a rebuilt photograph became infinite or NaN after {step * batch} of "
                f"{count} photographs of pretraining: nothing is kept. {ADVICE}"
            )
        learned.zero_grad(set_to_none=True)
        geometry = geometry_loss(objects, options.geometry, inputs.one_side)
        (options.autoencoder.pretrain_weight * loss + geometry).backward()
        learned.step()
        if state.latent_buffer.add(styled.z.cpu()):
            state.G.update_mixture(state.latent_buffer.all)
    state.G_ema.load_state_dict(state.G.state_dict())
    state.photo_encoder.shared, state.photo_encoder.reach = True, 1.0
    on_progress(count, count)
