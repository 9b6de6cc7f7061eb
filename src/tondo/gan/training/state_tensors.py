"""A training's state as tensors, for checkpoints, and back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.training.state import Setting, Training
from tondo.gan.training.step import begin

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def to_tensors(training: Training) -> dict[str, Tensor]:
    """All of a training's state as tensors on the CPU."""
    found: dict[str, Tensor] = {}
    for part in _parts(training):
        module: nn.Module = getattr(training, part)
        found.update({f"{part}.{name}": value for name, value in module.state_dict().items()})
    found |= of_optimiser("opt_g", training.opt_g) | of_optimiser("opt_d", training.opt_d)
    found["chance"] = training.chance.get_state()
    found["stood"] = training.stood
    found["queue"] = torch.tensor(training.queue, dtype=torch.int64)
    found["lately"] = training.lately.codes
    counts = [training.pictures, training.step, training.lately.count]
    found["counts"] = torch.tensor(counts, dtype=torch.int64)
    found["numbers"] = torch.tensor([training.augment_p, training.seconds], dtype=torch.float64)
    found["signs"] = torch.tensor(training.signs, dtype=torch.float64)
    return {name: value.detach().cpu().contiguous().clone() for name, value in found.items()}


def from_tensors(tensors: dict[str, Tensor], setting: Setting, shape: GeneratorShape) -> Training:
    """The inverse of `to_tensors`.

    Raises:
        KeyError: something is missing. RuntimeError, ValueError: something has another shape.
    """
    training = begin(setting, shape, seed=0)
    for part in _parts(training):
        prefix = f"{part}."
        weights = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
        getattr(training, part).load_state_dict(weights)
    into_optimiser("opt_g", training.opt_g, tensors)
    into_optimiser("opt_d", training.opt_d, tensors)
    training.chance.set_state(tensors["chance"])
    training.stood.copy_(tensors["stood"])
    training.queue = tensors["queue"].tolist()
    training.lately.codes.copy_(tensors["lately"])
    counts = (int(value) for value in tensors["counts"])
    training.pictures, training.step, training.lately.count = counts
    training.augment_p, training.seconds = (float(value) for value in tensors["numbers"])
    training.signs = tensors["signs"].tolist()
    return training


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


def _parts(training: Training) -> list[str]:
    """The networks."""
    return ["G", "D", "G_ema", *(["codes"] if training.codes is not None else [])]
