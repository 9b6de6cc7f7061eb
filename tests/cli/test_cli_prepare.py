"""`tondo prepare` from the outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tondo.cli.main import main


def test_help_names_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("PHOTOS", "--output", "--frames", "--force", "--seed"))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nowhere", "-o", "out"], "there is no file or folder nowhere"),
        (["empty", "-o", "out"], "no photos in empty"),
        (["empty"], "-o/--output"),
        (["empty", "-o", "out", "--frames", "-3"], "at least 1"),
        (["empty", "-o", "empty/file.txt/x"], "empty"),
    ],
)
def test_what_cannot_work_ends_in_one_message_and_status_2(
    arguments: list[str],
    word: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "file.txt").write_text("here")
    assert main(["prepare", *arguments]) == 2
    error = capsys.readouterr().err
    assert word in error
    assert "Traceback" not in error
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_photos_that_cannot_be_placed_end_in_a_report_and_status_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(5)
    (tmp_path / "in").mkdir()
    for i in range(3):
        small = rng.integers(0, 256, (24, 32, 3), np.uint8)
        Image.fromarray(small).resize((320, 240)).save(tmp_path / "in" / f"{i}.png")
    assert main(["prepare", str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 2
    error = capfd.readouterr().err
    assert "none of the 3 photos could be placed" in error
    # Not a word of COLMAP's log beside it.
    assert len(error.strip().splitlines()) == 1
    assert (tmp_path / "out" / "report.html").is_file()
