"""Structure from motion as a whole, run in a child process (`tondo.io.child`).

pycolmap aborts the process that it runs in, instead of raising, for example where the disk is full.
This module must import quickly, since the child imports it anew: nothing here needs torch
(`tests/sfm/motion/test_place.py` holds that).

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

from tondo.sfm.motion.features import Features, choose_pairs
from tondo.sfm.motion.lens import AUTO, choose_lens
from tondo.sfm.motion.mapping import (
    map_incrementally,
    mapping_options,
    other_start,
    relaxed_options,
)
from tondo.sfm.motion.matching import (
    copy_geometries,
    count_inliers,
    match_pairs,
    read_matches,
    without_pairs,
    write_database,
)
from tondo.sfm.motion.quiet import quiet_colmap
from tondo.sfm.motion.thorough import thorough_features, thorough_pairs
from tondo.sfm.motion.verify import (
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
_WHOLE_DATABASE = "whole.db"
WHOLE = (
    "the places are those that the whole photos give: what the masks keep does not hold together "
    "alone"
)
CONTRADICTED = "its place contradicts its matches with the photos that look most like it"
AMBIGUOUS = "two models that began with different photos place it differently"
IMPOSSIBLE = "its pose or lens came out as impossible numbers"
# How far matches and points may lie from where they should, pixels: 4 of a photo 1000 pixels wide,
# less in a smaller one, where so much would let things pass that only look alike.
MAX_ERROR, LEAST_ERROR = 4.0, 1.0  # docs/notes/inputs.md
# Of two models that hold together about equally well, the share of photos that they may place
# differently before neither is believed.
MOST_DISAGREEING = 0.2  # chosen
ABOUT_EQUAL = 0.9  # of the sound photos of the better of two models: rivals; chosen, not measured
CLEARLY_MORE = 1.04  # matches that agree, and sightings of points (docs/notes/inputs.md)
# Of the photos that are placed, those that may contradict their matches before none is believed.
MOST_CONTRADICTED = 0.25  # chosen


@dataclass(frozen=True)
class Unplaced:
    """What placing a photo needs of it; see `tondo.sfm.photos.gather.GatheredPhoto`."""

    name: str
    width: int
    height: int
    focal: float | None
    camera_key: tuple[str | int | float, ...]
    features: Features
    whole: Features | None = None  # of the photo without its mask, if it has one


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
        note: how it was found, where that is worth a sentence.
    """

    inliers: np.ndarray
    matches: dict[tuple[int, int], np.ndarray]
    folders: tuple[Path, ...]
    rejected: dict[str, str]
    lens: str
    doubts: tuple[str, ...]
    distrust: str
    note: str = ""


@dataclass(frozen=True)
class _Candidate:
    """Models from one start, the largest first.

    Attributes:
        database: of their matches.
        sound: names of the photos of the largest that hold together.
        agreeing: matches that agree with it.
    """

    database: Path
    models: list[pycolmap.Reconstruction]
    sound: frozenset[str]
    agreeing: float

    @property
    def placed(self) -> int:
        """Photos of the largest model."""
        return self.models[0].num_reg_images() if self.models else 0

    @property
    def worth(self) -> tuple[float, ...]:
        """More photos that hold together are better, then fewer that do not, then more matches."""
        return len(self.sound), -self.placed, self.agreeing


