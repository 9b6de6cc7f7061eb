"""`tondo prepare --for gan` from the outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tondo.cli.main import main
from tondo.io.collections.picture_shards import load_pictures


def write_pictures(folder: Path, count: int = 18) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        coarse = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((30, 24), Image.Resampling.NEAREST)
        picture.save(folder / f"{number}.png")


def test_help_names_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "--help"]) == 0
    text = capsys.readouterr().out
    words = ("--for", "--size", "--class", "--crop", "--similar", "--keep-blurred")
    assert all(word in text for word in words)


def test_a_training_set_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pictures(tmp_path / "in")
    (tmp_path / "in" / "bad.jpg").write_bytes(b"x" * 50)
    line = ["prepare", str(tmp_path / "in"), "--for", "gan", "-o", str(tmp_path / "out")]
    assert main([*line, "--size", "16"]) == 0
    said = capsys.readouterr().out
    assert "18 pictures of 16x16, scenery behind the object, no cameras known" in said
    assert "left out: bad.jpg: the file (50 bytes) is not a picture" in said
    assert "report.html" in said
    assert load_pictures(tmp_path / "out").images.shape == (18, 3, 16, 16)
    assert main(line) == 2
    assert "holds what tondo prepare --for gan made already" in capsys.readouterr().err
    assert main([*line, "--size", "8", "--force"]) == 0
    assert load_pictures(tmp_path / "out").size == 8


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nowhere"], "there is no file or folder nowhere"),
        (["empty"], "no pictures in empty"),
        (["in/0.png"], "neither a folder of pictures nor a zip file"),
        (["few"], "few has 3 pictures"),
        (["in", "--class", "cat"], "has no classes"),
        (["in", "--size", "0"], "--size must be from 8 to 1024, got 0"),
        (["in", "--size", "4"], "8 to 1024"),
        (["in", "--crop", "round"], "invalid choice"),
        (["in", "--similar", "2"], "from 0 to 1"),
        (["in", "--frames", "3"], "--frames belongs to tondo prepare --for scene"),
        (["in", "-o", "in/0.png/x"], "cannot write in/0.png/x"),
        (["in", "-o", "in"], "in is not empty"),
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
    write_pictures(tmp_path / "in", 17)
    write_pictures(tmp_path / "few", 3)
    assert main(["prepare", "--for", "gan", "-o", "out", *arguments]) == 2
    error = capsys.readouterr().err
    assert word in error
    assert "Traceback" not in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "few", "in"]


def test_options_of_a_generator_are_refused_for_a_scene(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", str(tmp_path), "-o", str(tmp_path / "x"), "--class", "a"]) == 2
    assert "--class belongs to tondo prepare --for gan" in capsys.readouterr().err
