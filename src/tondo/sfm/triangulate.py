"""Points for photos whose poses are known: SIFT matches that agree with the poses, triangulated."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from tondo.data.photos import Photo, PointCloud
from tondo.data.similarity import Similarity
from tondo.io.child import in_child
from tondo.io.posed.transforms_json import OPENGL_FROM_OPENCV
from tondo.sfm.motion.features import Features, choose_pairs, extract_features
from tondo.sfm.motion.tracks import KnownView, Tracks, triangulate_matches

# Fewer points than this say nothing about the shape of a scene.
MIN_POINTS = 100  # chosen
# So many times as many features must there be before it is asked how the poses are meant.
_TELLING = 10  # chosen
# What a world-to-camera matrix, read as OpenCV's from a file, would be if the file meant otherwise.
_CONVENTIONS: tuple[tuple[str, Callable[[NDArray], NDArray]], ...] = (
    (
        "the cameras' y and z axes were negated (OpenCV's axes instead of OpenGL's)",
        lambda viewmat: OPENGL_FROM_OPENCV @ viewmat,
    ),
    (
        "the matrices were inverted (world-to-camera instead of camera-to-world) and the cameras' "
        "y and z axes negated (OpenCV's axes instead of OpenGL's)",
        lambda viewmat: np.linalg.inv(OPENGL_FROM_OPENCV @ viewmat),
    ),
    (
        "the matrices were inverted (world-to-camera instead of camera-to-world)",
        lambda viewmat: OPENGL_FROM_OPENCV @ np.linalg.inv(viewmat) @ OPENGL_FROM_OPENCV,
    ),
    (
        "the matrices were inverted (camera-to-world instead of world-to-camera)",
        lambda viewmat: np.linalg.inv(viewmat),
    ),
)


def triangulate(
    photos: tuple[Photo, ...],
    *,
    max_size: int = 800,
    max_features: int = 2000,
    seed: int = 0,
) -> PointCloud | None:
    """Triangulate points seen by photos with known cameras; the cameras stay as they are.

    Args:
        photos: undistorted, with poses. Where a photo has alpha, only its solid part is used.
        max_size: longest side, in pixels, of the pictures in which features are looked for.
        max_features: at most so many features per photo.
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
    features = _features(photos, max_size, max_features)
    views = [_known_view(photo, one) for photo, one in zip(photos, features, strict=True)]
    return _point_cloud(_tracks(views, seed), photos)


def fitting_convention(
    photos: tuple[Photo, ...], world_from_scene: Similarity, *, seed: int = 0
) -> str | None:
    """How the poses would have to be meant so that the photos agree with them, in words.

    To be asked where `triangulate` found nothing: programs write poses with other axes or the other
    way round, and every one of these is a possible pose.

    Returns:
        What would make them fit, or None if nothing does.

    Raises:
        OutputError, InputError: as `triangulate`.
    """
    features = _features(photos, 800, 1000)
    if sum(one.count for one in features) < _TELLING * MIN_POINTS:
        return None
    given = [_known_view(photo, one) for photo, one in zip(photos, features, strict=True)]
    scale, shift = world_from_scene.scale, np.array(world_from_scene.translation)
    worlds = [view.viewmat.copy() for view in given]
    for viewmat in worlds:
        viewmat[:3, 3] = scale * viewmat[:3, 3] - viewmat[:3, :3] @ shift
    counts = {}
    for name, meant in _CONVENTIONS:
        views = [
            replace(view, viewmat=meant(viewmat))
            for view, viewmat in zip(given, worlds, strict=True)
        ]
        counts[name] = len(_tracks(views, seed).points)
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] >= MIN_POINTS else None


def _features(photos: tuple[Photo, ...], max_size: int, max_features: int) -> list[Features]:
    # Features of the picture's border and of cut-out edges would not be points of the scene.
    return [
        extract_features(
            cv2.cvtColor(photo.image.numpy(), cv2.COLOR_RGB2GRAY),
            max_size=max_size,
            max_features=max_features,
            contrast=0.01,
            mask=_solid_mask(photo),
        )
        for photo in photos
    ]


def _tracks(views: list[KnownView], seed: int) -> Tracks:
    pairs = choose_pairs([view.features for view in views], in_order=False, neighbours=12)
    with tempfile.TemporaryDirectory(prefix="tondo-points-") as folder:
        return in_child(
            triangulate_matches,
            views,
            pairs,
            Path(folder),
            seed,
            what="find points in the photos",
            folder=Path(folder),
        )


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
