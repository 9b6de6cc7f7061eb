"""A field as a method of reconstruction."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.field import FieldScene, FrequencyField
from tondo.data.photos import PhotoSet
from tondo.data.splats import Exposures
from tondo.errors import InputError
from tondo.geometry.focus import focus, object_share
from tondo.kernels.fields.rays import Tape
from tondo.nerf import train
from tondo.nerf.bounds import marching_of, space_of
from tondo.nerf.options import NerfOptions, suited
from tondo.nerf.ray_batches import pixels_of
from tondo.nerf.train import TrainInputs, TrainState
from tondo.runs.method import Fitting, Report, Request, check_photo_count


class FieldFitting(Fitting[FieldScene]):
    """A field being fitted to photos."""

    def __init__(self, state: TrainState, inputs: TrainInputs, photos: PhotoSet) -> None:
        super().__init__(state, inputs.horizon)
        self._state, self._inputs, self._photos = state, inputs, photos
        self._tape = Tape()

    def advance(self, fraction: float) -> Report:
        return train.advance(self._state, self._inputs, self._tape, fraction)

    def tensors(self) -> dict[str, Tensor]:
        return train.to_tensors(self._state)

    def scene(self) -> FieldScene:
        t, inputs = self._state, self._inputs
        cameras = self.cameras()
        center, distance = focus(cameras)
        radius = distance * object_share(cameras, center, distance)
        exposures = None
        if inputs.exposure:
            views = [camera.viewmat for camera in cameras]
            exposures = Exposures(torch.stack(views), t.exposures.clone())
        return FieldScene(
            t.field,
            inputs.marching,
            t.background.clone(),
            self._photos.up,
            radius,
            center,
            exposures,
            self._photos.world_from_scene,
        )

    def cameras(self) -> list[Camera]:
        return [photo.camera for photo in self._photos.train]

    def summary(self) -> dict[str, Any]:
        if isinstance(self._state.field, FrequencyField):
            return {}
        found = {"occupied_cells": int((self._state.field.space.occupied > 0).sum())}
        if self._state.recovered:
            found["occupancy_recovered"] = self._state.recovered
        return found


def train_inputs(request: Request, config: NerfOptions) -> TrainInputs:
    """What training is given. Raises InputError."""
    photos = request.photos
    cameras = [photo.camera for photo in photos.train]
    config = suited(config, bounded=photos.has_alpha, photos=len(photos.train))
    assert config.sampling.cells is not None
    space = space_of(cameras, photos.has_alpha, config.sampling.cells)
    pixels = pixels_of(photos.train)
    if not len(pixels.colors):
        raise InputError(
            f"the masks of {photos.source} leave no pixel of any photo to learn from: white (or "
            "above half) in a mask is what counts"
        )
    return TrainInputs(
        pixels,
        config,
        request.horizon,
        space,
        marching_of(space, config),
        request.background,
        request.exposure,
    )


def begin(request: Request, config: NerfOptions) -> FieldFitting:
    """A fitting at step 0."""
    inputs = train_inputs(request, config)
    state = train.begin(inputs, len(request.photos.train), request.seed)
    return FieldFitting(state, inputs, request.photos)


def resume(request: Request, config: NerfOptions, tensors: dict[str, Tensor]) -> FieldFitting:
    """The fitting whose `tensors` these were.

    Raises:
        InputError: they are of another number of photos.
        KeyError, ValueError: they are not those of such a field.
    """
    check_photo_count(len(tensors["exposures"]), len(request.photos.train))
    inputs = train_inputs(request, config)
    return FieldFitting(train.from_tensors(tensors, inputs), inputs, request.photos)
