"""A training's state as tensors, for checkpoints, and back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.training.state import TrainInputs, TrainState
from tondo.gan.training.step import begin
from tondo.runs.horizon import Clock

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def to_tensors(state: TrainState) -> dict[str, Tensor]:
    """All of a training's state as tensors on the CPU."""
    found: dict[str, Tensor] = {}
    for part in _parts(state):
        module: nn.Module = getattr(state, part)
        found.update({f"{part}.{name}": value for name, value in module.state_dict().items()})
    found |= of_optimiser("opt_g", state.opt_g) | of_optimiser("opt_d", state.opt_d)
    found["rng"] = state.rng.get_state()
    estimates = state.camera_estimates
    found["camera_estimates"] = torch.cat([estimates.angles, estimates.priors[:, None]], dim=1)
    found["queue"] = torch.tensor(state.queue, dtype=torch.int64)
    found["latent_buffer"] = state.latent_buffer.codes
    counts = [state.pictures, state.step, state.latent_buffer.count]
    found["counts"] = torch.tensor(counts, dtype=torch.int64)
    found["numbers"] = torch.tensor([state.augment_p, state.clock.seconds()], dtype=torch.float64)
    found["signs"] = torch.tensor(state.signs, dtype=torch.float64)
    return {name: value.detach().cpu().contiguous().clone() for name, value in found.items()}


def from_tensors(
    tensors: dict[str, Tensor], inputs: TrainInputs, shape: GeneratorShape
) -> TrainState:
    """The inverse of `to_tensors`.

    Raises:
        KeyError: something is missing. RuntimeError, ValueError: something has another shape.
    """
    state = begin(inputs, shape, seed=0)
    for part in _parts(state):
        prefix = f"{part}."
        weights = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
        getattr(state, part).load_state_dict(weights)
    into_optimiser("opt_g", state.opt_g, tensors)
    into_optimiser("opt_d", state.opt_d, tensors)
    state.rng.set_state(tensors["rng"])
    estimates = tensors["camera_estimates"]
    state.camera_estimates.angles.copy_(estimates[:, :3])
    state.camera_estimates.priors.copy_(estimates[:, 3])
    state.queue = tensors["queue"].tolist()
    state.latent_buffer.codes.copy_(tensors["latent_buffer"])
    counts = (int(value) for value in tensors["counts"])
    state.pictures, state.step, state.latent_buffer.count = counts
    state.augment_p, seconds = (float(value) for value in tensors["numbers"])
    state.clock = Clock(seconds)
    state.signs = tensors["signs"].tolist()
    return state


def of_optimiser(name: str, optimiser: torch.optim.Adam) -> dict[str, Tensor]:
    """Adam's moments as tensors; none before its first step."""
    return {
        f"{name}.{index}.{kind}": torch.as_tensor(moments[kind]).detach().clone()
        for index, moments in optimiser.state_dict()["state"].items()
        for kind in _MOMENTS
    }


def into_optimiser(name: str, optimiser: torch.optim.Adam, tensors: dict[str, Tensor]) -> None:
    """The inverse of `of_optimiser`, in place. Raises KeyError."""
    state = optimiser.state_dict()
    count = sum(len(group["params"]) for group in state["param_groups"])
    if f"{name}.0.step" in tensors:
        state["state"] = {
            index: {kind: tensors[f"{name}.{index}.{kind}"].clone() for kind in _MOMENTS}
            for index in range(count)
        }
    optimiser.load_state_dict(state)


def _parts(state: TrainState) -> list[str]:
    """The networks."""
    return ["G", "D", "G_ema", *(["photo_encoder"] if state.photo_encoder is not None else [])]
