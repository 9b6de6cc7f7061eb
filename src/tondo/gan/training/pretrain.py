"""Before adversarial training: G learns to reconstruct photographs, as an autoencoder's decoder
(`tondo.gan.training.autoencoder`)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from tondo.gan.objects.geometry_loss import geometry_loss
from tondo.gan.objects.render import make_objects
from tondo.gan.options import TrainOptions
from tondo.gan.training import divergence, state_tensors
from tondo.gan.training.reconstruction import camera_candidates, encode_photos, reconstruction_loss
from tondo.gan.training.state import TrainInputs, TrainState, real_images
from tondo.gan.training.step import to_train
from tondo.kernels.threads import num_threads
from tondo.runs.checkpoints import Checkpoint
from tondo.runs.horizon import Clock
from tondo.runs.method import Method, Report
from tondo.runs.watch import SILENT, Watch

PRETRAINING = "pretraining"  # of a checkpoint within it: photographs seen
# Cameras are looked for near the middle of their ranges first, until there is something to look at:
# averaged over wrong angles a face has four eyes.
FIRST_REACH, WIDENS = 0.1, 1.2
EVERY = 10  # steps between reports


class Pretraining(Method):
    """G being trained without D.

    Of several processes the first one does it, and the others read what came of it.

    Attributes:
        seen: photographs that were seen.
        count: photographs that it is to see. seconds: of training, after which it ends anyway.
    """

    def __init__(
        self,
        state: TrainState,
        inputs: TrainInputs,
        count: int,
        seconds: float = math.inf,
        watch: Watch = SILENT,
    ) -> None:
        assert state.photo_encoder is not None
        # torch's convolutions and our kernels take turns, so each may have all threads
        self.torch_threads = num_threads()
        self.count, self.seconds, self.seen = count, seconds, 0
        self._state, self._inputs, self._watch = state, inputs, watch
        self._encoder, self._batch = state.photo_encoder, inputs.options.schedule.batch
        self._steps = count // self._batch
        self._optimiser = _optimiser(state, inputs.options)
        self._encoder.shared = False

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint within it, whose state it was made with. Raises KeyError."""
        state_tensors.into_optimiser(PRETRAINING, self._optimiser, checkpoint.tensors)
        self.seen = int(checkpoint.state[PRETRAINING])

    @property
    def clock(self) -> Clock:
        return self._state.clock

    @property
    def step(self) -> int:
        return self._state.step

    @property
    def done(self) -> str:
        return "0.0 thousand pictures"

    def fraction(self) -> float:
        seen = self.seen // self._batch / self._steps if self._steps else 1.0
        return min(1.0, max(seen, self.clock.seconds() / self.seconds))

    def advance(self, fraction: float) -> Report:
        """Raises BrokenTraining where a number became infinite or NaN."""
        state, inputs, options = self._state, self._inputs, self._inputs.options
        step = self.seen // self._batch
        if step % EVERY == 0:
            self._watch.stage("pretraining", self.seen, self.count)
        self._encoder.reach = min(1.0, FIRST_REACH + WIDENS * step / self._steps)
        rows = torch.randint(len(inputs.pictures.images), (self._batch,), generator=state.rng)
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
            raise self._broken()
        self._optimiser.zero_grad(set_to_none=True)
        geometry = geometry_loss(objects, options.geometry, inputs.one_side)
        (options.autoencoder.pretrain_weight * loss + geometry).backward()
        self._optimiser.step()
        if state.latent_buffer.add(styled.z.cpu()):
            state.G.update_mixture(state.latent_buffer.all)
        self.seen += self._batch
        return Report(None, self.fraction())

    def tensors(self) -> dict[str, Tensor]:
        self._state.G_ema.load_state_dict(self._state.G.state_dict())
        own = state_tensors.of_optimiser(PRETRAINING, self._optimiser)
        return state_tensors.to_tensors(self._state) | own

    def facts(self) -> dict[str, Any]:
        return {"rollbacks": 0, PRETRAINING: self.seen}

    def check(self, *, thorough: bool) -> str | None:
        if thorough and not divergence.finite(self._state):
            raise self._broken()
        return None

    def end(self) -> None:
        """Leave everything as adversarial training begins with it."""
        self._state.G_ema.load_state_dict(self._state.G.state_dict())
        self._encoder.shared, self._encoder.reach = True, 1.0
        self._watch.stage("pretraining", self.count, self.count)

    def _broken(self) -> divergence.BrokenTraining:
        return divergence.BrokenTraining(
            f"a reconstructed photograph became infinite or NaN after {self.seen} of {self.count} "
            f"photographs of pretraining: nothing is kept. {divergence.ADVICE}"
        )


def _optimiser(state: TrainState, options: TrainOptions) -> torch.optim.Adam:
    assert state.photo_encoder is not None
    adversarial, autoencoder = options.adversarial, options.autoencoder
    groups = ((state.G, adversarial.lr_g), (state.photo_encoder, autoencoder.lr_encoder))
    betas = (autoencoder.pretrain_beta1, adversarial.beta2)
    return torch.optim.Adam(
        [{"params": to_train(x), "lr": lr} for x, lr in groups], betas=betas, fused=True
    )