@dataclass(frozen=True)
class _Task:
    """What all attempts share."""

    photos: Sequence[Unplaced]
    work: Path
    images: Path
    seed: int
    say: Say

    @property
    def max_error(self) -> float:
        """See `MAX_ERROR`."""
        sides = [max(photo.width, photo.height) for photo in self.photos]
        scale = float(np.median(sides)) / 1000
        return min(MAX_ERROR, max(LEAST_ERROR, MAX_ERROR * scale))

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
        lens: as of `PrepareOptions`.
        say: called with (`MATCHING`, `PLACING` or `LOOKING`, done, total).
    """
    with quiet_colmap():
        task = _Task(photos, work, images, seed, say)
        found = _search(task, in_order, lens)
        best = max(found, key=lambda one: one.worth)
        inliers = count_inliers(best.database, len(photos))
        matches = read_matches(work / QUICK_DATABASE)
        note = WHOLE if best.database.name == _WHOLE_DATABASE else ""
        if not best.models:
            return Placement(inliers, matches, (), {}, "", (), "", note)
        model = best.models[0]
        distrust, ambiguous = _compare(best, [one for one in found if one is not best])
        rejected = _reject(model, best.sound, ambiguous)
        choice = choose_lens(model, lens, _exif_focals(model, photos))
        drop_impossible(model)
        kept = [one for one in best.models if one is model or one.num_reg_images() >= 3]
        folders = tuple(_write_model(one, work / f"model{n}") for n, one in enumerate(kept))
        distrust = distrust or choice.distrust
        text, doubts = choice.text, choice.doubts
        return Placement(inliers, matches, folders, rejected, text, doubts, distrust, note)


def _search(task: _Task, in_order: bool, lens: str) -> list[_Candidate]:
    """Attempt after attempt, until all photos are placed and hold together."""
    features = [photo.features for photo in task.photos]
    cameras = _shared_cameras(task.photos, lens)
    pairs = choose_pairs(features, in_order=in_order)
    database = _matched(task, QUICK_DATABASE, cameras, features, pairs)
    found = _attempt(task, database)
    if _is_done(task, found):
        return found
    whole = _of_whole_photos(task, cameras, in_order)
    if _is_done(task, whole) and not _compare(whole[0], whole[1:])[0]:
        return whole
    if not _is_half_done(task, found) and any(photo.focal for photo in task.photos):
        # EXIF may say nonsense.
        others = _shared_cameras([replace(photo, focal=None) for photo in task.photos], lens)
        without = _attempt(task, _matched(task, "without_exif.db", others, features, pairs))
        if without[0].worth > found[0].worth:
            cameras, database = others, task.work / "without_exif.db"
        found += without
    found += _without_weak(task, database, found)
    if _is_done(task, found):
        return found
    return found + _look_closer(task, cameras, found)


def _look_closer(
    task: _Task, cameras: tuple[list[pycolmap.Camera], list[int]], before: Sequence[_Candidate]
) -> list[_Candidate]:
    """The slow attempts."""
    sound = max(before, key=lambda one: one.worth).sound
    left_out = [i for i, name in enumerate(task.names) if name not in sound]
    stronger = thorough_features(task.names, task.images, lambda d, t: task.say(LOOKING, d, t))
    pairs = thorough_pairs([photo.features for photo in task.photos], left_out)
    database = _matched(task, "thorough.db", cameras, stronger, pairs)
    found = _attempt(task, database)
    found += _without_weak(task, database, found)
    if _is_hopeless(task, [*before, *found], database):
        return found
    found += _attempt(task, database, "relaxed", relaxed=True)
    if _is_hopeless(task, [*before, *found], database) or not _may_differ(task, found):
        return found
    # Photos of one size need not be of one camera.
    single = task.work / "single.db"
    each = [cameras[0][number] for number in cameras[1]]
    write_database(single, each, task.names, range(len(each)), stronger)
    copy_geometries(database, single)
    return found + _attempt(task, single)


def _of_whole_photos(
    task: _Task, cameras: tuple[list[pycolmap.Camera], list[int]], in_order: bool
) -> list[_Candidate]:
    """Masks cut away what tells where a camera stands, unless the object turned: an attempt with
    the features of whole photos, where masks left some out."""
    if all(photo.whole is None for photo in task.photos):
        return []
    features = [photo.whole or photo.features for photo in task.photos]
    pairs = choose_pairs(features, in_order=in_order)
    return _attempt(task, _matched(task, _WHOLE_DATABASE, cameras, features, pairs))


def _matched(
    task: _Task,
    name: str,
    cameras: tuple[list[pycolmap.Camera], list[int]],
    features: Sequence[Features],
    pairs: Sequence[tuple[int, int]],
) -> Path:
    """A new database with verified matches."""
    database = task.work / name
    write_database(database, cameras[0], task.names, cameras[1], features)
    match_pairs(
        database,
        task.names,
        pairs,
        seed=task.seed,
        max_error=task.max_error,
        on_progress=lambda done, total: task.say(MATCHING, done, total),
    )
    return database


def _is_done(task: _Task, found: Sequence[_Candidate]) -> bool:
    """Whether all photos are placed and hold together."""
    return any(len(one.sound) == len(task.photos) for one in found)


def _is_half_done(task: _Task, found: Sequence[_Candidate]) -> bool:
    return any(len(one.sound) * 2 >= len(task.photos) for one in found)


def _is_hopeless(task: _Task, found: Sequence[_Candidate], database: Path) -> bool:
    """Whether no photo that is still left out shares matches with another one."""
    sound = max(found, key=lambda one: one.worth).sound
    inliers = count_inliers(database, len(task.photos))
    left_out = [name not in sound for name in task.names]
    return not (inliers[left_out] >= MIN_MATCHES).any()


def _may_differ(task: _Task, found: Sequence[_Candidate]) -> bool:
    """Whether photos may be left out because they are of several cameras: EXIF does not say, and
    what is placed holds together. (A camera for each photo explains nearly anything.)"""
    best = max(found, key=lambda one: one.worth)
    return not all(photo.focal for photo in task.photos) and len(best.sound) >= 0.9 * best.placed


def _attempt(
    task: _Task, database: Path, name: str = "", *, relaxed: bool = False
) -> list[_Candidate]:
    """Models from two starts, mapped at the same time, the better one first."""
    options = relaxed_options if relaxed else mapping_options
    total = len(task.photos)
    name = f"{database.stem}_{name}"
    task.say(PLACING, 0, total)
    # SQLite refuses two that open one file at the same moment.
    copy = Path(shutil.copy(database, task.work / f"other_{name}.db"))
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(
            other_start,
            copy,
            task.images,
            task.work / f"map_{name}_other",
            options=options(task.seed + 1, task.max_error),
        )
        first = map_incrementally(
            database,
            task.images,
            task.work / f"map_{name}",
            options=options(task.seed, task.max_error),
            on_registered=lambda placed: task.say(PLACING, placed, total),
        )
        other = second.result()
    copy.unlink()
    both = [_judged(database, first), _judged(database, other)]
    return sorted(both, key=lambda one: one.worth, reverse=True)


def _judged(database: Path, models: list[pycolmap.Reconstruction]) -> _Candidate:
    if not models:
        return _Candidate(database, models, frozenset(), 0)
    drop_impossible(models[0])
    pairs = matches_agree(models[0], database)
    agreeing = sum(pair.matches * pair.share for pair in pairs)
    return _Candidate(database, models, frozenset(sound_photos(pairs)), agreeing)


def _without_weak(task: _Task, database: Path, before: Sequence[_Candidate]) -> list[_Candidate]:
    """Where placed photos contradict their matches: again, without the pairs that are weak beside
    others of the same photos."""
    best = max(before, key=lambda one: one.worth)
    if len(best.sound) == best.placed:
        return []
    with without_pairs(database, weak_pairs(database)):
        found = _attempt(task, database, "strong")
    # Judged by all matches, as every other attempt.
    return [_judged(one.database, one.models) for one in found]


def _compare(best: _Candidate, others: Sequence[_Candidate]) -> tuple[str, set[str]]:
    """Why the whole model is not to be believed, or else which photos are not."""
    sound = len(best.sound)
    if best.placed - sound > MOST_CONTRADICTED * best.placed:
        return (
            f"{best.placed - sound} of {best.placed} photos contradict their matches with the "
            "photos that look most like them: things look alike from several sides"
        ), set()
    doubtful: set[str] = set()
    for other in others:
        if not other.models or _is_clearly_better(best, other):
            continue
        differing = disagreeing(best.models[0], other.models[0])
        if differing is None:
            continue
        differing &= best.sound & other.sound
        if len(differing) > MOST_DISAGREEING * sound:
            return (
                "two models that began with different photos differ in the places of "
                f"{len(differing)} of {sound} photos, and both fit: the photos do not say which is "
                "right"
            ), set()
        doubtful |= differing
    return "", doubtful


def _is_clearly_better(best: _Candidate, other: _Candidate) -> bool:
    """Whether `other` went so much worse that it says nothing."""
    if len(other.sound) < ABOUT_EQUAL * len(best.sound):
        return True
    seen = [one.models[0].compute_num_observations() for one in (best, other)]
    return (
        best.database == other.database
        and best.agreeing > CLEARLY_MORE * other.agreeing
        and seen[0] > CLEARLY_MORE * seen[1]
    )


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
