"""Collections of pictures: a folder, a zip or CelebA's layout; which files there are and what class
each belongs to. Pictures are decoded one at a time, on demand."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from tondo.data.photos import Skipped
from tondo.errors import InputError, OptionError
from tondo.io.collections.celeba import CelebA, find_celeba
from tondo.io.collections.picture_zip import list_members, open_zip, read_member, shown
from tondo.io.images import (
    PHOTO_SUFFIXES,
    ImageData,
    decode_image,
    is_unread_picture,
    read_image,
)
from tondo.io.named_files import is_file

MAX_FILES = 2_000_000  # bounds memory; chosen, not measured
MAX_CLASSES = 1000  # more folders are no classes; chosen, not measured
_TRANSFORMS = ("transforms.json", "transforms_train.json")
# Names of folders that say how a set is split or stored, and nothing about what is to be seen.
_PLAIN_FOLDERS = frozenset(("images", "train", "test", "val", "valid", "photos", "pictures", "rgb"))


@dataclass(frozen=True)
class PictureFile:
    """One picture: its path below the source with "/", and its class, or None."""

    name: str
    class_name: str | None


@dataclass(frozen=True)
class PictureSource:
    """The pictures of a collection.

    Attributes:
        path: the folder or zip whose paths the names are.
        files: sorted by name, numbers by their value.
        class_names: sorted, or None without classes.
        transforms: name of a transforms.json in it, or None.
        skipped: what is not touched, and why.
        title: what the collection is called, e.g. "apples.zip".
        note: how it was understood, for reports, or "".
    """

    path: Path
    files: tuple[PictureFile, ...]
    class_names: tuple[str, ...] | None
    transforms: str | None
    skipped: tuple[Skipped, ...]
    title: str
    note: str


def list_pictures(source: Path, classes: Sequence[str] = ()) -> PictureSource:
    """Find the pictures of a folder, a zip file, or CelebA.

    Sub-folders of the first level where names differ are classes, if every picture is in one. Of
    CelebA the training split counts where its partition is there, and attributes are its classes.

    Args:
        source: the folder or file.
        classes: only these; of CelebA the pictures that have one of these attributes.

    Raises:
        InputError: missing, no pictures in it, or a zip that cannot be read.
        OptionError: there is no such class; the message names the closest.
    """
    source = Path(source)
    if not source.exists():
        raise InputError(f"there is no file or folder {source}")
    if source.is_file() and source.name in _TRANSFORMS:
        source = source.parent
    celeba = find_celeba(source)
    place = source if celeba is None else celeba.images
    if place.is_dir():
        names, skipped = _walk(place)
    elif place.suffix.lower() == ".zip" or zipfile.is_zipfile(place):
        with open_zip(place) as archive:
            members, skipped = list_members(archive)
        names = list(members)
    else:
        raise InputError(
            f"{source} is neither a folder of pictures nor a zip file: put the pictures into a "
            "folder (one alone does not make a training set)"
        )
    names = [name for name in names if not _is_hidden(name)]
    pictures = sorted((n for n in names if _is_picture(n)), key=_natural)
    skipped += _other_files(name for name in names if not _is_picture(name))
    if not pictures:
        others = f" ({len(names)} other files)" if names else ""
        kinds = " ".join(sorted(PHOTO_SUFFIXES))
        raise InputError(f"there are no pictures in {source}{others}: expected {kinds}")
    title = source.resolve().name
    if celeba is not None:
        return _of_celeba(celeba, place, pictures, classes, title, tuple(skipped))
    listed = sorted(
        (_rank(name), name) for name in names if PurePosixPath(name).name in _TRANSFORMS
    )
    transforms = listed[0][1] if listed else None
    files, class_names = _classified(pictures)
    found = PictureSource(place, files, class_names, transforms, tuple(skipped), title, "")
    return _chosen(found, classes) if classes else found


@contextlib.contextmanager
def opened(
    source: PictureSource, *, upright: bool = True
) -> Iterator[Callable[[PictureFile], ImageData]]:
    """A function that decodes one of the source's pictures; several threads may call it.

    Args:
        upright: as in `read_image`.

    Raises:
        InputError: the zip cannot be read. The function raises it for a picture that is damaged.
    """
    if source.path.is_dir():
        yield lambda file: read_image(source.path / file.name, upright=upright)
        return
    with open_zip(source.path) as archive:
        members = list_members(archive)[0]

        def read(file: PictureFile) -> ImageData:
            data = read_member(archive, members[file.name])
            return decode_image(data, file.name, upright=upright)

        yield read


def copy_transforms(source: PictureSource, folder: Path) -> Path:
    """The source's transforms.json as a file: its own place, or a copy in `folder` out of a zip.

    Raises:
        InputError: it cannot be read.
    """
    if source.transforms is None:
        raise ValueError(f"{source.title} has no transforms.json")
    if source.path.is_dir():
        return source.path / source.transforms
    with open_zip(source.path) as archive:
        data = read_member(archive, list_members(archive)[0][source.transforms])
    target = folder / PurePosixPath(source.transforms).name
    target.write_bytes(data)
    return target


def _walk(folder: Path) -> tuple[list[str], list[Skipped]]:
    """Names below a folder; links that leave it are not followed."""
    names: list[str] = []
    skipped: list[Skipped] = []
    root = folder.resolve()

    def refuse(error: OSError) -> None:
        if error.filename == str(folder):
            raise InputError(f"cannot list the folder {folder}: {error.strerror}") from error
        skipped.append(Skipped(shown(str(error.filename)), f"cannot be listed: {error.strerror}"))

    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place) / name
            if name.startswith("."):
                continue
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                skipped.append(Skipped(shown(relative), "a link that leaves the folder"))
            elif is_file(path):
                names.append(relative)
            if len(names) > MAX_FILES:
                raise InputError(f"{folder} holds more than {MAX_FILES:,} files")
    return names, skipped


def _rank(name: str) -> tuple[int, int]:
    """The file nearest to the top counts, transforms.json before that of a split."""
    path = PurePosixPath(name)
    return len(path.parts), _TRANSFORMS.index(path.name)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in PHOTO_SUFFIXES


def _other_files(names: Iterable[str]) -> list[Skipped]:
    """Files that are no pictures, or of kinds that are not read, with the reason."""
    found = []
    for name in names:
        path = PurePosixPath(name)
        if is_unread_picture(path):
            reason = f"{path.suffix.lower()} files are not read: save it as JPEG or PNG"
            found.append(Skipped(shown(name), reason))
        elif path.name not in _TRANSFORMS:
            found.append(Skipped(shown(name), "not a picture"))
    return found


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """So that 2 comes before 10."""
    words = re.split(r"([0-9]{1,18})", name)
    return [(int(w), "") if i % 2 else (-1, w) for i, w in enumerate(words)], name


def _classified(names: list[str]) -> tuple[tuple[PictureFile, ...], tuple[str, ...] | None]:
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    first, last = min(folders), max(folders)  # what these two share, all do
    same = [a == b for a, b in zip(first, last, strict=False)]
    shared = same.index(False) if False in same else len(same)
    if any(len(parts) <= shared for parts in folders):
        return tuple(PictureFile(name, None) for name in names), None
    words = [parts[shared] for parts in folders]
    known = tuple(sorted(set(words), key=_natural))
    splits = all(word.lower() in _PLAIN_FOLDERS for word in known)
    if splits or len(known) > min(MAX_CLASSES, max(1, len(names) // 2)):
        return tuple(PictureFile(name, None) for name in names), None
    files = tuple(PictureFile(n, word) for n, word in zip(names, words, strict=True))
    return files, known


def _chosen(source: PictureSource, classes: Sequence[str]) -> PictureSource:
    for name in classes:
        _check_class(name, source.class_names or (), source.title)
    files = tuple(file for file in source.files if file.class_name in classes)
    return replace(source, files=files, class_names=tuple(dict.fromkeys(classes)))


def _check_class(name: str, known: Sequence[str], title: str) -> None:
    if name in known:
        return
    if not known:
        raise OptionError(
            f"`classes={name}`: {title} has no classes; classes are sub-folders that hold all of "
            "its pictures, or CelebA's attributes"
        )
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    some = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {some}"
    raise OptionError(f"`classes={name}`: {title} has no such class; {hint}")


def _of_celeba(
    celeba: CelebA,
    place: Path,
    pictures: list[str],
    classes: Sequence[str],
    title: str,
    skipped: tuple[Skipped, ...],
) -> PictureSource:
    attributes = celeba.attributes
    for name in classes:
        _check_class(name, () if attributes is None else attributes.names, title)
    columns = [] if attributes is None else [attributes.names.index(name) for name in classes]
    files = []
    for name in pictures:
        stem = PurePosixPath(name).stem
        if celeba.training is not None and stem not in celeba.training:
            continue
        row = None if attributes is None else attributes.rows.get(stem)
        has = [i for i, c in enumerate(columns) if row is not None and attributes is not None
               and attributes.values[row, c]]  # fmt: skip
        if has or not columns:
            files.append(PictureFile(name, classes[has[0]] if has else None))
    split = " (training split)" if celeba.training is not None else ""
    if not files:
        raise InputError(f"no picture of {title} is left: CelebA{split}, classes {list(classes)}")
    note = f"CelebA{split}: {len(files):,} of {len(pictures):,} pictures"
    known = tuple(dict.fromkeys(classes)) or None
    return PictureSource(place, tuple(files), known, None, skipped, title, note)
