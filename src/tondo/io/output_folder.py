"""Folders of results: made beside their place and renamed at the end, so never half-written."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from tondo.errors import OutputError
from tondo.io.atomic import TEMPORARY_PREFIX


def check_free(out: Path, *, mark: str, maker: str, force: bool) -> None:
    """Raise OutputError unless `out` is free, or (with `force`) was made by `maker`.

    Args:
        mark: the file by which a folder of results is known, e.g. "pictures.json".
        maker: the command that makes such folders, for messages.
    """
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir():
        raise OutputError(f"{out} is a file: name a folder for the results")
    if not any(out.iterdir()):
        return
    is_ours = (out / mark).is_file()
    if not force:
        what = f"holds what {maker} made already" if is_ours else "is not empty"
        raise OutputError(f"{out} {what}: choose another folder, or `force` to replace it")
    if not is_ours:
        raise OutputError(
            f"{out} was not made by {maker}, so `force` does not replace it: choose another folder"
        )


@contextlib.contextmanager
def result_folder(out: Path, *, mark: str, maker: str, force: bool) -> Iterator[Path]:
    """Yield an empty folder beside `out` that becomes `out` at the end; gone if the body raises.

    Raises:
        OutputError: as `check_free`, or something cannot be written.
    """
    check_free(out, mark=mark, maker=maker, force=force)
    work = out.absolute().parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}"
    try:
        (work / "result").mkdir(parents=True)
        yield work / "result"
        check_free(out, mark=mark, maker=maker, force=force)
        if out.exists():
            os.replace(out, work / "replaced")
        os.replace(work / "result", out)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror or error}") from error
    except OutputError as error:  # of a file within it, whose place the user does not know
        raise OutputError(str(error).replace(str(work / "result"), str(out))) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
