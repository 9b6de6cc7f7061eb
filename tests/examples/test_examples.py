"""The ten files of the tutorial run, on small things."""

from __future__ import annotations

import ast
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tondo

FOLDER = Path(__file__).resolve().parents[2] / "examples"
FILES = sorted(FOLDER.glob("[0-9]*.py"))


@pytest.fixture
def example(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], dict[str, Any]]:
    """What the file of a number defines, run in the place."""
    monkeypatch.chdir(place)
    return lambda number: runpy.run_path(str(FILES[number - 1]))


def test_there_are_ten_short_ones_that_use_the_api_alone() -> None:
    assert [path.name[:2] for path in FILES] == [f"{k:02d}" for k in range(1, 11)]
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) < 80
        imported = {
            name
            for node in ast.walk(ast.parse(text))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert {name for name in imported if name and name.startswith("tondo")} == {"tondo"}


def test_photos_to_mesh(
    example: Callable[[int], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    training = tondo.ReconstructOptions(steps=40, max_size=72)
    mesh, texture = tondo.MeshOptions(resolution=32), tondo.TextureOptions(size=64)
    example(1)["main"]("photos", "01", training, tondo.ExportOptions(mesh=mesh, texture=texture))
    assert Path("01/model.glb").stat().st_size > 1000
    assert "from photos" in capsys.readouterr().out


def test_nerf(example: Callable[[int], dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    example(2)["main"]("photos", "02", tondo.ReconstructOptions("nerf", steps=3, max_size=36))
    assert "FieldScene" in capsys.readouterr().out


def test_render_a_path(example: Callable[[int], dict[str, Any]]) -> None:
    found = example(3)
    found["main"]("run", "03", replace(found["TURNTABLE"], frames=6, max_size=48))
    assert Path("03/turntable.mp4").stat().st_size > 500
    assert len(list(Path("03/views/depth").glob("*.npy"))) == 10


def test_evaluate(
    example: Callable[[int], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    mesh = tondo.MeshOptions(resolution=32)
    tondo.export("run", "truth.ply", tondo.ExportOptions(frame="world", mesh=mesh))
    example(4)["main"]("run", "truth.ply", 32)
    assert "F-score 1.000" in capsys.readouterr().out


def test_train_a_generator_and_adapt_it(
    example: Callable[[int], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    training = tondo.TrainOptions(size=32, kimg=0.024)
    example(5)["main"]("pictures", "05", training)
    assert "shown 0.024 thousand" in capsys.readouterr().out
    adapting = replace(training, lora=2)
    example(9)["main"]("05/pictures", "05/run", "09", adapting)
    assert "moved by" in capsys.readouterr().out


def test_generate(example: Callable[[int], dict[str, Any]]) -> None:
    example(6)["main"]("fish", "06", 2)
    assert Path("06/seed0001_splats.ply").exists()


def test_lift(example: Callable[[int], dict[str, Any]]) -> None:
    example(7)["main"]("photo.png", "fish", "07.glb", tondo.LiftOptions(2, 1))
    assert Path("07.png").exists()
    assert Path("07.json").exists()


def test_directions(example: Callable[[int], dict[str, Any]]) -> None:
    example(8)["main"]("fish", "08", 1)
    assert len(list(Path("08").glob("*.glb"))) == 3


def test_differentiable_renderer(example: Callable[[int], dict[str, Any]]) -> None:
    main = example(10)["main"]
    assert main(40) < 0.7 * main(1)
