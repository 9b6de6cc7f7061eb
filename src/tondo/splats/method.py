"""Splats as a method of reconstruction."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.photos import PhotoSet, PointCloud
from tondo.data.splats import Exposures, Scene, Splats
from tondo.geometry.focus import camera_reach, focus
from tondo.runs.method import Fitting, Report, Request, check_photo_count
from tondo.splats import from_points, train
from tondo.splats.initial_points import Start, starting_points
from tondo.splats.options import SplatOptions, suited
from tondo.splats.per_photo import background, corrected
from tondo.splats.step import Workspace
from tondo.splats.train import TrainInputs, TrainState


class SplatFitting(Fitting[Scene]):
    """Splats being fitted to photos."""

    def __init__(self, state: TrainState, inputs: TrainInputs, photos: PhotoSet) -> None:
        super().__init__(state, inputs.horizon)
        self._state, self._inputs, self._photos = state, inputs, photos
        self._work = Workspace()

    def advance(self, fraction: float) -> Report:
        return train.advance(self._state, self._inputs, self._work, fraction)

    def tensors(self) -> dict[str, Tensor]:
        return train.to_tensors(self._state)

    def scene(self) -> Scene:
        return scene_of(self._state, self._inputs, self._photos)

    def cameras(self) -> list[Camera]:
        cameras = [photo.camera for photo in self._photos.train]
        if not self._inputs.config.refine_poses:
            return cameras
        fixes = self._state.corrections
        return [corrected(camera, fixes, index) for index, camera in enumerate(cameras)]

    def summary(self) -> dict[str, Any]:
        return {"splats": len(self._state.parameters)}


def train_inputs(request: Request, config: SplatOptions) -> TrainInputs:
    """What training is given."""
    photos = request.photos.train
    reach = camera_reach([photo.camera for photo in photos])
    background, exposure = request.background, request.exposure
    return TrainInputs(photos, config, request.horizon, background, reach, exposure)


def begin(request: Request, config: SplatOptions) -> tuple[SplatFitting, Start]:
    """A fitting at step 0, and where its first points came from."""
    config = suited(config, request.photos.pixels)
    start = starting_points(
        request.posed,
        request.photos,
        request.max_size,
        request.seed,
        request.masks,
        request.outside_masks,
    )
    state = train.begin(
        _first_splats(start, config, request.seed), request.photos.train, request.seed
    )
    return SplatFitting(state, train_inputs(request, config), request.photos), start


def resume(request: Request, config: SplatOptions, tensors: dict[str, Tensor]) -> SplatFitting:
    """The fitting whose `tensors` these were.

    Raises:
        InputError: they are of another number of photos.
        KeyError, ValueError: they are not those of splats.
    """
    state = train.from_tensors(tensors)
    config = suited(config, request.photos.pixels)
    check_photo_count(len(state.corrections.visits), len(request.photos.train))
    return SplatFitting(state, train_inputs(request, config), request.photos)


def _first_splats(start: Start, config: SplatOptions, seed: int) -> Splats:
    cloud = start.cloud
    most = config.max_splats
    assert most is not None  # `suited` decides
    if len(cloud.points) > most:
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randperm(len(cloud.points), generator=generator)[:most].sort().values
        cloud = PointCloud(cloud.points[rows], cloud.colors[rows])
    return from_points.splats_from_points(cloud, sh_degree=config.sh_degree, opacity=start.opacity)


def scene_of(state: TrainState, inputs: TrainInputs, photos: PhotoSet) -> Scene:
    """The scene as it stands; shares memory with the state."""
    center, distance = focus([photo.camera for photo in photos.train])
    splats = state.parameters.splats
    solid = splats.opacity_logits > 0
    away = (splats.means[solid] - center).norm(dim=1)
    radius = distance
    if len(away):
        radius = min(distance, max(float(away.quantile(0.9)), 1e-3 * distance))
    fitted = state.corrections
    exposures = None
    if inputs.exposure:
        exposures = Exposures(fitted.viewmats.clone(), fitted.exposures.clone())
    behind = background(fitted, inputs.background.color)
    place = photos.world_from_scene
    return Scene(splats, behind, photos.up, radius, center, exposures, place)
