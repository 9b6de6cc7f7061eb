"""Where the first splats come from."""

from __future__ import annotations

from pathlib import Path

import torch

from tondo.data.photos import PhotoSet, PointCloud
from tondo.io.photos import load_posed
from tondo.poses.triangulate import triangulate
from tondo.splats.init import random_points

TRIANGULATE_SIZE = 960  # pixels; small training pictures have too few features
RANDOM_POINTS = 20_000


def starting_points(
    posed: Path, photos: PhotoSet, max_size: int, seed: int
) -> tuple[PointCloud, str]:
    """Points seen from training photos, and in words where they are from.

    The data's own points (structure from motion); else points triangulated from the training
    photos; else random ones where the cameras look.
    """
    if photos.points is not None and len(photos.points.points):
        return photos.points, "from structure from motion"
    cameras = [photo.camera for photo in photos.train]
    if not photos.is_render:
        train = photos.train
        if max_size < TRIANGULATE_SIZE:
            names = {photo.name for photo in train}
            large = load_posed(posed, max_size=TRIANGULATE_SIZE, holdout=0, load_points=False)
            train = tuple(p for p in (*large.train, *large.test) if p.name in names)
        cloud = triangulate(train, seed=seed)
        if cloud is not None:
            return cloud, "triangulated from the training photos"
    generator = torch.Generator().manual_seed(seed)
    return random_points(cameras, RANDOM_POINTS, generator), "random, where the cameras look"
