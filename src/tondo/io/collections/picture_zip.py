"""Zip files of pictures. Nothing is unpacked to disk; what a hostile one can ask for is bounded."""

from __future__ import annotations

import stat
import zipfile
import zlib
from itertools import pairwise
from pathlib import Path, PurePosixPath

from tondo.data.photos import Skipped
from tondo.errors import InputError

MEMBER_BYTES = 256 << 20  # of one picture; bounds memory; chosen, not measured
MAX_MEMBERS = 2_000_000  # bounds memory; chosen, not measured
# Deflate reaches 1032, pictures, which are compressed already, hardly 2; a white TIFF may be more.
MAX_RATIO = 300
_SMALL = 1 << 20  # below this a bomb does no harm; chosen
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip file for reading.

    Raises:
        InputError: missing, damaged, of another kind, with too many members, or with members that
            lie on top of each other (so that a small file unpacks to a huge one).
    """
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # damaged files raise nearly anything: BadZipFile, struct.error, ...
        raise InputError(f"{path} is damaged or no zip file: {error}") from error
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        archive.close()
        raise InputError(f"{path} has {len(members):,} members: at most {MAX_MEMBERS:,} are read")
    places = sorted((m.header_offset, m.compress_size, m.filename) for m in members)
    for (start, length, name), (following, _, other) in pairwise(places):
        if start + length > following:
            archive.close()
            raise InputError(
                f"{path} is a zip bomb or damaged: {shown(name)} and {shown(other)} lie on top of "
                "each other"
            )
    return archive


def list_members(archive: zipfile.ZipFile) -> tuple[dict[str, zipfile.ZipInfo], list[Skipped]]:
    """Files by their name with "/", and those that are not touched, with the reason."""
    found: dict[str, zipfile.ZipInfo] = {}
    skipped: list[Skipped] = []
    for member in archive.infolist():
        if member.filename.endswith("/"):  # is_dir() stumbles over an empty name
            continue
        name = member.filename.replace("\\", "/")
        reason = _refusal(member, name) or ("in the zip a second time" if name in found else "")
        if reason:
            skipped.append(Skipped(shown(name), reason))
        else:
            found[name] = member
    return found, skipped


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The bytes of one member, never more than it declares.

    Raises:
        InputError: damaged, cut off, or longer than it says.
    """
    name = shown(member.filename)
    try:
        with archive.open(member) as file:
            data = file.read(member.file_size + 1)
    except NotImplementedError as error:  # before RuntimeError, of which it is a kind
        raise InputError(f"{name} cannot be unpacked: {error}") from error
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise InputError(f"{name} is damaged or cut off in the zip: {error}") from error
    if len(data) != member.file_size:
        raise InputError(f"{name} is damaged in the zip: {member.file_size} bytes were announced")
    return data


def shown(name: str) -> str:
    """A name from outside as it may be printed."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return plain if len(plain) <= 200 else plain[:197] + "..."


def _refusal(member: zipfile.ZipInfo, name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or name[1:2] == ":" or not path.parts:
        return "its path leaves the folder"
    if not name.isprintable() or len(name) > 1024:
        return "its name has characters that no path of a picture has"
    mode = member.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "a link or device, not a file"
    if member.flag_bits & 0x1:
        return "encrypted"
    if member.compress_type not in _METHODS:
        return "compressed in a way that is not read: use plain zip (stored or deflated)"
    if member.file_size > MEMBER_BYTES:
        return f"larger than {MEMBER_BYTES >> 20} MiB"
    if member.file_size > _SMALL and member.file_size > MAX_RATIO * member.compress_size:
        return "a decompression bomb"
    return ""
