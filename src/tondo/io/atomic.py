"""Writes that are whole or absent: a temporary name beside the target, fsync, rename."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from tondo.errors import OutputError

TEMPORARY_PREFIX = ".tondo-tmp-"
# Bytes that are written to tell a full disk (docs/notes/inputs.md).
_TRIAL_BYTES = 4 * 2**20
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`, with its suffix, that becomes `target` at the end.

    Missing parent folders are created. The body must create the file. If the body raises, or is
    killed, `target` is as it was before; on an exception the temporary file is removed, and so are
    the folders made for it.

    Raises:
        OutputError: the folder or file cannot be written (permission, full disk, a folder there).
    """
    target = Path(target)
    made = _make_parents(target)
    temporary = target.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}{target.suffix}"
    try:
        if target.is_dir():
            raise OutputError(f"cannot write {target}: a folder of that name is there already")
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        _discard(temporary, made)
        # Libraries written in Rust (safetensors) wrap an OSError into their own class.
        if isinstance(error, OSError) and error.errno is not None:
            raise _output_error(target, error) from error
        if isinstance(error, Exception) and "(os error " in str(error):
            raise OutputError(f"cannot write {target}: {error}") from error
        raise
    _flush_folder(target.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, atomically. Raises OutputError."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, atomically. Raises OutputError."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, obj: object) -> None:
    """Write `obj` as indented JSON to `path`, atomically.

    Raises:
        OutputError: the file cannot be written.
        ValueError: a number is NaN or infinite, which JSON does not have.
        TypeError: `obj` holds something that JSON does not have.
    """
    write_text(path, json.dumps(obj, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def make_folder(path: Path) -> None:
    """Create the folder `path` and its parents where they are missing. Raises OutputError."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _output_error(Path(path), error) from error


def full_disk(folder: Path) -> str | None:
    """Why no file of a few MB can be written in `folder` (space, quota, limit), or None if it can.

    For after a library failed there that does not say why: SQLite in COLMAP gives "cannot commit".
    """
    trial = Path(folder) / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}"
    try:
        with open(trial, "wb") as file:
            file.write(bytes(_TRIAL_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror if error.errno in _NO_ROOM else None
    finally:
        with contextlib.suppress(OSError):
            trial.unlink(missing_ok=True)
    return None


def _make_parents(target: Path) -> list[Path]:
    """Create missing parents of `target`; returns those created, innermost first."""
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _output_error(target, error) from error
    return missing


def _discard(temporary: Path, made: list[Path]) -> None:
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)
        for folder in made:
            folder.rmdir()


def _output_error(target: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(f"cannot write {target}: {reason}")


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable. Some file systems do not offer this: then it is skipped."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
