"""Files that another program names: found although the name on the disk is spelt otherwise.

Windows and macOS tell neither case nor Unicode's two forms apart (a letter with its accent as one
sign or two), Windows parts folders with a backslash, and older programs write names in the encoding
of their country. What a file says is what was meant; what lies on the disk decides.
"""

from __future__ import annotations

import locale
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tondo.errors import InputError

# What names that are no UTF-8 are tried in, after the machine's own: Western and Central Europe,
# Cyrillic, Chinese (simplified, traditional), Japanese, Korean.
_ENCODINGS = ("cp1252", "gbk", "cp932", "cp949", "big5", "cp1250", "cp1251")
_MAX_PATH = 1024  # characters, a quarter of PATH_MAX of Linux; chosen, not measured


@dataclass(frozen=True)
class NamedFile:
    """A name and the file that it means.

    Attributes:
        name: path below the folder with "/", as on the disk; as listed where nothing was found.
        path: the file, or None if there is none.
    """

    name: str
    path: Path | None


def is_file(path: Path) -> bool:
    """`path.is_file()`, and False too where the name is one that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def safe_path(folder: Path, text: str, what: str) -> tuple[str, Path]:
    """A path that a file from outside names: (its name below `folder` with "/", its place).

    Raises:
        InputError: it is empty, absolute, has "..", or holds characters that no path of a photo
            has; `what` says where it came from.

    Links are followed wherever they lead: a file of cameras cannot make one, and people link to the
    photos of a large capture instead of copying them.
    """
    plain = text.replace("\\", "/")
    if not plain or len(plain) > _MAX_PATH or not plain.isprintable():
        raise InputError(f"{what} is no usable path: {text[:80]!r}")
    relative = PurePosixPath(plain)
    if relative.is_absolute() or ".." in relative.parts or plain[1:2] == ":":
        raise InputError(f"{what} leaves the folder: {text!r}; paths must stay below {folder}")
    if not relative.parts:
        raise InputError(f"{what} names no file: {text!r}")
    return relative.as_posix(), folder / relative


def find_files(
    folder: Path, names: Sequence[str], what: Sequence[str], endings: Sequence[str] = ()
) -> list[NamedFile]:
    """The files below `folder` that `names` mean.

    A file of exactly that name goes before one that is spelt otherwise, and no file that one of
    `names` has exactly is given to another. Where several could be meant, none is.

    Args:
        names: relative paths as another program wrote them. Bytes that are no UTF-8 are there as
            Python's "surrogateescape" has them.
        what: where each name came from, for messages.
        endings: tried after a name that has none of them: some programs leave them out.

    Raises:
        InputError: a name that leaves the folder or that no file can have.
    """
    spelt = [_spellings(name) for name in names]
    plain = [
        [safe_path(folder, text, where) for text in texts]
        for texts, where in zip(spelt, what, strict=True)
    ]
    tried = [_endings(options, endings) for options in plain]
    found = [_exact(folder, *each) for each in zip(plain, tried, strict=True)]
    taken = {one.path for one in found if one is not None}
    entries = _Entries({})
    results = []
    for options, tails, exact in zip(plain, tried, found, strict=True):
        near = set() if exact else _near(entries, folder, options, tails) - taken
        if len(near) == 1:
            path = near.pop()
            exact = NamedFile(readable(path.relative_to(folder).as_posix()), path)
        results.append(exact or NamedFile(options[0][0], None))
    return results


def _endings(options: Sequence[tuple[str, Path]], endings: Sequence[str]) -> Sequence[str]:
    has_one = PurePosixPath(options[0][0]).suffix.lower() in endings
    return () if has_one else endings


def _exact(
    folder: Path, options: Sequence[tuple[str, Path]], endings: Sequence[str]
) -> NamedFile | None:
    for name, path in options:
        if is_file(path):
            return NamedFile(name, path)
        for ending in endings:
            if is_file(folder / (name + ending)):
                return NamedFile(name + ending, folder / (name + ending))
    return None


@dataclass(frozen=True)
class _Entries:
    """What lies in folders, by the common form of its name; each is listed once."""

    known: dict[Path, dict[str, list[str]]] = field(default_factory=dict)

    def of(self, folder: Path) -> dict[str, list[str]]:
        if folder not in self.known:
            forms: dict[str, list[str]] = {}
            try:
                listed = sorted(os.listdir(folder))
            except OSError:
                listed = []
            for entry in listed:
                for form in {common_form(text) for text in _spellings(entry)}:
                    forms.setdefault(form, []).append(entry)
            self.known[folder] = forms
        return self.known[folder]


def _near(
    entries: _Entries, folder: Path, options: Sequence[tuple[str, Path]], endings: Sequence[str]
) -> set[Path]:
    """The files whose names have a common form with one of `options`."""
    for tail in ("", *endings):
        found: set[Path] = set()
        for name, _ in options:
            found |= _descend(entries, folder, common_form(name + tail).split("/"))
        if found:
            return found
    return set()


def _descend(entries: _Entries, folder: Path, parts: list[str]) -> set[Path]:
    here = entries.of(folder)
    # A zip of Windows unpacked elsewhere leaves files with backslashes in their names.
    found = {folder / entry for entry in here.get("/".join(parts), []) if is_file(folder / entry)}
    if len(parts) > 1:
        for entry in here.get(parts[0], []):
            found |= _descend(entries, folder / entry, parts[1:])
    return found


def common_form(name: str) -> str:
    """What is alike for names that Windows or macOS take for the same."""
    plain = unicodedata.normalize("NFC", name.replace("\\", "/"))
    return unicodedata.normalize("NFC", plain.casefold())


def _spellings(text: str) -> list[str]:
    """What a name may be: itself, or, where it is no UTF-8, its bytes in other encodings."""
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError:
        try:
            raw = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # surrogates that stand for no byte
            return [text]
        found = []
        for encoding in (locale.getpreferredencoding(False), *_ENCODINGS):
            try:
                spelt = raw.decode(encoding)
            except (UnicodeDecodeError, LookupError):
                continue
            if spelt.isprintable() and spelt not in found:
                found.append(spelt)
        return found or [raw.decode("utf-8", "backslashreplace")]
    return [text]


def readable(name: str) -> str:
    """`name`, or what its bytes may say where they are no UTF-8."""
    return _spellings(name)[0]
