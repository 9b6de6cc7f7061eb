"""The command line: finds the verb, runs it, and turns errors into messages and exit statuses.

Exit status: 0 fine; 2 the user's error, one message; 1 our bug, with a traceback; 130 Ctrl-C;
141 the reader of our output went away.
"""

from __future__ import annotations

import argparse
import difflib
import errno
import importlib
import os
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from tondo.errors import TondoError

VERBS = {
    "reconstruct": "photos in, a scene and a mesh out",
    "prepare": "find the poses of photos, or make a training set of pictures, with a report",
    "train": "pictures of one kind of thing in, a generator of new 3D things out",
    "generate": "new models from a trained generator",
    "directions": "what a generator can be moved along, drawn as strips",
    "lift": "one photo in, a model out, through a trained generator",
    "explain": "which parts of a sample the discriminator found real or fake",
    "render": "pictures, depth, normals and videos of a scene",
    "evaluate": "measure a scene on held-out photos, a mesh by a scan, a generator by pictures",
    "convert": "splats from a radiance field, or a field from splats, without the photos",
    "export": "write a mesh (.glb .obj .ply .stl) or splats (.ply)",
    "doctor": "what is installed, what is missing, and which path runs",
}
# The machine's refusals, not bugs, wherever they come up.
_REFUSALS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EMFILE,
    errno.ENAMETOOLONG,
)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that takes no shortened options and answers a typo with the closest one."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**{"allow_abbrev": False, **kwargs})  # type: ignore[arg-type]

    def refuse_unknown(self, unknown: Sequence[str]) -> NoReturn:
        """Exit 2 naming the first of `unknown` and the closest option there is."""
        word = unknown[0].split("=")[0]
        known = [option for option in self._option_string_actions if option.startswith("--")]
        self.error(f"unknown option or argument {word!r}{_closest(word, known)}")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n(see {self.prog} --help)\n")


def entry() -> NoReturn:
    """The `tondo` command."""
    threading.excepthook = _thread_failed
    sys.exit(main(sys.argv[1:]))


def _thread_failed(args: threading.ExceptHookArgs) -> None:
    """A refusal of the machine is told by who waits for the thread; it needs no traceback."""
    if not (isinstance(args.exc_value, OSError) and args.exc_value.errno in _REFUSALS):
        threading.__excepthook__(args)


def main(argv: Sequence[str]) -> int:
    """Run one command line, without the leading `tondo`; returns the exit status."""
    # Of damaged EXIF and large pictures, in the middle of progress bars: what matters is said.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    spelled: dict[str, str] = {}
    try:
        args, run, spelled = _parse(_joined(argv))
        run(args)
        sys.stdout.flush()
        return 0
    except SystemExit as leave:  # argparse, after --help or a wrong option
        return leave.code if isinstance(leave.code, int) else 2
    except TondoError as error:
        return _fail(_respelled(str(error), spelled))
    except KeyboardInterrupt:
        print("\ntondo: stopped by Ctrl-C", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        return _fail_unexpectedly(error)


def _respelled(text: str, spelled: dict[str, str]) -> str:
    """`max_size` of a message as --max-size, `size=64` as --size 64."""

    def flag(match: re.Match[str]) -> str:
        found, value = spelled.get(match[1]), match[2]
        return match[0] if found is None else f"{found} {value}" if value else found

    return re.sub(r"`(\w+)(?:=([^`]+))?`", flag, text)


def _parse(
    argv: list[str],
) -> tuple[argparse.Namespace, Callable[[argparse.Namespace], None], dict[str, str]]:
    parser = Parser(
        prog="tondo",
        description="Pictures in, 3D models out, on a plain CPU.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands:\n"
        + "\n".join(f"  {verb:12} {about}" for verb, about in VERBS.items())
        + "\n\n`tondo COMMAND --help` has the options of each.",
        usage="tondo [-h] [--version] COMMAND ...",
    )
    parser.add_argument("--version", action="version", version=f"tondo {installed_version()}")
    if not argv:
        parser.print_help(sys.stderr)
        parser.exit(2)
    verb = argv[0]
    if verb.startswith("-"):
        _, unknown = parser.parse_known_args(argv)  # leaves at -h and --version
        parser.refuse_unknown(unknown)
    if verb not in VERBS:
        parser.error(f"there is no command {verb!r}{_closest(verb, list(VERBS))}")
    module = importlib.import_module(f"tondo.cli.verbs.{verb}")
    subparsers = parser.add_subparsers(dest="verb", metavar="COMMAND", prog="tondo")
    module.add_parser(subparsers)
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        subparsers.choices[verb].refuse_unknown(unknown)
    actions = subparsers.choices[verb]._actions
    spelled = {one.dest: one.option_strings[-1] for one in actions if one.option_strings}
    return args, module.run, spelled


def _joined(argv: Sequence[str]) -> list[str]:
    """`--up -y` as `--up=-y`: argparse would take the direction for an option."""
    words: list[str] = []
    for word in argv:
        if words and words[-1] == "--up" and word.startswith("-") and not word.startswith("--"):
            words[-1] = f"--up={word}"
        else:
            words.append(word)
    return words


def installed_version() -> str:
    """The version of the installed package, "unknown" if it is run without being installed."""
    try:
        return version("tondo")
    except PackageNotFoundError:
        return "unknown"


def _closest(word: str, known: list[str]) -> str:
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f": did you mean {found[0]!r}?" if found else f" (there are: {', '.join(known)})"


def _fail(message: str) -> int:
    print(f"tondo: error: {message}", file=sys.stderr)
    return 2


def _fail_unexpectedly(error: Exception) -> int:
    """A refusal of the machine in one line; anything else is our bug."""
    full = ("can't allocate memory", "out of memory")  # of torch: in memory, on the GPU
    if isinstance(error, MemoryError) or any(words in str(error) for words in full):
        return _fail(
            "out of memory: try a smaller --max-size or fewer splats (--max-splats); in `tondo "
            "train` a smaller --batch or --size, or --accumulate 2"
        )
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        place = f" {error.filename}" if error.filename else ""
        return _fail(f"cannot read or write{place}: {error.strerror}")
    if isinstance(error, ImportError) and (error.name or "").startswith("tondo._native"):
        return _fail(f"the native module cannot be loaded ({error}): run `pip install .` again")
    traceback.print_exception(error)
    print(
        "tondo: this is a bug in Tondo, not in what you typed. Please report it with the lines "
        "above and the output of `tondo doctor`.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    entry()
