"""The docs do not promise what isn't there: code runs, options and links exist."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tondo.cli.main import VERBS
from tondo.demo.photographs import photograph_object

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def commands() -> list[str]:
    """Every line of the pages that is a command of tondo."""
    lines = [line for page in PAGES for block in blocks(page, "") for line in block.splitlines()]
    return [line.split("#")[0].strip() for line in lines if line.startswith("tondo ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


def test_there_are_commands_to_check() -> None:
    assert {line.split()[1] for line in commands()} >= {"reconstruct", "export", "render"}


@pytest.mark.parametrize("line", commands())
def test_commands_are_accepted(line: str) -> None:
    words = shlex.split(line)[1:]
    assert words[0] in VERBS
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    importlib.import_module(f"tondo.cli.verbs.{words[0]}").add_parser(parser.add_subparsers())
    parser.parse_args(words)  # SystemExit or ArgumentError if it is not understood


def test_the_readmes_python_runs(tmp_path: Path) -> None:
    (code,) = blocks(ROOT / "README.md", "python")
    for word, tiny in (("minutes=3", "steps=25"), ("resolution=256", "resolution=48")):
        assert word in code
        code = code.replace(word, tiny)
    photograph_object(
        tmp_path / "photos", count=9, test_count=2, size=64, samples=1, grid_resolution=96
    )
    script = tmp_path / "readme.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model.glb").stat().st_size > 1000
    assert (tmp_path / "run" / "scene.safetensors").exists()
