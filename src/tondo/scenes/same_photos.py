"""Whether a run goes on with the photographs that it was started with: RUN/photos.json.

Compared is what training sees (pixels, mask, camera, held out or not), so that a folder that was
moved, or files that were saved again without loss, are the same photographs. Of photos without
poses, whose copies are in the run, the files are compared too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tondo.data.photos import Photo, PhotoSet
from tondo.errors import InputError
from tondo.io.atomic import write_json
from tondo.io.images import PHOTO_SUFFIXES
from tondo.runs.checkpoints import has_checkpoints
from tondo.runs.run_directory import RunDirectory, read_photos
from tondo.runs.watch import Watch
from tondo.scenes.source import Source, source_of

_SHOWN = 3  # names of photos; chosen
_DIFFERENT = {
    "pixels": "shows something else",
    "mask": "has another mask",
    "camera": "has another camera (pose or lens)",
}
Hashes = dict[str, dict[str, Any]]


def source_to_go_on(run: RunDirectory, given: Source, begun_with: Path, watch: Watch) -> Source:
    """Where the photos of a run that goes on are: as given now, if they can be told to be those
    that it was started with."""
    if given.path.absolute() == begun_with or given.path.resolve() == begun_with.resolve():
        return source_of(begun_with)
    if not given.path.exists():
        watch.note(f"there is nothing at {given.path}: going on with {begun_with}")
        return source_of(begun_with)
    if begun_with.exists() and not run.photos_path.exists():
        watch.note(f"{given.path} is ignored: the run was started with {begun_with}")
        return source_of(begun_with)
    watch.note(f"the run was started with {begun_with}: comparing {given.path} with it")
    return given


def same_photos(
    run: RunDirectory, source: Source, photos: PhotoSet, watch: Watch, *, is_new: bool
) -> None:
    """Into the run: what its photos are; of one that goes on, whether they are the same.

    Raises:
        InputError: they are others. OutputError: the run cannot be written.
    """
    now = photo_hashes(photos)
    is_prepared = source.kind != "posed photos"
    files = source_hashes(source, run.path / "prepared") if is_prepared else {}
    if not is_new:
        if is_prepared:
            check_files(run, source.path, files)
        if not check_photos(run, source.path, photos, now) and has_checkpoints(run):
            watch.note(
                "the run does not say what its photos were, as those of older versions: taking "
                "these for the same"
            )
    note_photos(run, now, files)


def photo_hashes(photos: PhotoSet) -> Hashes:
    """For each photo's name, hashes of its pixels, mask and camera, and whether it is held out."""
    found = {photo.name: {**_hashes(photo), "held_out": False} for photo in photos.train}
    held_out = {photo.name: {**_hashes(photo), "held_out": True} for photo in photos.test}
    return dict(sorted((found | held_out).items()))


def _hashes(photo: Photo) -> dict[str, str | None]:
    camera = photo.camera
    numbers = [*camera.viewmat.flatten().tolist(), *camera.K.flatten().tolist()]
    pixels = [photo.image, *([] if photo.alpha is None else [photo.alpha])]
    return {
        "pixels": _hash(*(tensor.numpy() for tensor in pixels)),
        "mask": None if photo.valid is None else _hash(photo.valid.numpy()),
        "camera": _hash(np.array([*numbers, camera.width, camera.height])),
    }


def _hash(*arrays: np.ndarray) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def source_hashes(source: Source, prepared: Path) -> dict[str, str]:
    """Hashes of the files that `prepared` was made from, by their paths below `source`: the photos
    in the folders that photos came from, a video, or a scene. Empty where they are gone."""
    place = source.path
    if source.kind == "scene" and place.is_dir():
        place = place / "scene.safetensors"
    if place.is_file():
        return {place.name: _hash_of_file(place)}
    found = {}
    for folder in sorted(_folders(place, prepared)):
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file():
                found[path.relative_to(place).as_posix()] = _hash_of_file(path)
    return found


