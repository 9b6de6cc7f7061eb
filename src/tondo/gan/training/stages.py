"""The two stages of a training as the run loop drives them: pretraining, in which G learns to
reconstruct photographs (`tondo.gan.training.autoencoder`), and adversarial training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tondo.gan.files.adapters import AdapterCard, merged, save_adapter
from tondo.gan.files.generator_file import Card, Trained, fingerprint, save_generator
from tondo.gan.objects.contact_sheet import grid, latents
from tondo.gan.objects.geometry_loss import geometry_loss
from tondo.gan.objects.render import make_objects
from tondo.gan.training import state_tensors
from tondo.gan.training.divergence import ADVICE, BrokenTraining, DivergenceMonitor, finite
from tondo.gan.training.reconstruction import (
    Photos,
    camera_candidates,
    encode_photos,
    reconstruction_loss,
    render_photos,
    reweighted_priors,
)
from tondo.gan.training.state import TrainInputs, TrainState, real_images
from tondo.gan.training.step import one_step, optimiser_of_g, set_rates
from tondo.io.images import write_png
from tondo.kernels.threads import num_threads
from tondo.runs import distributed
from tondo.runs.checkpoints import Checkpoint
from tondo.runs.events import Saved, append_event
from tondo.runs.horizon import Horizon
from tondo.runs.method import Method, Report
from tondo.runs.run_directory import RunDirectory
from tondo.runs.watch import SILENT, Watch

PRETRAINING = "pretraining"  # of a checkpoint within it: photographs seen
# Cameras are looked for near the middle of their ranges first, until there is something to look at:
# averaged over wrong angles a face has four eyes.
FIRST_REACH, WIDENS = 0.1, 1.2
EVERY = 10  # steps between reports; chosen
GRID_SEEDS = 8  # rows of the grid of samples; chosen, not measured
ADAPTER = "adapter.safetensors"
MOST_ROLLBACKS = 1  # the second divergence ends the training


class Pretraining(Method):
    """G being trained without D.

    Of several processes the first one does it, and the others read what came of it.

    Attributes:
        seen: photographs that were seen.
        count: photographs that it is to see, unless `seconds` of training are over before that.
    """

    def __init__(
        self,
        state: TrainState,
        inputs: TrainInputs,
        count: int,
        seconds: float | None = None,
        watch: Watch = SILENT,
    ) -> None:
        assert state.photo_encoder is not None
        # torch's convolutions and our kernels take turns, so each may have all threads
        self.torch_threads = num_threads()
        super().__init__(state, Horizon(count // inputs.options.schedule.batch, seconds))
        self.count, self.seen = count, 0
        self._state, self._inputs, self._watch = state, inputs, watch
        self._encoder, self._batch = state.photo_encoder, inputs.options.schedule.batch
        beta1 = inputs.options.autoencoder.pretrain_beta1
        self._optimiser = optimiser_of_g(state.G, state.photo_encoder, inputs.options, beta1)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint within it, whose state it was made with. Raises KeyError."""
        state_tensors.into_optimiser(PRETRAINING, self._optimiser, checkpoint.tensors)
        self.seen = int(checkpoint.state[PRETRAINING])

    @property
    def done(self) -> str:
        return "0.0 thousand pictures"

    def fraction(self) -> float:
        return self.horizon.fraction(self.seen // self._batch, self.clock.seconds())

    def advance(self, fraction: float) -> Report:
        """Raises BrokenTraining where a number became infinite or NaN."""
        state, inputs, options = self._state, self._inputs, self._inputs.options
        step = self.seen // self._batch
        if step % EVERY == 0:
            self._watch.stage("pretraining", self.seen, self.count)
        reach = min(1.0, FIRST_REACH + WIDENS * step / (self.count // self._batch))
        rows = torch.randint(len(inputs.pictures.images), (self._batch,), generator=state.rng)
        photographs = real_images(inputs, rows)
        candidates = camera_candidates(state, inputs, rows).map(lambda x: x.to(inputs.device))
        noise = torch.randn(len(rows), state.G.shape.z, generator=state.rng).to(inputs.device)
        styled = encode_photos(state, inputs, rows, photographs, noise, reach=reach, alone=True)
        objects = make_objects(state.G, styled.w)
        background = state.G.render_background(styled.w, state.G.shape.size)
        photos = Photos(rows, photographs, candidates)
        rendered = render_photos(state, inputs, styled, objects, background, photos, alone=True)
        loss = reconstruction_loss(self._encoder, inputs, styled.code, rendered, photographs)
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
        if thorough and not finite(self._state):
            raise self._broken()
        return None

    def end(self) -> None:
        """Leave everything as adversarial training begins with it."""
        self._state.G_ema.load_state_dict(self._state.G.state_dict())
        self._watch.stage("pretraining", self.count, self.count)

    def _broken(self) -> BrokenTraining:
        return BrokenTraining(
            f"a reconstructed photograph became infinite or NaN after {self.seen} of {self.count} "
            f"photographs of pretraining: nothing is kept. {ADVICE}"
        )


class AdversarialTraining(Method):
    """G and D learning from each other.

    Attributes:
        state: what changes; another one after going back.
        rollbacks: how often it went back to an older checkpoint; each halves the rates.
    """

    picture_seconds = 60.0

    def __init__(
        self, state: TrainState, inputs: TrainInputs, horizon: Horizon, rollbacks: int = 0
    ) -> None:
        # torch's convolutions and our kernels take turns, so each may have all threads
        self.torch_threads = num_threads()
        super().__init__(state, horizon)
        self.inputs, self.rollbacks = inputs, rollbacks
        self._take(state)

    def _take(self, state: TrainState) -> None:
        """Go on with `state`, which is that of the newest checkpoint."""
        self.state = self.counted = state
        self._monitor = DivergenceMonitor(self.inputs.options.adversarial)
        self._before = state.pictures, state.clock.seconds()
        self._workers_have_it = False

    @property
    def done(self) -> str:
        return f"{self.state.pictures / 1000:.1f} thousand pictures"

    def fraction(self) -> float:
        return self.horizon.fraction(self.state.pictures, self.clock.seconds())

    def advance(self, fraction: float) -> Report:
        if not self._workers_have_it:
            distributed.send_command(distributed.RELOAD + self.rollbacks)
            self._workers_have_it = True
        distributed.send_command(distributed.STEP)
        share = distributed.broadcast_float(fraction)
        set_rates(self.state, self.inputs.options, self.rollbacks, share)
        self._last = event = one_step(self.state, self.inputs)
        self._monitor.note(event)
        pictures, seconds = self._before
        rate = (event.pictures - pictures) / max(1e-9, event.seconds - seconds)
        return Report(event, self.horizon.fraction(event.pictures, event.seconds), rate=rate)

    def tensors(self) -> dict[str, Tensor]:
        return state_tensors.to_tensors(self.state)

    def facts(self) -> dict[str, Any]:
        return {"rollbacks": self.rollbacks}

    def progress(self) -> dict[str, Any]:
        return {**super().progress(), "kimg_done": round(self.state.pictures / 1000, 3)}

    def summary(self) -> dict[str, Any]:
        kimg = round(self.state.pictures / 1000, 3)
        return {"kimg": kimg, "pictures": len(self.inputs.pictures.images)}

    def pictures(self, run: RunDirectory) -> dict[str, Tensor]:
        """The same seeds from eight sides, with depth; RUN/renders has them, too."""
        G, priors = self.state.G_ema, self.inputs.priors
        with torch.no_grad():
            w = G.styles(latents(list(range(GRID_SEEDS)), G.shape.z).to(G.device))
        picture = grid(G, w, priors, G.shape.size, with_depth=True)
        write_png(run.renders_dir / "grid.png", picture)
        plain = grid(G, w, priors, G.shape.size)
        write_png(run.renders_dir / f"grid-{self.state.pictures // 1000:06d}k.png", plain)
        return {"samples": picture}

    def check(self, *, thorough: bool) -> str | None:
        problem = self._monitor.check_step(self._last)
        return self._monitor.check(self.state) if problem is None and thorough else problem

    def go_back(self, run: RunDirectory, checkpoint: Checkpoint, reason: str) -> str:
        """With half the rates, once; the second time it is the end."""
        shape = self.state.G.shape
        self._take(state_tensors.from_tensors(checkpoint.tensors, self.inputs, shape))
        if self.rollbacks >= MOST_ROLLBACKS:
            self.write(run)
            raise BrokenTraining(
                f"{reason}, again. The generator of {self.done}, the last good one, is in "
                f"{run.generator_path}. {ADVICE}"
            )
        self.rollbacks += 1
        return f"{reason}: going back, with half the rates, to where it was well: {self.done}"

    def write(self, run: RunDirectory) -> None:
        write_generator(run, self.state, self.inputs)


def write_generator(run: RunDirectory, state: TrainState, inputs: TrainInputs) -> Trained:
    """generator.safetensors, and the adapter by itself where only one was trained."""
    pictures, options = inputs.pictures, inputs.options
    card = Card(
        name=Path(pictures.source).stem,
        pictures=len(pictures.images),
        kimg=state.pictures / 1000,
        hours=state.clock.seconds() / 3600,
        source=pictures.source,
        licence=options.licence,
        poses="known" if inputs.camera_angles is not None else (options.poses or "assumed"),
    )
    trained = Trained(merged(state.G_ema), reweighted_priors(state, inputs), card)
    save_generator(run.generator_path, trained)
    if inputs.base is not None and options.lora:
        about = AdapterCard(
            base=str(options.base),
            base_fingerprint=fingerprint(inputs.base),
            rank=options.lora,
            kimg=card.kimg,
            source=card.source,
        )
        save_adapter(run.path / ADAPTER, state.G_ema, about)
    append_event(run, Saved(state.step, run.generator_path.name, state.clock.seconds()))
    return trained
