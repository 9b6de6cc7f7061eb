"""CelebA's own layout: img_align_celeba (folder or zip), its attributes and its partition.

Liu et al. 2015 (Deep Learning Face Attributes in the Wild). The files are looked for as they are
published (Img, Anno, Eval), all in one folder, and as .csv.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tondo.errors import InputError

_IMAGES = ("img_align_celeba", "img_align_celeba.zip", "img_align_celeba_png")
_FOLDERS = ("", "Img", "Anno", "Eval")
_MAX_BYTES = 256 << 20  # bounds memory; chosen, not measured
_MAX_ROWS = 2_000_000  # ten times CelebA's 202,599 pictures
_MAX_ATTRIBUTES = 1000  # CelebA has 40; bounds memory; chosen, not measured
TRAINING = 0  # CelebA's number of the training part, in list_eval_partition.txt


@dataclass(frozen=True)
class Attributes:
    """What is known of each picture.

    Attributes:
        names: of the attributes, e.g. "Eyeglasses".
        rows: by the picture's file name without ending.
        values: [rows, names] bool.
    """

    names: tuple[str, ...]
    rows: dict[str, int]
    values: NDArray[np.bool_]


@dataclass(frozen=True)
class CelebA:
    """Attributes:
    images: the folder or zip of the pictures.
    attributes: or None without the list.
    training: file names without ending of the training split, or None without the partition.
    """

    images: Path
    attributes: Attributes | None
    training: frozenset[str] | None


def find_celeba(source: Path) -> CelebA | None:
    """CelebA in `source` (its folder, or its pictures' own folder or zip), or None.

    Raises:
        InputError: a list of attributes or splits that cannot be understood.
    """
    images = _images(source)
    if images is None:
        return None
    places = [images.parent, images.parent.parent, source]
    attributes = _beside(places, "list_attr_celeba")
    partition = _beside(places, "list_eval_partition")
    if attributes is None and partition is None:
        return None
    return CelebA(
        images,
        None if attributes is None else read_attributes(attributes),
        None if partition is None else read_training_split(partition),
    )


def read_attributes(path: Path) -> Attributes:
    """list_attr_celeba.txt: the number of pictures, the attributes' names, then a picture a line
    with 1 or -1 for each; or the same as .csv, without the number. Raises InputError."""
    lines = _lines(path)
    first = next(lines, [])
    if len(first) == 1 and first[0].isdigit():
        first = next(lines, [])
    names = [word for word in first if word != "image_id"]
    if not 1 <= len(names) <= _MAX_ATTRIBUTES or len(set(names)) != len(names):
        raise InputError(f"{path} names no attributes: expected CelebA's list_attr_celeba.txt")
    rows: dict[str, int] = {}
    values: list[list[bool]] = []
    for words in lines:
        if len(words) != len(names) + 1 or not set(words[1:]) <= {"1", "-1", "0"}:
            raise InputError(
                f"{path}: expected a picture's name and {len(names)} values of 1 or -1, got "
                f"{' '.join(words)[:80]!r}"
            )
        rows[Path(words[0]).stem] = len(values)
        values.append([word == "1" for word in words[1:]])
    if not rows:
        raise InputError(f"{path} lists no pictures")
    return Attributes(tuple(names), rows, np.array(values))


def read_training_split(path: Path) -> frozenset[str]:
    """list_eval_partition.txt: a picture's name and 0 (training), 1 or 2 a line. Raises
    InputError."""
    found = set()
    for words in _lines(path):
        if words == ["image_id", "partition"]:
            continue
        if len(words) != 2 or words[1] not in ("0", "1", "2"):
            raise InputError(
                f"{path}: expected a picture's name and 0, 1 or 2, got {' '.join(words)[:80]!r}"
            )
        if int(words[1]) == TRAINING:
            found.add(Path(words[0]).stem)
    if not found:
        raise InputError(f"{path} lists no picture of the training split (0)")
    return frozenset(found)


def _images(source: Path) -> Path | None:
    if source.name in _IMAGES and source.exists():
        return source
    candidates = (source / folder / name for folder in _FOLDERS for name in _IMAGES)
    return next((path for path in candidates if path.exists()), None)


def _beside(places: list[Path], stem: str) -> Path | None:
    candidates = (
        place / folder / f"{stem}{suffix}"
        for place in places
        for folder in _FOLDERS
        for suffix in (".txt", ".csv")
    )
    return next((path for path in candidates if path.is_file()), None)


def _lines(path: Path) -> Iterator[list[str]]:
    """The words of each line that is not empty."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path} is larger than {_MAX_BYTES >> 20} MiB: no list of CelebA is")
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file):
                if number > _MAX_ROWS:
                    raise InputError(f"{path} has more than {_MAX_ROWS:,} lines")
                if words := line.replace(",", " ").split():
                    yield words
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text: {error}") from error