def _folders(source: Path, prepared: Path) -> set[Path]:
    """The folders below `source` that hold the photos which prepare.json names."""
    try:
        facts = json.loads((prepared / "prepare.json").read_text(encoding="utf-8"))
        names = [str(image["source"]) for image in facts["images"]]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    places = (base / name for base in (source, source / "images") for name in names)
    return {place.parent for place in places if place.is_file()}


def _hash_of_file(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=16)).hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def note_photos(run: RunDirectory, photos: Hashes, files: Mapping[str, str]) -> None:
    """Write `photos.json`. Raises OutputError."""
    write_json(run.photos_path, {"photos": photos, "files": dict(files)})


def check_files(run: RunDirectory, source: Path, now: Mapping[str, str]) -> None:
    """Raise InputError unless `source_hashes` are those of `photos.json`, where it has any."""
    stored = _entry(run, "files")
    if not stored or not source.exists():  # the run has copies of its own to go on with
        return
    if len(stored) == len(now) == 1:  # a video, or a scene, whatever its name
        same = set(stored.values()) == set(now.values())
        _refuse(source, [] if same else [f"{next(iter(now))} has other contents"])
        return
    _refuse(source, _changes(stored, now, {}))


def check_photos(run: RunDirectory, source: Path, photos: PhotoSet, now: Hashes) -> bool:
    """Compare photos with those of `photos.json`; returns False where a run does not say what they
    were.

    Raises:
        InputError: they are others; says which and what differs.
    """
    stored = _entry(run, "photos")
    if not stored:
        return False
    unread = {skipped.name: skipped.reason for skipped in photos.skipped}
    _refuse(source, _changes(stored, now, unread))
    return True


def check_held_out(run: RunDirectory, source: Path, photos: Sequence[Photo]) -> None:
    """Raise InputError if a run was trained on one of `photos`, which are to measure it: where
    photographs were added or removed since, every Nth is another one."""
    stored = _entry(run, "photos")
    entries = {photo.name: stored.get(photo.name) for photo in photos}
    trained = [n for n, e in entries.items() if isinstance(e, dict) and e.get("held_out") is False]
    if trained:
        raise InputError(
            f"the run was trained on {trained[0]}, which is held out of {source} now: its photos "
            "are not those of the run any more; restore them, or give `cameras`, a "
            "transforms.json with other photos"
        )


def _entry(run: RunDirectory, key: str) -> dict[str, Any]:
    found = read_photos(run).get(key, {})
    if not isinstance(found, dict):
        raise InputError(f"{run.photos_path} is damaged: {key} must be an object")
    return found


def _changes(
    stored: Mapping[str, Any], now: Mapping[str, Any], unread: Mapping[str, str]
) -> list[str]:
    """What differs, "NAME is new" and the like; `unread` has reasons of those that are missing."""
    told = []
    for name in sorted(stored.keys() | now.keys()):
        if name not in now:
            told.append(f"{name} is missing" + (f" ({unread[name]})" if name in unread else ""))
        elif name not in stored:
            told.append(f"{name} is new")
        elif (difference := _difference(stored[name], now[name])) is not None:
            told.append(f"{name} {difference}")
    return told


def _difference(before: Any, now: Mapping[str, Any] | str) -> str | None:
    """What differs between two entries of a photo, or two hashes of a file, in words."""
    if isinstance(now, str):
        return None if before == now else "has other contents"
    before = before if isinstance(before, dict) else {}
    for key, words in _DIFFERENT.items():
        if before.get(key) != now[key]:
            return words
    if before.get("held_out") != now["held_out"]:
        return "is held out now" if now["held_out"] else "was held out"
    return None


def _refuse(source: Path, told: list[str]) -> None:
    if told:
        more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        raise InputError(
            f"the photos of {source} are not those that the run was started with: "
            f"{', '.join(told[:_SHOWN])}{more}; restore them, or start again with `force`"
        )
