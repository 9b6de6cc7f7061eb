"""Divergence checks: collapse of G, a D that is certain, numbers that are not finite."""

from __future__ import annotations

import math
from collections import deque

import torch
from torch import Tensor

from tondo.errors import TondoError
from tondo.gan.objects.contact_sheet import latents
from tondo.gan.objects.render import make_objects, render
from tondo.gan.options import Adversarial
from tondo.gan.training.losses import loss_named
from tondo.gan.training.state import TrainState
from tondo.geometry.look_at import cameras_at
from tondo.runs.events import GanStep

WATCHED = 16  # samples whose spread is measured; chosen
WATCHED_SEED = 2_000_000  # of their latents: no sample that is looked at or measured
BEFORE = 4_000  # pictures before which nothing can be said; chosen
STEPS = 200  # whose mean loss of D says whether D is sure of itself; chosen, not measured
# Mean loss of D, relative to that of a D that knows nothing, under which G learns nothing from it.
# Measured: 0.14 and more in trainings that went well, 0.03 in one that made no thing at all.
SURE = 0.05
ADVICE = (
    "What to try: `augment=adaptive` (more pictures for D to think of), a larger `r1_gamma`, a "
    "smaller `lr_d`, `loss=relativistic`, more or more varied pictures, another `seed`: in a new "
    "run, or in this one with `force`."
)


class BrokenTraining(TondoError):
    """Training broke down at its start, or more often than it may; checkpoints of before stay."""


class DivergenceMonitor:
    """The last steps of a training, and whether it diverges."""

    def __init__(self, options: Adversarial) -> None:
        self._options = options
        self._losses: deque[float] = deque(maxlen=STEPS)
        unsure = torch.zeros(1, 1)
        self._sure = SURE * float(loss_named(options.loss).of_d(unsure, unsure))

    def note(self, report: GanStep) -> None:
        self._losses.append(report.loss_d)

    def check_step(self, report: GanStep) -> str | None:
        """What cannot wait until the next checkpoint: numbers that are no numbers."""
        values = (report.loss_d, report.loss_g, report.grad_d, report.grad_g)
        if all(math.isfinite(value) for value in values):
            return None
        return f"a loss or gradient became infinite or NaN at step {report.step}"

    def check(self, state: TrainState) -> str | None:
        """What is wrong, in a few words, or None."""
        if not finite(state):
            return f"weights of the generator became NaN or infinite at step {state.step}"
        if state.pictures < BEFORE:
            return None
        if len(self._losses) == STEPS and sum(self._losses) / STEPS < self._sure:
            return "the discriminator has become sure of itself: the generator learns no more"
        spread = diversity(state)
        if spread < self._options.min_diversity:
            return (
                f"the samples have become alike (spread {spread:.3f}, expected at least "
                f"{self._options.min_diversity:g})"
            )
        return None


def finite(state: TrainState) -> bool:
    """Whether no weight of the generator is NaN or infinite."""
    return all(bool(torch.isfinite(p).all()) for p in state.G.parameters())


@torch.no_grad()
def diversity(state: TrainState) -> float:
    """Mean root mean square difference between pictures of fixed samples from one side, before
    white whatever their backgrounds, 0..1."""
    G = state.G_ema
    size = G.shape.size
    z = latents(list(range(WATCHED_SEED, WATCHED_SEED + WATCHED)), G.shape.z).to(G.device)
    viewmats, Ks = cameras_at(torch.zeros(WATCHED, 3, device=G.device), 20.0, 5.8, size)
    white = torch.ones(WATCHED, size, size, 3, device=G.device)
    rendered = render(make_objects(G, G.styles(z)), viewmats, Ks, white)
    return _mean_distance(rendered.images.flatten(1))


def _mean_distance(rows: Tensor) -> float:
    count, values = rows.shape
    return float(torch.cdist(rows, rows).sum() / (count * (count - 1)) / values**0.5)
