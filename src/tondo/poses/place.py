"""Structure from motion as a whole, run in a child process (`tondo.io.child`).

pycolmap aborts the process that it runs in, instead of raising, for example where the disk is full.
This module must import quickly, since the child imports it anew: nothing here needs torch
(`tests/poses/test_place.py` holds that).

Quick first. Where photos are left out or contradict each other, slower attempts follow, and the one
with most photos that hold together is taken (`verify.sound_photos`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pycolmap

from tondo.poses.features import Features, choose_pairs
from tondo.poses.lens import AUTO, choose_lens
from tondo.poses.mapping import map_incrementally, mapping_options, other_start, relaxed_options
from tondo.poses.matching import (
    copy_geometries,
    count_inliers,
    match_pairs,
    read_matches,
    without_pairs,
    write_database,
)
from tondo.poses.quiet import quiet_colmap
from tondo.poses.thorough import thorough_features, thorough_pairs
from tondo.poses.verify import (
    MIN_MATCHES,
    disagreeing,
    drop_impossible,
    matches_agree,
    possible_images,
    sound_photos,
    weak_pairs,
)

Say = Callable[[str, int, int], None]
MATCHING, PLACING, LOOKING = "matching", "placing cameras", "looking closer"
QUICK_DATABASE = "quick.db"  # of the features that photos come with
CONTRADICTED = "its place contradicts its matches with the photos that look most like it"
AMBIGUOUS = "two models that began with different photos place it differently"
IMPOSSIBLE = "its pose or lens came out as impossible numbers"
# Of two models that hold together equally well, the share of photos that they may place differently
# before neither is believed.
MOST_DISAGREEING = 0.2


@dataclass(frozen=True)
class Unplaced:
    """What placing a photo needs of it; see `tondo.poses.gather.GatheredPhoto`."""

    name: str
    width: int
    height: int
    focal: float | None
    camera_key: tuple[str | int | float, ...]
    features: Features


@dataclass(frozen=True)
class Placement:
    """What structure from motion found.

    Attributes:
        inliers: [N, N] int64, verified matches of photos i and j.
        matches: of pairs (i, j), i < j, the matches [M, 2] of the features that photos come with,
            verified or not.
        folders: of the models, in COLMAP's binary format, the largest first.
        rejected: names of photos that were placed and then not believed, and why.
        lens: the lens model that was chosen and why; empty without a model.
        doubts: what the photos leave open or contradict, sentences.
        distrust: why the whole model is not to be believed; empty if it is.
    """

    inliers: np.ndarray
    matches: dict[tuple[int, int], np.ndarray]
    folders: tuple[Path, ...]
    rejected: dict[str, str]
    lens: str
    doubts: tuple[str, ...]
    distrust: str


@dataclass(frozen=True)
class _Attempt:
    """Models of one set of matches, the largest first; which photos of the first hold together."""

    database: Path
    models: list[pycolmap.Reconstruction]
    sound: frozenset[str]
    other: list[pycolmap.Reconstruction]  # of a second start, its largest first


@dataclass(frozen=True)
class _Task:
    """What all attempts share."""

    photos: Sequence[Unplaced]
    work: Path
    images: Path
    seed: int
    say: Say

    @property
    def names(self) -> list[str]:
        return [photo.name for photo in self.photos]


def place_photos(
    photos: Sequence[Unplaced],
    work: Path,
    images: Path,
    in_order: bool,
    seed: int,
    lens: str,
    say: Say,
) -> Placement:
    """Match, map and verify.

    Args:
        photos: at least two.
        work: a folder for files on the way, which are left there. images: where the photos are.
        in_order: they are frames of a video.
        seed: of every random choice.
        lens: one of `lens.LENSES`.
        say: called with (`MATCHING`, `PLACING` or `LOOKING`, done, total).
    """
    with quiet_colmap():
        task = _Task(photos, work, images, seed, say)
        best = _best_attempt(task, in_order, lens)
        inliers = count_inliers(best.database, len(photos))
        matches = read_matches(work / QUICK_DATABASE)
        if not best.models:
            return Placement(inliers, matches, (), {}, "", (), "")
        model = best.models[0]
        distrust, ambiguous = _compare_starts(best)
        rejected = _reject(model, best.sound, ambiguous)
        choice = choose_lens(model, lens, _exif_focals(model, photos))
        drop_impossible(model)
        distrust = distrust or choice.distrust
        kept = [one for one in best.models if one is model or one.num_reg_images() >= 3]
        folders = tuple(_write_model(one, work / f"model{n}") for n, one in enumerate(kept))
        return Placement(inliers, matches, folders, rejected, choice.text, choice.doubts, distrust)


def _best_attempt(task: _Task, in_order: bool, lens: str) -> _Attempt:
    """Attempt after attempt, until all photos are placed and hold together."""
    count = len(task.photos)
    features = [photo.features for photo in task.photos]
    cameras, camera_of = _shared_cameras(task.photos, lens)
    database = task.work / QUICK_DATABASE
    write_database(database, cameras, task.names, camera_of, features)
    pairs = choose_pairs(features, in_order=in_order)
    _match(task, database, pairs)
    best = _attempt(task, database, "quick")
    if len(best.sound) == count:
        return best
    if len(best.sound) * 2 < count and any(photo.focal for photo in task.photos):
        # EXIF may say nonsense.
        cameras, camera_of = _shared_cameras([_without_exif(p) for p in task.photos], lens)
        database = task.work / "without_exif.db"
        write_database(database, cameras, task.names, camera_of, features)
        _match(task, database, pairs)
        without = _attempt(task, database, "without_exif")
        if _worth(without) > _worth(best):
            best = without
        else:
            cameras, camera_of = _shared_cameras(task.photos, lens)
    best = max(best, _without_weak(task, best), key=_worth)
    if len(best.sound) == count:
        return best
    left_out = [i for i, name in enumerate(task.names) if name not in best.sound]
    database = task.work / "thorough.db"
    stronger = thorough_features(task.names, task.images, lambda d, t: task.say(LOOKING, d, t))
    write_database(database, cameras, task.names, camera_of, stronger)
    _match(task, database, thorough_pairs(features, left_out))
    thorough = _attempt(task, database, "thorough")
    best = max(best, thorough, _without_weak(task, thorough), key=_worth)
    if _hopeless(task, best, database):
        return best
    best = max(best, _attempt(task, database, "relaxed", relaxed=True), key=_worth)
    if _hopeless(task, best, database) or all(photo.focal for photo in task.photos):
        return best
    # Photos of one size need not be of one camera.
    single = task.work / "single.db"
    cameras = [cameras[number] for number in camera_of]
    write_database(single, cameras, task.names, range(count), stronger)
    copy_geometries(database, single)
    return max(best, _attempt(task, single, "single"), key=_worth)


def _without_exif(photo: Unplaced) -> Unplaced:
    return replace(photo, focal=None)


def _hopeless(task: _Task, best: _Attempt, database: Path) -> bool:
    """Whether no photo that is still left out shares matches with another one."""
    inliers = count_inliers(database, len(task.photos))
    left_out = [name not in best.sound for name in task.names]
    return not (inliers[left_out] >= MIN_MATCHES).any()


def _worth(attempt: _Attempt) -> tuple[int, int]:
    """More photos that hold together are better, then fewer that do not."""
    placed = attempt.models[0].num_reg_images() if attempt.models else 0
    return len(attempt.sound), -placed


def _match(task: _Task, database: Path, pairs: Sequence[tuple[int, int]]) -> None:
    match_pairs(
        database,
        task.names,
        pairs,
        seed=task.seed,
        on_progress=lambda done, total: task.say(MATCHING, done, total),
    )


def _attempt(task: _Task, database: Path, name: str, *, relaxed: bool = False) -> _Attempt:
    """Two models from two starts, at the same time; the one of which more holds together first."""
    options = relaxed_options if relaxed else mapping_options
    total = len(task.photos)
    task.say(PLACING, 0, total)
    # SQLite refuses two that open one file at the same moment.
    copy = Path(shutil.copy(database, task.work / f"other_{name}.db"))
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(
            other_start,
            copy,
            task.images,
            task.work / f"map_{name}_other",
            options=options(task.seed + 1),
        )
        first = map_incrementally(
            database,
            task.images,
            task.work / f"map_{name}",
            options=options(task.seed),
            on_registered=lambda placed: task.say(PLACING, placed, total),
        )
        other = second.result()
    copy.unlink()
    mine, its = _sound(first, database), _sound(other, database)
    if len(its) > len(mine):
        first, other, mine = other, first, its
    return _Attempt(database, first, mine, other)


def _sound(models: Sequence[pycolmap.Reconstruction], database: Path) -> frozenset[str]:
    if not models:
        return frozenset()
    drop_impossible(models[0])
    return frozenset(sound_photos(matches_agree(models[0], database)))


def _without_weak(task: _Task, before: _Attempt) -> _Attempt:
    """Where placed photos contradict their matches: again, without the pairs that are weak beside
    others of the same photos."""
    if not before.models or len(before.sound) == before.models[0].num_reg_images():
        return before
    with without_pairs(before.database, weak_pairs(before.database)):
        found = _attempt(task, before.database, f"{before.database.stem}_strong")
    # Judged by all matches, as every other attempt.
    return _Attempt(found.database, found.models, _sound(found.models, found.database), found.other)


def _compare_starts(best: _Attempt) -> tuple[str, set[str]]:
    """Why the whole model is not to be believed, or else which photos are not."""
    if not best.other:
        return "", set()
    second = frozenset(sound_photos(matches_agree(best.other[0], best.database)))
    if len(second) < 0.9 * len(best.sound):
        return "", set()  # the second start went worse, and says nothing
    differing = disagreeing(best.models[0], best.other[0])
    if differing is None:
        return "", set()
    differing &= best.sound & second
    if len(differing) <= MOST_DISAGREEING * len(best.sound):
        return "", differing
    return (
        f"two models that began with different photos differ in the places of {len(differing)} of "
        f"{len(best.sound)} photos, and both fit: the photos do not say which is right"
    ), set()


def _reject(
    model: pycolmap.Reconstruction, sound: frozenset[str], ambiguous: set[str]
) -> dict[str, str]:
    """Take photos that are not believed out of the model, in place; names and reasons."""
    possible = possible_images(model)
    rejected = {}
    for image_id in list(model.reg_image_ids()):
        image = model.images[image_id]
        if image_id not in possible:
            reason = IMPOSSIBLE
        elif image.name not in sound:
            reason = CONTRADICTED
        elif image.name in ambiguous:
            reason = AMBIGUOUS
        else:
            continue
        rejected[image.name] = reason
        model.deregister_frame(image.frame_id)
    if rejected:
        model.tear_down()  # forgets photos without a pose, at which pycolmap's covariance stops
    return rejected


def _write_model(model: pycolmap.Reconstruction, folder: Path) -> Path:
    """Write a model and look whether it arrived: pycolmap does not say where the disk is full."""
    folder.mkdir()
    model.write_binary(folder)
    again = pycolmap.Reconstruction(folder)
    counts = [(one.num_reg_images(), one.num_points3D()) for one in (model, again)]
    if counts[0] != counts[1]:
        raise RuntimeError(f"{folder} was written with {counts[0]} images and points: {counts[1]}")
    return folder


def _exif_focals(model: pycolmap.Reconstruction, photos: Sequence[Unplaced]) -> dict[int, float]:
    """Camera ids and the focal lengths that EXIF gives them, pixels."""
    of_name = {photo.name: photo.focal for photo in photos}
    images = (model.images[image_id] for image_id in model.reg_image_ids())
    found = {image.camera_id: of_name[image.name] for image in images}
    return {camera_id: focal for camera_id, focal in found.items() if focal is not None}


def _shared_cameras(
    photos: Sequence[Unplaced], lens: str
) -> tuple[list[pycolmap.Camera], list[int]]:
    """One camera for all photos with the same key, with the focal length of EXIF to start from."""
    keys = [photo.camera_key for photo in photos]
    distinct = sorted(set(keys), key=str)
    model = "SIMPLE_RADIAL" if lens == AUTO else lens.upper()
    cameras = []
    for number, key in enumerate(distinct, start=1):
        photo = photos[keys.index(key)]
        # Without EXIF, that of a usual phone or standard zoom (COLMAP's own guess as well).
        focal = photo.focal or 1.2 * max(photo.width, photo.height)
        camera = pycolmap.Camera.create_from_model_name(
            number, model, focal, photo.width, photo.height
        )
        camera.has_prior_focal_length = photo.focal is not None
        cameras.append(camera)
    return cameras, [distinct.index(key) for key in keys]
