"""The limits of CONTRIBUTING.md: files, functions, parameters; no code stands twice; numbers have
a reason."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "tondo"
FILE_LINES = 500
FUNCTION_LINES = 60
PARAMETERS = 8
BLOCK_LINES = 6

# The signature of gsplat's `rasterization`, which callers of that library know.
ALLOWED_PARAMETERS = {"rasterize"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node


def parameters(function: Function) -> int:
    """How many arguments a caller may give."""
    given = function.args
    names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def length(function: Function) -> int:
    """Lines of a function; the example in its docstring is a test and does not count."""
    _, example, text = (ast.get_docstring(function) or "").partition("\n\nExample:")
    lines = (function.end_lineno or 0) - function.lineno + 1
    return lines - len(text.splitlines()) - bool(example)


def code_lines(path: Path) -> list[tuple[int, str]]:
    """(number, text) of the lines that do something: no imports, signatures, docstrings, comments,
    fields of a record, nor lone brackets."""
    text = path.read_text(encoding="utf-8")
    passed: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom | ast.AnnAssign):
            passed.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        elif isinstance(node, Function):
            passed.update(range(node.lineno, node.body[0].lineno))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = " ".join(line.split("  # ")[0].split())
        if number not in passed and any(c.isalnum() for c in words) and not words.startswith("#"):
            found.append((number, words))
    return found


def repeated_blocks(paths: list[Path]) -> dict[tuple[str, str], str]:
    """Pairs of files that share `BLOCK_LINES` lines of code and more, and where."""
    places: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    for path in paths:
        lines = code_lines(path)
        for i in range(len(lines) - BLOCK_LINES + 1):
            block = tuple(text for _, text in lines[i : i + BLOCK_LINES])
            places[block].append((name_of(path), lines[i][0]))
    pairs: dict[tuple[str, str], str] = {}
    for found in places.values():
        for (one, first), (other, second) in pairwise(found):
            pairs.setdefault((one, other), f"{one}:{first} ~ {other}:{second}")
    return pairs


def numeric_constants(tree: ast.Module) -> Iterator[ast.Assign | ast.AnnAssign]:
    """The assignments to UPPER_CASE names of a module whose values hold numbers and no strings."""
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        parts = target.elts if isinstance(target, ast.Tuple) else [target]
        values = [n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant)]
        if (
            all(isinstance(part, ast.Name) and part.id.isupper() for part in parts)
            and any(type(value) in (int, float) for value in values)
            and not any(isinstance(value, str) for value in values)
        ):
            yield node


def unexplained_constants(path: Path) -> list[str]:
    """Numeric constants with a comment neither in their lines nor above the block they stand in."""
    text = path.read_text(encoding="utf-8")
    lines, tree = text.splitlines(), ast.parse(text)
    starts = {
        number: node.lineno
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    found = []
    for node in numeric_constants(tree):
        own = lines[node.lineno - 1 : node.end_lineno]
        above = node.lineno - 1
        while above in starts:
            above = starts[above] - 1
        if not any("#" in line for line in own) and not lines[above - 1].startswith("#"):
            found.append(f"{name_of(path)}:{node.lineno}: {own[0]}")
    return found


def test_files_are_short() -> None:
    counts = {name_of(p): len(p.read_text(encoding="utf-8").splitlines()) for p in sources()}
    assert {name: count for name, count in counts.items() if count >= FILE_LINES} == {}


def test_functions_are_short() -> None:
    long = {
        f"{name_of(path)}:{function.name}": lines
        for path in sources()
        for function in functions(path)
        if (lines := length(function)) > FUNCTION_LINES
    }
    assert long == {}


def test_functions_have_few_parameters() -> None:
    many = {
        f"{name_of(path)}:{function.name}": parameters(function)
        for path in sources()
        for function in functions(path)
        if parameters(function) > PARAMETERS and function.name not in ALLOWED_PARAMETERS
    }
    assert many == {}


def test_no_code_stands_twice() -> None:
    assert repeated_blocks(sources()) == {}


def test_the_search_for_repeated_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("test_limits.SOURCE", tmp_path)
    lines = [f"    step_{i} = first({i})  # remark" for i in range(BLOCK_LINES)]
    for name, head, body in (
        ("a", "import math\n\n\ndef one(first: int) -> None:", lines),
        ("b", 'def two() -> None:\n    """Words."""', [lines[0], "    # remark", *lines[1:]]),
        ("c", "def three(first: int) -> None:", lines[1:]),
    ):
        (tmp_path / f"{name}.py").write_text("\n".join([head, *body]))
    found = repeated_blocks(sorted(tmp_path.glob("*.py")))
    assert found == {("a.py", "b.py"): "a.py:5 ~ b.py:3"}


def test_numbers_have_a_reason() -> None:
    assert [each for path in sources() for each in unexplained_constants(path)] == []


def test_the_search_for_numbers_without_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_limits.SOURCE", tmp_path)
    lines = [
        "FIRST = 1  # metres",
        "",
        "# of a picture",
        "_HEIGHT = 2",
        "WIDTH, DEPTH = (",
        "    3,",
        "    4,",
        ")",
        "LAST = 5.0",
        "",
        "BARE = -6",
        "NAMES = ('seven', 7)",
        "lower = 8",
        "FLAG = True",
    ]
    (tmp_path / "a.py").write_text("\n".join(lines))
    assert unexplained_constants(tmp_path / "a.py") == ["a.py:11: BARE = -6"]
