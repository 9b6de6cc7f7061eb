"""What tests of `tondo.io.child` do in a child process, which imports this file."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tondo.errors import OptionError

Say = Callable[..., None]


def add(left: int, right: int, say: Say) -> int:
    for done in range(3):
        say("adding", done)
    print("noise for the standard output")
    os.write(1, b"noise of a library")
    return left + right


def echo(value: object, say: Say) -> object:
    return value


def process_id(say: Say) -> int:
    return os.getpid()


def abort(*args: object) -> None:
    os.write(2, b"terminate called after throwing an instance of 'std::runtime_error'\n")
    os.write(2, b"  what():  the pixel at 3 is odd\n*** Aborted at 1 ***\n")
    ctypes.CDLL(None).abort()


def fault(say: Say) -> None:
    ctypes.string_at(0)


def kill_itself(say: Say) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave(say: Say) -> None:
    os.write(2, b"I have had enough\n")
    os._exit(3)


def fail(kind: str, say: Say) -> None:
    if kind == "option":
        raise OptionError("--colour must be blue")
    if kind == "file":
        Path("/nowhere/at/all").write_text("")
    raise ZeroDivisionError("no such number")


def wait(say: Say) -> None:
    say(os.getpid())
    time.sleep(60)


def wait_in_native_code(say: Say) -> None:
    """As `wait`, in a library that keeps Python's lock."""
    say(os.getpid())
    ctypes.PyDLL(None).sleep(60)


def start_wait(name: str) -> None:
    """For a process that is then stopped or killed: prints the child's number."""
    from tondo.io.child import in_child

    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where tests ignore it
    work = {"wait": wait, "native": wait_in_native_code}[name]
    try:
        in_child(work, what="wait", folder=Path("."), on_progress=_print)
    except KeyboardInterrupt:
        sys.exit(130)


def _print(pid: int) -> None:
    print(pid, flush=True)
