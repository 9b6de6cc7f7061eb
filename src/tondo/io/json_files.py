"""JSON files from outside."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypeVar

from tondo.errors import InputError
from tondo.io.named_files import is_file

T = TypeVar("T")
_WORDS = {bool: "true or false", str: "text", list: "a list", dict: "an object"}


def read_json(path: Path, most: int, kind: str = "") -> dict[str, Any]:
    """The object in a JSON file, in any of Unicode's encodings.

    Args:
        most: bytes that such a file can have.
        kind: what it is taken for, for messages; its own name unless given.

    Raises:
        InputError: missing, larger, no JSON, or no object.
    """
    kind = kind or path.name
    if not is_file(path):
        raise InputError(f"there is no file {path}")
    try:
        size = path.stat().st_size
        if size > most:
            raise InputError(f"{path} has {size >> 20} MiB: no {kind} is that large")
        raw = path.read_bytes()
        content = json.loads(raw.decode(json.detect_encoding(raw), "surrogateescape"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is no {kind}: expected an object, got {type(content).__name__}")
    return content


def typed(name: str, value: object, kind: type[T]) -> T:
    """`value` out of JSON, if it is a bool, str, list or dict as `kind` says; else ValueError."""
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be {_WORDS[kind]}, got {value!r:.60}")
    return value


def whole(name: str, value: object, most: int) -> int:
    """`value` out of JSON, if it is a whole number from 1 to `most`; else ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ValueError(f"{name} must be a whole number from 1 to {most}, got {value!r:.60}")
    return value


def finite(name: str, value: object) -> float:
    """`value` out of JSON, if it is a number that is neither NaN nor infinite; else ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r:.60}")
    return float(value)
