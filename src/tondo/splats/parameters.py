"""What training changes: the splats' parameters and Adam's moments, kept together row by row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tondo.data.splats import Splats

NAMES = ("means", "quats", "log_scales", "opacity_logits", "sh")
GROUPS = ("values", "exp_avg", "exp_avg_sq")


@dataclass
class Parameters:
    """Splats under training.

    Attributes:
        values: the five tensors of `Splats` by name, changed in place by every step.
        exp_avg, exp_avg_sq: Adam's first and second moments, same shapes.
    """

    values: dict[str, Tensor]
    exp_avg: dict[str, Tensor]
    exp_avg_sq: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.values["means"])

    @property
    def splats(self) -> Splats:
        """The current splats; shares memory with `values`."""
        return Splats(**self.values)


def start(splats: Splats) -> Parameters:
    """Parameters that begin at `splats`, with moments at zero."""
    values = {name: getattr(splats, name).clone().contiguous() for name in NAMES}
    zeros = [{name: torch.zeros_like(t) for name, t in values.items()} for _ in range(2)]
    return Parameters(values, *zeros)


def append_rows(parameters: Parameters, rows: dict[str, Tensor]) -> None:
    """Add splats at the end, with moments at zero."""
    for name in NAMES:
        new = rows[name]
        parameters.values[name] = torch.cat([parameters.values[name], new]).contiguous()
        for moment in (parameters.exp_avg, parameters.exp_avg_sq):
            moment[name] = torch.cat([moment[name], torch.zeros_like(new)]).contiguous()


def reset_moments(parameters: Parameters, rows: Tensor) -> None:
    """Forget Adam's moments of `rows` [M] int64."""
    for moment in (parameters.exp_avg, parameters.exp_avg_sq):
        for name in NAMES:
            moment[name][rows] = 0


def to_tensors(parameters: Parameters) -> dict[str, Tensor]:
    """Flat names to tensors, for a checkpoint."""
    return {
        f"{group}.{name}": tensor
        for group in GROUPS
        for name, tensor in getattr(parameters, group).items()
    }


def from_tensors(tensors: dict[str, Tensor]) -> Parameters:
    """The inverse of `to_tensors`; KeyError names what a checkpoint lacks."""
    groups = [{name: tensors[f"{group}.{name}"].clone() for name in NAMES} for group in GROUPS]
    parameters = Parameters(*groups)
    _ = parameters.splats  # checks the shapes
    return parameters
