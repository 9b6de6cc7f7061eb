"""The command line: typos, errors, Ctrl-C, broken pipes, and what help costs."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tondo.cli.main as cli
from tondo.cli.arguments import Typed, Verb
from tondo.errors import InputError

Run = Callable[[Any, Typed], None]

OUT_OF_MEMORY = (
    "tondo: error: out of memory: try a smaller --max-size or fewer splats (--max-splats); in "
    "`tondo train` a smaller --batch or --size, or --accumulate 2\n"
)


@dataclass(frozen=True)
class Probe:
    """A command of these tests.

    Attributes:
        steps: how many.
        max_size: how large.
    """

    steps: int = 3
    max_size: int | None = None


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], None]:
    """Installs a verb `probe` that does what it is given."""

    def install(run: Run) -> None:
        module = ModuleType("tondo.cli.verbs.probe")
        module.VERB = Verb(Probe, run)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "tondo.cli.verbs.probe", module)
        monkeypatch.setitem(cli.VERBS, "probe", "for this test")

    return install


def raising(error: BaseException) -> Run:
    def run(command: Probe, typed: Typed) -> None:
        raise error

    return run


def test_a_verb_gets_its_options(verb: Callable[[Run], None]) -> None:
    seen = []
    verb(lambda command, typed: seen.append(command.steps))
    assert cli.main(["probe", "--steps", "-1"]) == 0
    assert cli.main(["probe"]) == 0
    assert seen == [-1, 3]


def test_the_users_error_is_one_line_and_status_2(
    verb: Callable[[Run], None], capsys: pytest.CaptureFixture[str]
) -> None:
    verb(raising(InputError("photos: the folder has no photo that could be read")))
    assert cli.main(["probe"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "tondo: error: photos: the folder has no photo that could be read\n")


def test_our_bug_is_a_traceback_and_status_1(
    verb: Callable[[Run], None], capsys: pytest.CaptureFixture[str]
) -> None:
    verb(raising(KeyError("inner")))
    assert cli.main(["probe"]) == 1
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert "KeyError: 'inner'" in err
    assert err.endswith(
        "tondo: this is a bug in Tondo, not in what you typed. Please report it with the lines "
        "above and the output of `tondo doctor`.\n"
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "runs/a/events.jsonl"),
            "tondo: error: cannot read or write runs/a/events.jsonl: No space left on device\n",
        ),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "xxx"),
            "tondo: error: cannot read or write xxx: File name too long\n",
        ),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
            OUT_OF_MEMORY,
        ),
        (
            MemoryError(),
            OUT_OF_MEMORY,
        ),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9e12"),
            OUT_OF_MEMORY,
        ),
        (
            ImportError("this processor lacks AVX2", name="tondo._native"),
            "tondo: error: the native module cannot be loaded (this processor lacks AVX2): "
            "run `pip install .` again\n",
        ),
    ],
)
def test_what_the_machine_refuses_is_one_line(
    verb: Callable[[Run], None],
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    expected: str,
) -> None:
    verb(raising(error))
    assert cli.main(["probe"]) == 2
    assert capsys.readouterr().err == expected


def test_ctrl_c_is_130_and_one_line(
    verb: Callable[[Run], None], capsys: pytest.CaptureFixture[str]
) -> None:
    verb(raising(KeyboardInterrupt()))
    assert cli.main(["probe"]) == 130
    assert capsys.readouterr().err.strip() == "tondo: stopped by Ctrl-C"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["recnstruct", "photos"], "tondo: error: there is no command 'recnstruct': did you mean "
         "'reconstruct'?\n(see tondo --help)\n"),
        (["zzz"], f"tondo: error: there is no command 'zzz' (there are: {', '.join(cli.VERBS)}, "
         "probe)\n(see tondo --help)\n"),
        (["--versoin"], "tondo: error: unknown option or argument '--versoin': did you mean "
         "'--version'?\n(see tondo --help)\n"),
        (["probe", "--step", "3"], "tondo probe: error: unknown option or argument '--step': did "
         "you mean '--steps'?\n(see tondo probe --help)\n"),
        (["probe", "--max_size=3"], "tondo probe: error: unknown option or argument '--max_size': "
         "did you mean '--max-size'?\n(see tondo probe --help)\n"),
        (["probe", "--steps", "many"], "tondo probe: error: argument --steps: expected a whole "
         "number, got 'many'\n(see tondo probe --help)\n"),
    ],
)  # fmt: skip
def test_typos_get_the_closest_name(
    verb: Callable[[Run], None],
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    expected: str,
) -> None:
    verb(raising(AssertionError("must not run")))
    assert cli.main(argv) == 2
    assert capsys.readouterr() == ("", expected)


def test_no_command_prints_the_help_and_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "reconstruct" in capsys.readouterr().err
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in cli.VERBS)


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys; from tondo.cli.main import main; "
        "from tondo.cli.main import VERBS; "
        "[main([v, '--help']) for v in VERBS]; main(['--help']); "
        "heavy = {'torch', 'numpy', 'rich', 'scipy', 'matplotlib'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_itself_and_a_closed_pipe() -> None:
    command = f"{sys.executable} -m tondo.cli.main"
    done = subprocess.run(
        [*command.split(), "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("tondo ")
    code = (
        "import tondo.cli.main as m, sys, types\n"
        "import dataclasses\n"
        "Spam = dataclasses.make_dataclass('Spam', [])\n"
        "verb = types.ModuleType('tondo.cli.verbs.spam')\n"
        "run = lambda command, typed: [print('x' * 1000) for _ in range(10000)]\n"
        "verb.VERB = m.Verb(Spam, run)\n"
        "sys.modules['tondo.cli.verbs.spam'] = verb; m.VERBS['spam'] = ''\n"
        "sys.exit(m.main(['spam']))\n"
    )
    piped = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert piped.stdout is not None
    assert piped.stderr is not None
    assert piped.stdout.read(4) == "xxxx"
    piped.stdout.close()
    assert piped.wait(30) == 141
    assert piped.stderr.read() == ""
    piped.stderr.close()


def test_importing_tondo_changes_no_environment_variable() -> None:
    code = (
        "import os, sys; before = dict(os.environ); import tondo; tondo.Camera; "
        "print(dict(os.environ) == before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]


@pytest.mark.parametrize("asked", [None, "active"])
def test_threads_sleep_while_they_wait_unless_the_user_says_otherwise(
    asked: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command says it, before torch is loaded."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", asked)
    code = """
import os, sys
from tondo.cli import main
main.main = lambda argv: print(os.environ["OMP_WAIT_POLICY"], "torch" in sys.modules)
main.entry()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [asked or "passive", "False"]


@pytest.mark.parametrize(("name", "value"), [("", ""), ("GOMP_SPINCOUNT", "7")])
def test_training_wakes_its_threads_less_often_unless_the_user_says_otherwise(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also this must be said before torch is loaded."""
    for each in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(each, raising=False)
    if name:
        monkeypatch.setenv(name, value)
    code = """
import builtins, os, sys
found, real = [], builtins.__import__
def watched(name, *rest, **more):
    if name == "torch" and not found:
        found.append(os.environ.get("GOMP_SPINCOUNT"))
    return real(name, *rest, **more)
builtins.__import__ = watched
from tondo.cli.main import entry
try:
    entry()
except SystemExit as end:
    print(end.code, *found)
"""
    command = [sys.executable, "-c", code, "train", "nothing", "-o", "run"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.split() == ["2", value or "3000"]
