"""JSON files from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tondo.errors import InputError
from tondo.io.named_files import is_file


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
