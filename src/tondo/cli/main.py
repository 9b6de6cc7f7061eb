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
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import NoReturn

from tondo.cli.arguments import (
    Typed,
    Verb,
    add_options,
    description,
    options_of,
    record_of,
    respeller,
    spellings,
)
from tondo.errors import TondoError

GROUPS = {
    "scenes": {
        "reconstruct": "photos in, a scene and a mesh out",
        "render": "pictures, depth, normals and videos of a scene",
        "export": "write a mesh (.glb .obj .ply .stl) or splats (.ply)",
        "convert": "splats from a radiance field, or a field from splats, without the photos",
    },
    "generators": {
        "train": "pictures of one kind of thing in, a generator of new 3D things out",
        "generate": "new models from a trained generator",
        "lift": "one photo in, a model out, through a trained generator",
        "directions": "find latent directions and render a strip for each",
        "explain": "which parts of a sample the discriminator found real or fake",
    },
    "both": {
        "prepare": "find the poses of photos, or make a training set of pictures, with a report",
        "evaluate": "measure a scene on held-out photos, a mesh by a scan, a generator by pictures",
        "doctor": "what is installed, what is missing, and which path runs",
    },
}
VERBS = {verb: about for group in GROUPS.values() for verb, about in group.items()}
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


class Formatter(argparse.HelpFormatter):
    """Help that is the same in every version of Python: `-o, --output RUN`."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, str(action.metavar or ""))
        return f"{', '.join(action.option_strings)} {value}"


def entry() -> NoReturn:
    """The `tondo` command."""
    # The OpenMP that torch brings reads this as torch is loaded. It waits for its threads by
    # spinning unless told otherwise; where another program fills a core, the thread that is waited
    # for gets its turn only when the waiting one's time is up (docs/notes/gan.md).
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
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
    respelled: Callable[[str], str] = str
    try:
        name, verb, parser = find_verb(argv)
        respelled = _respeller(name)
        found, unknown = parser.parse_known_args(_joined(argv[1:]))
        if unknown:
            parser.refuse_unknown(unknown)
        record, given = record_of(verb.record, found)
        verb.run(record, Typed(given, respelled))
        sys.stdout.flush()
        return 0
    except SystemExit as leave:  # argparse, after --help or a wrong option
        return leave.code if isinstance(leave.code, int) else 2
    except TondoError as error:
        return _fail(respelled(str(error)))
    except KeyboardInterrupt:
        print("\ntondo: stopped by Ctrl-C", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        return _fail_unexpectedly(error)


def find_verb(argv: Sequence[str]) -> tuple[str, Verb, Parser]:
    """The command that `argv` begins with, and the parser of what follows. Leaves (SystemExit)
    after the help of all commands, and where there is no such command."""
    if not argv or argv[0] not in VERBS:
        _leave(argv)
    name = argv[0]
    verb = _load(name)
    about = description(verb.record)
    parser = Parser(prog=f"tondo {name}", description=about, formatter_class=Formatter)
    add_options(parser, verb)
    return name, verb, parser


def _leave(argv: Sequence[str]) -> NoReturn:
    """What `tondo` says without a command that it knows."""
    parser = Parser(
        prog="tondo",
        description="Pictures in, 3D models out, on a plain CPU.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_commands() + "\n\n`tondo COMMAND --help` has the options of each.",
        usage="tondo [-h] [--version] COMMAND ...",
    )
    parser.add_argument("--version", action="version", version=f"tondo {installed_version()}")
    if not argv:
        parser.print_help(sys.stderr)
        parser.exit(2)
    if not argv[0].startswith("-"):
        parser.error(f"there is no command {argv[0]!r}{_closest(argv[0], list(VERBS))}")
    _, unknown = parser.parse_known_args(argv)  # leaves at -h and --version
    parser.refuse_unknown(unknown)


def _commands() -> str:
    return "\n\n".join(
        "\n".join([f"{title}:", *(f"  {verb:12} {about}" for verb, about in verbs.items())])
        for title, verbs in GROUPS.items()
    )


def _load(name: str) -> Verb:
    found = importlib.import_module(f"tondo.cli.verbs.{name}").VERB
    assert isinstance(found, Verb)
    return found


def _respeller(verb: str) -> Callable[[str], str]:
    """Makes options in a message flags: those of `verb`, and, where it has none of that name, those
    of the other commands."""
    own = respeller(spellings(options_of(_load(verb))))

    def respelled(text: str) -> str:
        text = own(text)
        for other in VERBS if "`" in text else ():
            text = respeller(spellings(options_of(_load(other))))(text)
        return text

    return respelled


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
    from importlib.metadata import PackageNotFoundError, version  # slower than all the rest of help

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
