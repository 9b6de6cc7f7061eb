"""What our own mesh and splat files say about their axes and their place in the world.

A mesh's file has the axes of its format or of the world, and says which in one line of words:
a comment of OBJ and PLY, `asset.extras` of GLB, the header of STL. Where a format's 32-bit numbers
cannot hold coordinates far from the origin, the file has them around 0, and `NAME.offset.json`
beside it has what is to be added.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tondo.errors import InputError
from tondo.io.atomic import write_json

WORDS = "Tondo"
_MAX_JSON, _MAX_GLB_JSON = 1 << 20, 64 << 20  # bounds memory; chosen, not measured
_HEAD = 1 << 14  # bytes in which a header has its words; chosen, not measured
_NUMBER = r"[-+0-9.eE]{1,24}"
_FRAME = re.compile(rf"\bTondo frame=(?:world|format up=({_NUMBER}),({_NUMBER}),({_NUMBER}))")
_OFFSET = re.compile(rf"\bTondo offset=({_NUMBER}),({_NUMBER}),({_NUMBER})")


def frame_words(up: NDArray[np.float64] | None) -> str:
    """The line of words, at most 70 characters, of a file whose axes are its format's (`up` as in
    `read_up`) or the world's (None)."""
    if up is None:
        return f"{WORDS} frame=world"
    return f"{WORDS} frame=format up=" + ",".join(f"{v:.9g}" for v in up.tolist())


def offset_words(offset: NDArray[np.float64]) -> str:
    """The line of words of a splat file that has an offset."""
    return f"{WORDS} offset=" + ",".join(f"{v:.17g}" for v in offset.tolist())


def read_up(path: Path) -> tuple[float, float, float] | None:
    """The world's up direction, if a mesh's file says that it has it along its format's up axis;
    None where it has the world's axes, or says nothing, as other programs' files do.

    Raises:
        InputError: the file cannot be read.
    """
    found = _FRAME.search(_words_of(path))
    up = None if found is None else _three(found.groups())
    return up if up is not None and 0.99 < math.hypot(*up) < 1.01 else None


def says_world(path: Path) -> bool:
    """Whether a mesh's file says that it has the world's axes. Raises InputError."""
    found = _FRAME.search(_words_of(path))
    return found is not None and found[1] is None


def offset_path(path: Path) -> Path:
    """Where the offset of a file is written."""
    return path.with_name(path.name + ".offset.json")


def write_offset(path: Path, offset: NDArray[np.float64]) -> None:
    """Write what is to be added to the coordinates of the file `path`, in its own axes; where that
    is nothing, a file that says otherwise is removed.

    Raises:
        OutputError: it cannot be written.
    """
    place = offset_path(path)
    if offset.any():
        about = f"add these three numbers to all coordinates of {path.name}"
        write_json(place, {"offset": offset.tolist(), "meaning": about})
    elif place.is_file() and _json_offset(place) is not None:
        place.unlink()


def read_offset(path: Path) -> NDArray[np.float64]:
    """[3] what is to be added to the coordinates of a file, in its own axes; 0 where nothing says
    so.

    Raises:
        InputError: `NAME.offset.json` is damaged.
    """
    if path.suffix.lower() == ".ply" and (found := _OFFSET.search(_words_of(path))):
        return np.array(_three(found.groups()) or (0.0, 0.0, 0.0))
    place = offset_path(path)
    if not place.is_file():
        return np.zeros(3)
    offset = _json_offset(place)
    if offset is None:
        raise InputError(f'{place} is damaged: expected "offset" with three numbers')
    return np.array(offset)


def _json_offset(place: Path) -> tuple[float, float, float] | None:
    try:
        if place.stat().st_size > _MAX_JSON:
            return None
        return _three(json.loads(place.read_text(encoding="utf-8"))["offset"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _words_of(path: Path) -> str:
    """The part of a file in which words can be."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if path.suffix.lower() != ".glb":
                return _head_words(path, head)
            if len(head) < 20 or head[:4] != b"glTF":
                return ""
            (length,) = struct.unpack_from("<I", head, 12)
            if length > _MAX_GLB_JSON:
                return ""
            file.seek(20)
            about = json.loads(file.read(length).decode("utf-8"))["asset"]["extras"]["tondo"]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return about if isinstance(about, str) else ""


def _head_words(path: Path, head: bytes) -> str:
    """Comments at the beginning of an OBJ or PLY, the header of an STL."""
    suffix = path.suffix.lower()
    if suffix == ".stl":
        return head[:80].decode("ascii", "replace")
    begins = {".obj": b"#", ".ply": b"comment"}.get(suffix, b"#")
    lines = []
    for line in head.splitlines():
        if line.startswith(b"end_header") or (suffix == ".obj" and not line.startswith(b"#")):
            break
        if line.startswith(begins):
            lines.append(line.decode("ascii", "replace"))
    return "\n".join(lines)


def _three(values: Iterable[Any]) -> tuple[float, float, float] | None:
    try:
        x, y, z = (float(value) for value in values)
    except (ValueError, TypeError, OverflowError):
        return None
    return (x, y, z) if all(map(math.isfinite, (x, y, z))) else None
