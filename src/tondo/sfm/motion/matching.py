"""Features into a COLMAP database, and the matching and verification of photo pairs there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pycolmap

from tondo.sfm.motion.features import Features

# Pairs that go to pycolmap in one call: enough to reuse its search trees, few enough that the
# progress bar moves.
PAIRS_PER_CALL = 60


@contextmanager
def transaction(path: Path) -> Iterator[pycolmap.Database]:
    """A COLMAP database whose changes count at the end, all at once."""
    with pycolmap.Database.open(path) as database, pycolmap.DatabaseTransaction(database):
        yield database


def write_database(
    path: Path,
    cameras: Sequence[pycolmap.Camera],
    names: Sequence[str],
    camera_of: Sequence[int],
    features: Sequence[Features],
) -> None:
    """Make a COLMAP database of photos and their features.

    Image ids are 1, 2, ... in the order of `names`; camera ids 1, 2, ... in that of `cameras`.

    Args:
        path: where to write it; must not exist.
        cameras: the distinct cameras.
        names: one per photo, in order.
        camera_of: for each photo the index of its camera.
        features: for each photo its features.
    """
    with transaction(path) as database:
        for number, camera in enumerate(cameras, start=1):
            camera.camera_id = number
            database.write_camera(camera, use_camera_id=True)
            rig = pycolmap.Rig(rig_id=number)
            rig.add_ref_sensor(camera.sensor_id)
            database.write_rig(rig, use_rig_id=True)
        for number, (name, camera_index) in enumerate(zip(names, camera_of, strict=True), start=1):
            image = pycolmap.Image(name=name, camera_id=camera_index + 1, image_id=number)
            database.write_image(image, use_image_id=True)
            frame = pycolmap.Frame(frame_id=number, rig_id=camera_index + 1)
            frame.add_data_id(image.data_id)
            database.write_frame(frame, use_frame_id=True)
            one = features[number - 1]
            database.write_keypoints(number, one.keypoints)
            database.write_descriptors(
                number,
                pycolmap.FeatureDescriptors(
                    type=pycolmap.FeatureExtractorType.SIFT, data=one.descriptors
                ),
            )


def match_pairs(
    database_path: Path,
    names: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    *,
    seed: int,
    verify: bool = True,
    max_error: float = 4.0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Match the features of the given pairs (index pairs into `names`) and verify the geometry.

    Results go into the database, the same ones for any number of threads. `on_progress` is called
    with (pairs done, pairs in all). `max_error`: how far a verified match may lie from its epipolar
    line, pixels.
    """
    matching = pycolmap.FeatureMatchingOptions()
    matching.use_gpu = False
    matching.skip_geometric_verification = not verify
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = seed
    verification.ransac.max_error = max_error
    list_path = database_path.with_suffix(".pairs.txt")
    for start in range(0, len(pairs), PAIRS_PER_CALL):
        some = pairs[start : start + PAIRS_PER_CALL]
        list_path.write_text("".join(f"{names[i]} {names[j]}\n" for i, j in some))
        pairing = pycolmap.ImportedPairingOptions()
        pairing.match_list_path = list_path
        pycolmap.match_image_pairs(database_path, matching, pairing, verification)
        on_progress(min(start + PAIRS_PER_CALL, len(pairs)), len(pairs))
    list_path.unlink(missing_ok=True)


def read_matches(database_path: Path) -> dict[tuple[int, int], np.ndarray]:
    """For pairs (i, j) of photos, i < j, their matches [M, 2], verified or not."""
    with pycolmap.Database.open(database_path) as database:
        ids, found = database.read_all_matches()
    matches = {}
    for pair_id, rows in zip(ids, found, strict=True):
        first, second = pycolmap.pair_id_to_image_pair(pair_id)
        matches[first - 1, second - 1] = np.asarray(rows)
    return matches


def verified_pairs(database: pycolmap.Database) -> list[tuple[tuple[int, int], int]]:
    """Pairs (image ids) with verified matches, and how many each has."""
    ids, numbers = database.read_two_view_geometry_num_inliers()
    pairs = map(pycolmap.pair_id_to_image_pair, ids)
    return list(zip(pairs, map(int, numbers), strict=True))


def count_inliers(database_path: Path, count: int) -> np.ndarray:
    """[N, N] int64, how many verified matches each two of the `count` photos share."""
    inliers = np.zeros((count, count), np.int64)
    with pycolmap.Database.open(database_path) as database:
        for (first, second), number in verified_pairs(database):
            inliers[first - 1, second - 1] = inliers[second - 1, first - 1] = number
    return inliers


@contextmanager
def without_pairs(database_path: Path, pairs: Sequence[tuple[int, int]]) -> Iterator[None]:
    """Inside, the database has no verified matches of `pairs` (image ids); afterwards it has."""
    taken = []
    with transaction(database_path) as database:
        for pair in pairs:
            taken.append((pair, database.read_two_view_geometry(*pair)))
            database.delete_two_view_geometry(*pair)
    try:
        yield
    finally:
        with transaction(database_path) as database:
            for pair, geometry in taken:
                database.write_two_view_geometry(*pair, geometry)


def copy_geometries(source: Path, target: Path) -> None:
    """Give a database the verified matches of another one of the same photos and features."""
    with pycolmap.Database.open(source) as first, transaction(target) as second:
        for pair, _ in verified_pairs(first):
            second.write_two_view_geometry(*pair, first.read_two_view_geometry(*pair))
