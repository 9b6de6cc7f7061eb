"""Help and error messages are those of `tests/golden`, and name options as they should."""

from __future__ import annotations

import ast
import re

import pytest

from golden_texts import GOLDEN, SOURCE, errors, helps
from tondo.cli.main import VERBS, main

ANEW = "changed: look at it, then run `.venv/bin/python tests/golden_texts.py`"
# Not flags of ours: of pip, torchrun and CSS
OTHERS = re.compile(
    r"`(tondo|torchrun|pip) [^`]*`|tondo prepare --for gan|pip install [^`]*|--nproc-per-node|"
    r"var\(--[^)]*\)"
)


def test_the_help_is_as_agreed() -> None:
    kept = {path.name: path.read_text(encoding="utf-8") for path in (GOLDEN / "help").iterdir()}
    found = helps()
    assert kept.keys() == found.keys(), ANEW
    for name, text in found.items():
        assert text == kept[name], f"{name} {ANEW}"


def test_the_errors_are_as_agreed() -> None:
    assert errors() == (GOLDEN / "errors.txt").read_text(encoding="utf-8"), ANEW


def test_messages_below_the_command_line_name_no_flags() -> None:
    wrong = []
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if path.is_relative_to(SOURCE / "cli"):
            continue
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found = re.search(r"(?<![\w-])--[a-z][a-z-]+", OTHERS.sub("", node.value))
                if found and id(node) not in docs:
                    wrong.append(f"{path.relative_to(SOURCE)}:{node.lineno}: {found[0]}")
    assert wrong == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["reconstruct", "{0}", "-o", "{0}/run", "--max-size", "0"], "--max-size must be at"),
        (["reconstruct", "{0}", "-o", "{0}/run", "--masks", "odd"], "--masks must be auto, none"),
        (["train", "{0}", "-o", "{0}/run", "--lora", "4"], "say which with --from"),
        (["evaluate", "{0}", "--threshold", "1"], "--threshold goes with --mesh"),
        (["train", "{0}", "-o", "{0}/run", "--resume", "--force"], "--resume goes on with a run"),
    ],
)
def test_the_command_line_spells_options_as_flags(
    words: list[str], said: str, tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word.format(tmp_path) for word in words]) == 2
    assert said in capsys.readouterr().err
    assert "`" not in said


def test_every_command_has_a_help() -> None:
    assert {f"{verb}.txt" for verb in VERBS} < {path.name for path in (GOLDEN / "help").iterdir()}
