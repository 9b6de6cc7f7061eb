"""Points for photos whose poses are known: SIFT matches that agree with the poses, triangulated."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch

from tondo.data.photos import Photo, PointCloud
from tondo.io.child import in_child
from tondo.poses.dense import densify
from tondo.poses.features import Features, choose_pairs, extract_features
from tondo.poses.tracks import KnownView, Tracks, triangulate_matches

# Fewer points than this say nothing about the shape of a scene.
MIN_POINTS = 100


def triangulate(
    photos: tuple[Photo, ...],
    *,
    max_size: int = 800,
    max_features: int = 2000,
    dense_points: int = 0,
    seed: int = 0,
) -> PointCloud | None:
    """Triangulate points seen by photos with known cameras; the cameras stay as they are.

    Args:
        photos: undistorted, with poses. Where a photo has alpha, only its solid part is used.
        max_size: longest side, in pixels, of the pictures in which features are looked for.
        max_features: at most so many features per photo.
        dense_points: add up to so many points from depth maps; see `tondo.poses.dense.densify`.
        seed: of pycolmap's random choices.

    Returns:
        Points in the cameras' world with the mean colour of the pixels that saw them, or None if
        fewer than 100 were found (too few photos, no texture, no overlap, or wrong poses).

    Raises:
        OutputError: there is no room in the system's folder for temporary files.
        InputError: a library broke off on these photos.
    """
    if len(photos) < 2:
        return None
    # Features of the picture's border and of cut-out edges would not be points of the scene.
    features = [
        extract_features(
            cv2.cvtColor(photo.image.numpy(), cv2.COLOR_RGB2GRAY),
            max_size=max_size,
            max_features=max_features,
            contrast=0.01,
            mask=_solid_mask(photo),
        )
        for photo in photos
    ]
    pairs = choose_pairs(features, in_order=False, neighbours=12)
    views = [_known_view(photo, one) for photo, one in zip(photos, features, strict=True)]
    with tempfile.TemporaryDirectory(prefix="tondo-points-") as folder:
        tracks = in_child(
            triangulate_matches,
            views,
            pairs,
            Path(folder),
            seed,
            what="find points in the photos",
            folder=Path(folder),
        )
    cloud = _point_cloud(tracks, photos)
    if cloud is not None and dense_points > 0:
        cloud = densify(photos, cloud, max_points=dense_points, seed=seed)
    return cloud


def _solid_mask(photo: Photo) -> np.ndarray | None:
    """[H, W] uint8, 255 where the photo shows something, or None if it does everywhere."""
    mask = None
    if photo.alpha is not None:
        mask = cv2.erode(photo.alpha.numpy(), np.ones((3, 3), np.uint8))
    if photo.valid is not None:
        valid = cv2.erode(photo.valid.numpy().astype(np.uint8) * 255, np.ones((5, 5), np.uint8))
        mask = valid if mask is None else np.minimum(mask, valid)
    return mask


def _known_view(photo: Photo, features: Features) -> KnownView:
    camera = photo.camera
    K, viewmat = camera.K.double().numpy(), camera.viewmat.double().numpy()
    return KnownView(K, viewmat, camera.width, camera.height, features)


def _point_cloud(tracks: Tracks, photos: tuple[Photo, ...]) -> PointCloud | None:
    """The points with the mean colour of the pixels that saw them."""
    count = len(tracks.points)
    if count < MIN_POINTS:
        return None
    sums = np.zeros((count, 3), np.int64)
    for view, photo in enumerate(photos):
        seen = tracks.view == view
        image = photo.image.numpy()
        x, y = tracks.xy[seen].astype(np.int64).T
        pixels = image[np.minimum(y, image.shape[0] - 1), np.minimum(x, image.shape[1] - 1)]
        np.add.at(sums, tracks.point[seen], pixels)
    colors = sums / np.bincount(tracks.point, minlength=count)[:, None]
    return PointCloud(
        torch.from_numpy(tracks.points).float(),
        torch.from_numpy(np.rint(colors).astype(np.uint8)),
    )
