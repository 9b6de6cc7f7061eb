"""What the command line says, as it stands in `tests/golden`.

After a change of help or messages: `.venv/bin/python tests/golden_texts.py` writes them anew.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

from tondo.cli.main import VERBS, main

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"
SOURCE = ROOT / "src" / "tondo"
ERRORS = ("TondoError", "InputError", "OptionError", "OutputError", "MissingPartError")


def help_of(words: list[str]) -> str:
    """What `tondo WORDS --help` prints, 100 columns wide."""
    out, before = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        with contextlib.redirect_stdout(out):
            assert main([*words, "--help"]) == 0
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before
    return out.getvalue()


def helps() -> dict[str, str]:
    """The text of each file of `golden/help`."""
    found = {f"{verb}.txt": help_of([verb]) for verb in VERBS}
    return {"tondo.txt": help_of([]), **found}


def errors() -> str:
    """`golden/errors.txt`: every sentence that a user's error is told in, by file."""
    parts = []
    for path in sorted(SOURCE.rglob("*.py")):
        found = list(sentences(path))
        if found:
            name = path.relative_to(SOURCE).as_posix()
            parts.append("\n".join([name, *(f"  {kind}: {text}" for kind, text in found)]))
    return "\n".join(parts) + "\n"


def sentences(path: Path) -> Iterator[tuple[str, str]]:
    """(class, sentence) of each of `ERRORS` that is raised in a file, in order."""
    calls = [
        node.exc
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
    ]
    for call in sorted(calls, key=lambda call: call.lineno):
        if isinstance(call.func, ast.Name) and call.func.id in ERRORS and call.args:
            yield call.func.id, template(call.args[0])


def template(node: ast.expr) -> str:
    """A string with its values as the code writes them, in braces."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(template, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return template(node.left) + template(node.right)
    inside = node.value if isinstance(node, ast.FormattedValue) else node
    return "{" + ast.unparse(inside) + "}"


if __name__ == "__main__":
    (GOLDEN / "help").mkdir(parents=True, exist_ok=True)
    for name, text in helps().items():
        (GOLDEN / "help" / name).write_text(text, encoding="utf-8")
    (GOLDEN / "errors.txt").write_text(errors(), encoding="utf-8")
