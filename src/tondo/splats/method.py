"""Splats as a method of reconstruction."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.photos import PhotoSet, PointCloud
from tondo.data.splats import Exposures, Scene, Splats
from tondo.geometry.focus import camera_reach, focus
from tondo.runs.method import Fitting, OtherPhotos, Report, Request
from tondo.splats import from_points, train
from tondo.splats.config import SplatConfig
from tondo.splats.initial_points import Start, starting_points
from tondo.splats.per_photo import background, corrected
from tondo.splats.train import Setting, Training


class SplatFitting(Fitting[Scene]):
    """Splats being fitted to photos."""

    def __init__(self, training: Training, setting: Setting, photos: PhotoSet) -> None:
        super().__init__(training)
        self._training = training
        self._setting = setting
        self._photos = photos

    def reports(self) -> Iterator[Report]:
        yield from train.run(self._training, self._setting)

    def tensors(self) -> dict[str, Tensor]:
        return train.to_tensors(self._training)

    def scene(self) -> Scene:
        return scene_of(self._training, self._setting, self._photos)

    def cameras(self) -> list[Camera]:
        cameras = [photo.camera for photo in self._photos.train]
        if not self._setting.config.refine_poses:
            return cameras
        fixes = self._training.corrections
        return [corrected(camera, fixes, index) for index, camera in enumerate(cameras)]

    def summary(self) -> dict[str, Any]:
        return {"splats": len(self._training.parameters)}


def setting_of(request: Request, config: SplatConfig) -> Setting:
    """What training is given. Raises OptionError."""
    cameras = [photo.camera for photo in request.photos.train]
    return Setting(
        request.photos.train,
        dataclasses.replace(config, exposure=request.exposure),
        request.horizon,
        request.first_background(),
        request.random_background,
        camera_reach(cameras),
        request.background == "learned",
    )


def begin(request: Request, config: SplatConfig) -> tuple[SplatFitting, Start]:
    """A fitting at step 0, and where its first points came from."""
    setting = setting_of(request, config)
    start = starting_points(
        request.posed, request.photos, request.max_size, request.seed, request.masks
    )
    splats = _first_splats(start, config, request.seed)
    training = train.begin(splats, request.photos.train, request.seed)
    return SplatFitting(training, setting, request.photos), start


def resume(request: Request, config: SplatConfig, tensors: dict[str, Tensor]) -> SplatFitting:
    """The fitting whose `tensors` these were.

    Raises:
        OtherPhotos: they are of another number of photos.
        KeyError, ValueError: they are not those of splats.
    """
    training = train.from_tensors(tensors)
    found, wanted = len(training.corrections.visits), len(request.photos.train)
    if found != wanted:
        raise OtherPhotos(found, wanted)
    return SplatFitting(training, setting_of(request, config), request.photos)


def _first_splats(start: Start, config: SplatConfig, seed: int) -> Splats:
    cloud = start.cloud
    most = config.max_splats
    if len(cloud.points) > most:
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randperm(len(cloud.points), generator=generator)[:most].sort().values
        cloud = PointCloud(cloud.points[rows], cloud.colors[rows])
    return from_points.splats_from_points(cloud, sh_degree=config.sh_degree, opacity=start.opacity)


def scene_of(training: Training, setting: Setting, photos: PhotoSet) -> Scene:
    """The scene as it stands; shares memory with the training."""
    center, distance = focus([photo.camera for photo in photos.train])
    splats = training.parameters.splats
    solid = splats.opacity_logits > 0
    away = (splats.means[solid] - center).norm(dim=1)
    radius = distance
    if len(away):
        radius = min(distance, max(float(away.quantile(0.9)), 1e-3 * distance))
    fitted = training.corrections
    exposures = None
    if setting.config.exposure:
        exposures = Exposures(fitted.viewmats.clone(), fitted.exposures.clone())
    behind = background(fitted, setting.background)
    place = photos.world_from_scene
    return Scene(splats, behind, photos.up, radius, center, exposures, place)
