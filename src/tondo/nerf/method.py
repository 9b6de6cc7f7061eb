"""A field as a method of reconstruction."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.field import FieldScene, FrequencyField
from tondo.data.photos import PhotoSet
from tondo.data.splats import Exposures
from tondo.errors import InputError
from tondo.geometry.focus import focus, object_share
from tondo.nerf import train
from tondo.nerf.bounds import marching_of, space_of
from tondo.nerf.config import NerfConfig, suited
from tondo.nerf.ray_batches import pixels_of
from tondo.nerf.train import Setting, Training
from tondo.runs.method import Fitting, OtherPhotos, Report, Request


class FieldFitting(Fitting[FieldScene]):
    """A field being fitted to photos."""

    def __init__(self, training: Training, setting: Setting, photos: PhotoSet) -> None:
        super().__init__(training)
        self._training = training
        self._setting = setting
        self._photos = photos

    def reports(self) -> Iterator[Report]:
        yield from train.run(self._training, self._setting)

    def tensors(self) -> dict[str, Tensor]:
        return train.to_tensors(self._training)

    def scene(self) -> FieldScene:
        t, setting = self._training, self._setting
        cameras = self.cameras()
        center, distance = focus(cameras)
        radius = distance * object_share(cameras, center, distance)
        exposures = None
        if setting.config.exposure:
            views = [camera.viewmat for camera in cameras]
            exposures = Exposures(torch.stack(views), t.exposures.clone())
        return FieldScene(
            t.field,
            setting.marching,
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
        if isinstance(self._training.field, FrequencyField):
            return {}
        found = {"occupied_cells": int((self._training.field.space.occupied > 0).sum())}
        if self._training.recovered:
            found["occupancy_recovered"] = self._training.recovered
        return found


def setting_of(request: Request, config: NerfConfig) -> Setting:
    """What training is given. Raises OptionError, InputError."""
    photos = request.photos
    cameras = [photo.camera for photo in photos.train]
    config = suited(
        dataclasses.replace(config, exposure=request.exposure),
        bounded=request.has_alpha,
        photos=len(photos.train),
    )
    assert config.cells is not None
    space = space_of(cameras, request.has_alpha, config.cells)
    pixels = pixels_of(photos.train)
    if not len(pixels.colors):
        raise InputError(
            f"the masks of {photos.source} leave no pixel of any photo to learn from: white (or "
            "above half) in a mask is what counts"
        )
    return Setting(
        pixels,
        config,
        request.horizon,
        space,
        marching_of(space, config),
        request.first_background(),
        request.random_background,
        request.background == "learned",
    )


def begin(request: Request, config: NerfConfig) -> FieldFitting:
    """A fitting at step 0."""
    setting = setting_of(request, config)
    training = train.begin(setting, len(request.photos.train), request.seed)
    return FieldFitting(training, setting, request.photos)


def resume(request: Request, config: NerfConfig, tensors: dict[str, Tensor]) -> FieldFitting:
    """The fitting whose `tensors` these were.

    Raises:
        OtherPhotos: they are of another number of photos.
        KeyError, ValueError: they are not those of such a field.
    """
    found, wanted = len(tensors["exposures"]), len(request.photos.train)
    if found != wanted:
        raise OtherPhotos(found, wanted)
    setting = setting_of(request, config)
    return FieldFitting(train.from_tensors(tensors, setting), setting, request.photos)
