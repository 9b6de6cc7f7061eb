"""Work in a process of its own: where a native library aborts there, one sentence arrives here.

The child is a fresh interpreter (no fork: threads and open databases do not survive one; not
`multiprocessing` either, which runs the user's own script a second time). Its standard input and
output carry pickled messages: both ends are this program, and none of them is ever a file.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from tondo.errors import InputError, OutputError, TondoError
from tondo.io.atomic import full_disk

R = TypeVar("R")
# -P: a numpy.py in the user's folder is not ours. The path is that of the parent.
_START = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from tondo.io.child import answer; answer()"
)
_SET_DEATH_SIGNAL = 1  # of prctl(2): the signal that follows the death of the parent
_KEPT_LINES = 200  # of a child's last words; bounds memory; chosen, not measured
# Of an exception that nothing caught, and of COLMAP's log (glog).
_LAST_WORDS = re.compile(r"^\s*what\(\):\s+(.+)|^F\d{4,8} .*?\] (.+)")
_SAID, _DONE, _FAILED = "said", "done", "failed"


class ChildError(RuntimeError):
    """An error in the child that is neither `TondoError` nor `OSError`: our bug."""


def in_child(
    work: Callable[..., R],
    *args: Any,
    what: str,
    folder: Path,
    on_progress: Callable[..., None] | None = None,
) -> R:
    """`work(*args, say)` in a process of its own; returns what it returns.

    `say(...)` there calls `on_progress(...)` here. The child ends with this process, however that
    ends (Ctrl-C, kill -9). What it writes to its standard output and error is dropped.

    Args:
        work: a function of a module (no lambda), whose module imports quickly, since the child
            imports it anew; arguments and result must be picklable: no torch tensors, no objects
            of pycolmap, which go through files in `folder`.
        what: what it does, for messages that begin with "cannot", e.g. "find the poses".
        folder: where it writes; if it fails and there is no room left there, that is the reason.
        on_progress: called with whatever `work` gives to `say`.

    Raises:
        OutputError: it failed, and there is no room in `folder`.
        InputError: a library ended the child (abort, segmentation fault, out of memory).
        TondoError, OSError: as raised by `work`.
        ChildError: `work` raised anything else.
    """
    with _started() as (child, heard):
        for kind, values in _messages(child, (work, args)):
            if kind == _SAID:
                if on_progress is not None:
                    on_progress(*values)
            elif kind == _DONE:
                return values
            else:
                error, text = values
                if not isinstance(error, TondoError):
                    _refuse_full(folder)
                raise error from ChildError(text)
        status = child.wait()
    _refuse_full(folder)
    raise _ended(what, status, heard)


@contextlib.contextmanager
def _started() -> Iterator[tuple[subprocess.Popen[bytes], deque[str]]]:
    """A child that waits for work, killed at the end, and the last lines of its standard error."""
    pipe = subprocess.PIPE
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", _START, json.dumps(sys.path)],
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
    )
    heard: deque[str] = deque(maxlen=_KEPT_LINES)
    assert child.stderr is not None
    listener = threading.Thread(target=_listen, args=(child.stderr, heard), daemon=True)
    listener.start()
    try:
        yield child, heard
    finally:
        child.kill()
        child.wait()
        listener.join()
        for stream in (child.stdin, child.stdout, child.stderr):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]


def _listen(stream: IO[bytes], heard: deque[str]) -> None:
    while line := stream.readline(4096):
        heard.append(line.decode(errors="replace").rstrip())


def _messages(child: subprocess.Popen[bytes], task: Any) -> Iterator[tuple[str, Any]]:
    """Give the child its task; what it sends, until it ends."""
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(BrokenPipeError):  # it ended at once: its status says why
        child.stdin.write(pickle.dumps(task))
        child.stdin.flush()
    while True:
        try:
            message = pickle.load(child.stdout)
        except (EOFError, pickle.UnpicklingError):  # it ended, maybe in the middle of a message
            return
        yield message


def _refuse_full(folder: Path) -> None:
    reason = full_disk(folder)
    if reason is not None:
        raise OutputError(f"cannot write in {folder.absolute().parent}: {reason}")


def _ended(what: str, status: int, heard: deque[str]) -> Exception:
    """The error for a child that ended without an answer."""
    if status >= 0:
        return ChildError(f"the child process ended with status {status}:\n" + "\n".join(heard))
    name = signal.Signals(-status).name
    if name == "SIGKILL":
        return InputError(
            f"cannot {what}: the process was killed (SIGKILL), most likely because the memory is "
            "full: close other programs, or give fewer or smaller photos"
        )
    found = (_LAST_WORDS.match(line) for line in heard)
    words = next((match[1] or match[2] for match in found if match), "")
    return InputError(
        f"cannot {what}: a library broke off ({name}{': ' if words else ''}{words}); try a part of "
        "the input to find out which file it cannot take, and report that file"
    )


def answer() -> None:
    """What the child does: one piece of work, then its end."""
    # Ctrl-C reaches all processes of a terminal; the parent decides what comes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Libraries may print to standard output too: the messages move out of their way.
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sending = threading.Lock()

    def send(kind: str, values: Any) -> None:
        data = pickle.dumps((kind, values))
        with sending:
            channel.write(data)
            channel.flush()

    try:
        work, args = pickle.load(sys.stdin.buffer)
        _end_with_parent()
        result = work(*args, lambda *values: send(_SAID, values))
        send(_DONE, result)
    except BaseException as error:
        send(_FAILED, (_sendable(error), traceback.format_exc()))
    os._exit(0)  # without the libraries' own clearing up, which may fail again


def _end_with_parent() -> None:
    """Standard input is a pipe that closes when the parent ends, however it ends. On Linux the
    system ends the child too, within a library that never lets Python run."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(1)

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    threading.Thread(target=watch, daemon=True).start()


def _sendable(error: BaseException) -> BaseException:
    """`error` where its class says whose mistake it is, else a `ChildError`."""
    if isinstance(error, OSError):
        return OSError(error.errno, error.strerror or str(error), error.filename)
    # Classes of our own take the message alone, and so arrive as they are.
    if type(error).__module__ == InputError.__module__ or isinstance(error, MemoryError):
        return error
    return ChildError(f"{type(error).__name__}: {error}")
