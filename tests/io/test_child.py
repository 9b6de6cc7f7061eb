"""Work in a child process: results, errors and every kind of death arrive as they should."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import child_work
import tondo.io.child
from tondo.errors import InputError, OptionError, OutputError
from tondo.io.child import ChildError, in_child


def test_result_and_progress_come_back_and_noise_does_not(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[tuple[str, int]] = []
    total = in_child(
        child_work.add,
        2,
        3,
        what="add",
        folder=tmp_path,
        on_progress=lambda word, done: said.append((word, done)),
    )
    assert total == 5
    assert said == [("adding", 0), ("adding", 1), ("adding", 2)]
    assert capfd.readouterr() == ("", "")


def test_large_arguments_and_results(tmp_path: Path) -> None:
    data = os.urandom(3 * 2**20)
    assert in_child(child_work.echo, data, what="echo", folder=tmp_path) == data


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (child_work.abort, r"cannot find them: .* \(SIGABRT: the pixel at 3 is odd\)"),
        (child_work.fault, r"cannot find them: .* \(SIGSEGV\)"),
        (child_work.kill_itself, r"cannot find them: .* killed \(SIGKILL\).* memory"),
    ],
)
def test_death_by_signal_is_one_sentence(
    work: Callable[..., None],
    expected: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        in_child(work, what="find them", folder=tmp_path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def test_errors_keep_their_kind(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"^--colour must be blue$"):
        in_child(child_work.fail, "option", what="paint", folder=tmp_path)
    with pytest.raises(FileNotFoundError, match="/nowhere/at/all"):
        in_child(child_work.fail, "file", what="paint", folder=tmp_path)
    with pytest.raises(ChildError, match="ZeroDivisionError: no such number") as caught:
        in_child(child_work.fail, "other", what="paint", folder=tmp_path)
    assert "child_work.py" in str(caught.value.__cause__)  # where it happened
    with pytest.raises(ChildError, match="status 3:\nI have had enough"):
        in_child(child_work.leave, what="paint", folder=tmp_path)


@pytest.mark.parametrize("how", ["abort", "raise"])
def test_no_room_left_is_the_reason(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library says anything but that the disk is full."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr(tondo.io.child, "full_disk", lambda folder: "No space left on device")
    with pytest.raises(OutputError, match=f"cannot write in {tmp_path}: No space left on device"):
        in_child(
            child_work.abort if how == "abort" else child_work.fail,
            *([] if how == "abort" else ["other"]),
            what="fill",
            folder=work,
        )


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("wait", signal.SIGINT),
        ("wait", signal.SIGTERM),
        ("wait", signal.SIGKILL),
        ("native", signal.SIGINT),
        ("native", signal.SIGKILL),
    ],
)
def test_the_child_ends_with_its_parent(name: str, number: signal.Signals) -> None:
    if name == "native" and number != signal.SIGINT and sys.platform != "linux":
        return  # only Linux ends a child that never lets Python run
    start = f"import child_work; child_work.start_wait({name!r})"
    code = f"import sys; sys.path[:] = {sys.path!r}; {start}"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(0.2)  # by now the child sleeps
        assert is_running(child)
        parent.send_signal(number)
        assert parent.wait(timeout=20) == (130 if number == signal.SIGINT else -number)
    for _ in range(100):
        if not is_running(child):
            break
        time.sleep(0.05)
    assert not is_running(child)


def test_an_error_of_the_listener_ends_the_child(tmp_path: Path) -> None:
    seen: list[int] = []

    def stop(pid: int) -> None:
        seen.append(pid)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_child(child_work.wait, what="wait", folder=tmp_path, on_progress=stop)
    assert not is_running(seen[0])


def test_files_in_the_folder_where_it_is_started_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "pickle", "numpy", "tondo"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    assert in_child(child_work.add, 1, 1, what="add", folder=tmp_path) == 2


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z")
