"""What a training of a tiny generator needs: pictures with cameras, features without a network."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.pictures import PictureSet
from tondo.gan.options import TrainOptions
from tondo.gan.training.stages import Pretraining
from tondo.gan.training.state import TrainInputs, TrainState
from tondo.geometry.look_at import angles_of, cameras_at
from tondo.geometry.pose_prior import NAMED
from tondo.runs.watch import SILENT, Watch

DEFAULTS = TrainOptions()


def tuned(options: TrainOptions = DEFAULTS, **values: Any) -> TrainOptions:
    """`options` with other values of fields, whichever of its records they stand in."""
    records = {one.name: getattr(options, one.name) for one in fields(options)}
    for name, record in records.items():
        if is_dataclass(record):
            own = {one.name: values.pop(one.name) for one in fields(record) if one.name in values}
            records[name] = replace(record, **own)
    return TrainOptions(**(records | values))


class Watched:
    """Features of two scales without a network, and all pictures that were looked at."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def features(self, images: Tensor) -> list[Tensor]:
        self.seen.append(images.detach().clone())
        return [F.avg_pool2d(images, 2), F.avg_pool2d(images, 4)]


def squares() -> PictureSet:
    """Twelve opaque grey squares, 12 wide and 8 high, on nothing, from known cameras."""
    images = torch.zeros(12, 4, 32, 32, dtype=torch.uint8)
    images[:, :3, 12:20, 10:22], images[:, 3, 12:20, 10:22] = 128, 255
    turns = torch.linspace(-3, 3, 12)
    angles = torch.stack([turns, torch.zeros(12), torch.zeros(12)], dim=1)
    return PictureSet(images, *cameras_at(angles, 20.0, 5.8, 32), is_plain=True)


def train_inputs(pictures: PictureSet, watched: Watched) -> TrainInputs:
    assert pictures.viewmats is not None
    angles = angles_of(pictures.viewmats)
    return TrainInputs(pictures, NAMED["turntable"], watched, tuned(batch=8), angles)


def pretrained(
    state: TrainState, inputs: TrainInputs, count: int, watch: Watch = SILENT
) -> TrainState:
    """`state` after pretraining on `count` photographs."""
    pretraining = Pretraining(state, inputs, count, watch=watch)
    while (fraction := pretraining.fraction()) < 1:
        pretraining.advance(fraction)
    pretraining.end()
    return state
