"""The docs do not promise what isn't there: code runs, options and links exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tondo.cli.main import VERBS, find_verb
from tondo.demo.photographs import photograph_object

ROOT = Path(__file__).resolve().parent.parent
README, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
PAGES = [README, CHINESE, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
# A diary names what was there.
STANDING = [page for page in PAGES if page.parent.name != "notes"]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def commands() -> list[str]:
    """Every line of the pages that is a command of tondo, once."""
    lines = [line for page in PAGES for block in blocks(page, "") for line in block.splitlines()]
    words = (line.split("#")[0].strip() for line in lines if line.startswith("tondo "))
    return list(dict.fromkeys(words))


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", text):
        if not target.startswith(("http://", "https://")):
            other = page.parent / target if target else page
            assert other.exists(), target
            assert not anchor or anchor in anchors(other), f"{target}#{anchor}"


def test_there_are_commands_to_check() -> None:
    assert {line.split()[1] for line in commands()} >= {"reconstruct", "export", "render"}


@pytest.mark.parametrize("line", commands())
def test_commands_are_accepted(line: str) -> None:
    words = shlex.split(line)[1:]
    assert words[0] in VERBS
    _, _, parser = find_verb(words)
    parser.parse_args(words[1:])  # SystemExit if it is not understood


def test_the_readmes_python_runs(tmp_path: Path) -> None:
    (code,) = blocks(README, "python")
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


@dataclass(frozen=True)
class Section:
    """What a section of a README holds, whatever its language."""

    code: list[str]  # the lines of its code blocks, without comments
    words: list[str]  # code in the text
    links: list[str]  # where they lead
    numbers: list[str]
    rows: int  # of tables and lists


def sections(page: Path) -> list[Section]:
    text = page.read_text(encoding="utf-8")
    return [section(part) for part in re.split(r"^## ", text, flags=re.M)]


def section(text: str) -> Section:
    fence = r"^```.*?^```$"
    lines = "\n".join(re.findall(fence, text, re.M | re.S)).splitlines()
    text = re.sub(fence, "", text, flags=re.M | re.S)
    words = re.findall(r"`[^`]+`", text)
    links = re.findall(r"\]\(([^)]+)\)", text)
    plain = re.sub(r"`[^`]+`|\]\([^)]+\)|\[docs/[^]]*", "", text)
    return Section(
        code=[line.split("#")[0].rstrip() for line in lines],
        words=sorted(words),
        links=sorted(link for link in links if not link.startswith("README")),
        numbers=sorted(re.findall(r"\d+(?:[.,]\d+)*(?!D)", plain)),
        rows=len(re.findall(r"^(?:\||- )", text, re.M)),
    )


def test_the_readme_in_chinese_holds_the_same() -> None:
    english, chinese = sections(README), sections(CHINESE)
    assert len(english) == len(chinese) > 5
    assert sum(len(part.numbers) for part in english) > 50
    for ours, theirs in zip(english, chinese, strict=True):
        assert theirs == ours


def test_the_readmes_link_to_each_other() -> None:
    assert "](README.zh-CN.md)" in README.read_text(encoding="utf-8")
    assert "](README.md)" in CHINESE.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", STANDING, ids=lambda page: page.name)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    """`kernels/adam.py`, `cpp/src/core/cpu.cpp`: below the root or below src/tondo."""
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:\w+/)+[\w*]+\.(?:py|cpp|h|sh|toml|yml))`", text):
        pattern = re.sub("NAME|ROOM|NN", "*", name)
        found = [*ROOT.glob(pattern), *(ROOT / "src" / "tondo").glob(pattern)]
        assert found, f"{page.name} names {name}"


def test_the_glossary_speaks_of_what_is_there() -> None:
    """A name of the code stands in the file that its row names."""
    text = (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8").split("## Glossary")[1]
    rows = [row.strip("|").split("|") for row in text.splitlines() if row.startswith("| ")]
    checked = 0
    for word, *_, where in rows:
        files = re.findall(r"`([\w/]+\.py)`", where)
        code = "".join(
            (ROOT / "src" / "tondo" / name).read_text(encoding="utf-8") for name in files
        )
        for name in re.findall(r"`([^`]+)`", word):
            checked += 1
            assert re.search(rf"\b{re.escape(name)}\b", code), f"{where} has no {name}"
    assert checked > 10
