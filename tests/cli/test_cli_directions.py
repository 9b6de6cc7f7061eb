"""`tondo directions` as a user types it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import tondo
from tiny_generators import tiny_run
from tondo.cli.main import main
from tondo.gan.files.generator_file import load_generator
from tondo.gan.sampling.directions import load_directions
from tondo.io.images import image_size


def test_strips_and_the_file_for_move(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tiny_run(tmp_path / "run")
    before = tondo.generate(run, [1], tondo.GenerateOptions(move=("1=+2",)))[0].mesh.vertices
    assert main(["directions", str(run), "-o", str(tmp_path / "out"), "--count", "3"]) == 0
    assert "3 closed-form directions and 3 principal ones" in capsys.readouterr().out
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    strips = [f"{kind}{end}.png" for kind in ("closed", "principal") for end in ("", *ENDS)]
    assert names == sorted(["directions.safetensors", *strips])
    assert image_size(tmp_path / "out" / "closed-01.png") == (7 * 96, 3 * 96)
    assert image_size(tmp_path / "out" / "principal.png") == (7 * 96, 3 * 96)
    own = load_generator(run / "generator.safetensors").generator
    found = load_directions(run / "directions.safetensors", own)
    assert found.closed.shape == (3, 12)
    after = tondo.generate(run, [1], tondo.GenerateOptions(move=("1=+2",)))[0].mesh.vertices
    assert torch.allclose(before, after, atol=1e-6)
    capsys.readouterr()
    assert main(["generate", str(run), "-o", str(tmp_path / "g"), "--move", "3=1"]) == 2
    assert "0 to 2" in capsys.readouterr().err


ENDS = ("-00", "-01", "-02")


def test_without_o_the_strips_lie_in_the_run_or_in_a_folder_of_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tiny_run(tmp_path / "run")
    own = run / "lumps.safetensors"
    shutil.copy(run / "generator.safetensors", own)
    for source, place in (
        (run, run / "renders" / "directions"),
        (own, tmp_path / "lumps_directions"),
    ):
        assert main(["directions", str(source), "--count", "1"]) == 0
        assert f"{place.name}: 1 closed-form directions" in capsys.readouterr().out
        assert (place / "closed-00.png").is_file()


def test_too_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tiny_run(tmp_path / "run")
    assert main(["directions", str(run), "-o", str(tmp_path / "out"), "--count", "13"]) == 2
    assert "w has 12 numbers" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
