"""What lies in a folder of photographs: photos, pictures that are not read, other files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tondo.data.photos import Skipped
from tondo.errors import InputError
from tondo.io.collections.picture_zip import shown
from tondo.io.images import PHOTO_SUFFIXES, is_unread_picture
from tondo.io.mask_files import is_mask_folder
from tondo.io.video import VIDEO_SUFFIXES

_COPIES = frozenset(("thumbs", "thumbnails", "thumb", "thumbnail", "@eadir", "previews", "preview"))
_RESULTS = ("prepare.json", "pictures.json", "events.jsonl", "scene.safetensors")


@dataclass(frozen=True)
class PhotoFiles:
    """The files of a folder and of the folders below it; no hidden ones, no folders of masks.

    Attributes:
        root: the folder that the photos' names are below: the given one, or `images` in it.
        photos: files with the ending of a picture that is read, sorted; masks may be among them.
        left_out: pictures of other kinds, videos, and folders that hold no photos of their own.
        others: names of files that are no pictures.
    """

    root: Path
    photos: tuple[Path, ...]
    left_out: tuple[Skipped, ...]
    others: tuple[str, ...]


def find_photos(source: Path) -> PhotoFiles:
    """The photos of a folder with all its sub-folders.

    Where it has none of its own but a folder `images`, those of that folder.

    Raises:
        InputError: it cannot be listed, or there are no photos.
    """
    root, inside = source, source / "images"
    if not any(_is_photo(path) for path in _listed(source)) and inside.is_dir():
        found = _sorted_out(inside)
        if found.photos:
            return found
    found = _sorted_out(root)
    if found.photos:
        return found
    kinds = ", ".join(sorted(PHOTO_SUFFIXES))
    but = ""
    if found.left_out:
        first = found.left_out[0]
        but = f"; {len(found.left_out)} left out, the first: {first.name}: {first.reason}"
    raise InputError(f"no photos in {source}: expected files ending in {kinds}{but}")


def _sorted_out(root: Path) -> PhotoFiles:
    photos: list[Path] = []
    left_out: list[Skipped] = []
    others: list[str] = []
    for path in _walk(root, left_out, root, set()):
        name = shown(path.relative_to(root).as_posix())
        if _is_photo(path):
            photos.append(path)
        elif is_unread_picture(path):
            kind = path.suffix.lower()
            left_out.append(Skipped(name, f"{kind} files are not read: save it as JPEG or PNG"))
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            left_out.append(Skipped(name, "a video: give it by itself"))
        else:
            others.append(name)
    return PhotoFiles(root, tuple(photos), tuple(left_out), tuple(others))


def _walk(folder: Path, left_out: list[Skipped], root: Path, seen: set[Path]) -> Iterator[Path]:
    """Files below `folder`, a folder's own before those of its sub-folders; links are followed."""
    seen.add(folder.resolve())
    inside = _listed(folder)
    folders = [path for path in inside if path.is_dir()]
    yield from (path for path in inside if path not in folders)
    for one in folders:
        name = one.name.lower()
        if is_mask_folder(name) or name == "__macosx" or one.resolve() in seen:
            continue
        reason = "small copies" if name in _COPIES else ""
        if any((one / mark).exists() for mark in _RESULTS):
            reason = "a result of this program"
        if reason:
            below = shown(one.relative_to(root).as_posix())
            left_out.append(Skipped(f"{below}/", f"a folder of {reason}: not looked into"))
        else:
            yield from _walk(one, left_out, root, seen)


def _listed(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as found:
            names = sorted(one.name for one in found if not one.name.startswith("."))
    except OSError as error:
        raise InputError(f"cannot list the folder {folder}: {error.strerror or error}") from error
    return [folder / name for name in names]


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in PHOTO_SUFFIXES and path.is_file()
