"""Where the first splats come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from tondo.data.photos import PhotoSet, PointCloud
from tondo.errors import InputError
from tondo.io.mask_files import AUTO, UNKNOWN, Outside
from tondo.io.posed.photos import load_photos
from tondo.sfm.triangulate import fitting_convention, triangulate
from tondo.splats.from_points import random_points

TRIANGULATE_SIZE = 960  # pixels; small training pictures have too few features
RANDOM_POINTS = 5_000  # fewer train faster at first and growth puts the rest where it matters
# Random ones at 0.5 hide each other (docs/notes/splats.md).
MEASURED_OPACITY, RANDOM_OPACITY = 0.5, 0.1


@dataclass(frozen=True)
class Start:
    """The first points.

    Attributes:
        cloud: the points.
        origin: where they are from, in words.
        opacity: 0..1 of the first splats; random ones must be able to vanish.
    """

    cloud: PointCloud
    origin: str
    opacity: float


def starting_points(
    posed: Path,
    photos: PhotoSet,
    max_size: int,
    seed: int,
    masks: str = AUTO,
    outside_masks: Outside = UNKNOWN,
) -> Start:
    """Points seen from training photos.

    The data's own points (structure from motion); else points triangulated from the training
    photos; else random ones where the cameras look.

    Raises:
        InputError: the photos agree with the poses only if these are meant otherwise.
    """
    if photos.points is not None and len(photos.points.points):
        return Start(photos.points, "from structure from motion", MEASURED_OPACITY)
    cameras = [photo.camera for photo in photos.train]
    if not photos.is_render:
        train = photos.train
        if max_size < TRIANGULATE_SIZE:
            names = {photo.name for photo in train}
            large = load_photos(
                posed,
                max_size=TRIANGULATE_SIZE,
                holdout=0,
                load_points=False,
                masks=masks,
                outside_masks=outside_masks,
                world_from_scene=photos.world_from_scene,
            )
            train = tuple(p for p in (*large.train, *large.test) if p.name in names)
        cloud = triangulate(train, seed=seed)
        if cloud is not None:
            return Start(cloud, "triangulated from the training photos", MEASURED_OPACITY)
        meant = fitting_convention(train, photos.world_from_scene, seed=seed)
        if meant is not None:
            raise InputError(
                f"the poses of {posed} contradict its photos, which would agree with them if "
                f"{meant}: convert them"
            )
    generator = torch.Generator().manual_seed(seed)
    cloud = random_points(cameras, RANDOM_POINTS, generator)
    return Start(cloud, "random, where the cameras look", RANDOM_OPACITY)
