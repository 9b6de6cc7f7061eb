"""Structure from motion as a whole, run in a child process (`tondo.io.child`).

pycolmap aborts the process that it runs in, instead of raising, for example where the disk is full.
This module must import quickly, since the child imports it anew: nothing here needs torch
(`tests/poses/test_place.py` holds that).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pycolmap

from tondo.poses.features import Features, choose_pairs
from tondo.poses.mapping import map_incrementally, refine_lens
from tondo.poses.matching import count_inliers, match_pairs, write_database
from tondo.poses.quiet import quiet_colmap

Say = Callable[[str, int, int], None]
MATCHING, PLACING = "matching", "placing cameras"
# With so many photos of one camera its full lens model (two focal lengths, the principal point,
# four coefficients of distortion) can be told from them; with fewer a simpler one is safer.
MIN_PHOTOS_FOR_FULL_LENS = 20


@dataclass(frozen=True)
class Unplaced:
    """What placing a photo needs of it; see `tondo.poses.gather.GatheredPhoto`."""

    name: str
    width: int
    height: int
    focal: float | None
    camera_key: tuple[str | int, ...]
    features: Features


def place_photos(
    photos: Sequence[Unplaced], work: Path, images: Path, in_order: bool, seed: int, say: Say
) -> tuple[np.ndarray, list[Path]]:
    """Match and map; photos that stay out get a second chance with all pairs.

    Args:
        photos: at least two.
        work: a folder for files on the way, which are left there. images: where the photos are.
        in_order: they are frames of a video.
        seed: of every random choice.
        say: called with (`MATCHING` or `PLACING`, done, total).

    Returns:
        [N, N] verified matches, and the folders of the models, in COLMAP's binary format, the
        largest first.
    """
    with quiet_colmap():
        inliers, models = _find_poses(photos, work, images, in_order=in_order, seed=seed, say=say)
        if models:
            refine_lens(models[0], MIN_PHOTOS_FOR_FULL_LENS)
        folders = [_write_model(model, work / f"model{n}") for n, model in enumerate(models)]
    return inliers, folders


def _write_model(model: pycolmap.Reconstruction, folder: Path) -> Path:
    """Write a model and look whether it arrived: pycolmap does not say where the disk is full."""
    folder.mkdir()
    model.write_binary(folder)
    again = pycolmap.Reconstruction(folder)
    counts = [(one.num_reg_images(), one.num_points3D()) for one in (model, again)]
    if counts[0] != counts[1]:
        raise RuntimeError(f"{folder} was written with {counts[0]} images and points: {counts[1]}")
    return folder


def _find_poses(
    photos: Sequence[Unplaced], work: Path, images: Path, *, in_order: bool, seed: int, say: Say
) -> tuple[np.ndarray, list[pycolmap.Reconstruction]]:
    """Match and map; photos that stay out get a second chance with all pairs.

    Returns [N, N] verified matches, and the models, the largest first.
    """
    names = [photo.name for photo in photos]
    features = [photo.features for photo in photos]
    database = work / "database.db"
    cameras, camera_of = _shared_cameras(photos)
    write_database(database, cameras, names, camera_of, features)
    pairs = choose_pairs(features, in_order=in_order)
    models: list[pycolmap.Reconstruction] = []
    for round_number in (1, 2):
        match_pairs(database, names, pairs, seed=seed, on_progress=lambda d, t: say(MATCHING, d, t))
        map_folder = work / f"map{round_number}"
        map_folder.mkdir()
        say(PLACING, 0, len(photos))
        found = map_incrementally(
            database,
            images,
            map_folder,
            seed=seed,
            on_registered=lambda placed: say(PLACING, placed, len(photos)),
        )
        if _placed(found) > _placed(models) or not models:
            models = found
        tried = set(pairs)
        left_out = _left_out(names, models)
        pairs = sorted(
            {
                (min(i, j), max(i, j))
                for i in left_out
                for j in range(len(photos))
                if i != j and (min(i, j), max(i, j)) not in tried
            }
        )
        # Hundreds of strays would take longer than the rest; they are hardly one scene anyway.
        if not pairs or len(left_out) * 2 > len(photos):
            break
    return count_inliers(database, len(photos)), models


def _placed(models: Sequence[pycolmap.Reconstruction]) -> int:
    return models[0].num_reg_images() if models else 0


def _left_out(names: Sequence[str], models: Sequence[pycolmap.Reconstruction]) -> list[int]:
    placed = {im.name for im in models[0].images.values() if im.has_pose} if models else set()
    return [index for index, name in enumerate(names) if name not in placed]


def _shared_cameras(photos: Sequence[Unplaced]) -> tuple[list[pycolmap.Camera], list[int]]:
    """One camera for all photos with the same key, with the focal length of EXIF to start from."""
    keys = [photo.camera_key for photo in photos]
    distinct = sorted(set(keys), key=str)
    cameras = []
    for number, key in enumerate(distinct, start=1):
        photo = photos[keys.index(key)]
        full = keys.count(key) >= MIN_PHOTOS_FOR_FULL_LENS
        # Without EXIF, that of a usual phone or standard zoom (COLMAP's own guess as well).
        focal = photo.focal or 1.2 * max(photo.width, photo.height)
        camera = pycolmap.Camera.create_from_model_name(
            number, "OPENCV" if full else "SIMPLE_RADIAL", focal, photo.width, photo.height
        )
        camera.has_prior_focal_length = photo.focal is not None
        cameras.append(camera)
    return cameras, [distinct.index(key) for key in keys]
