"""Splats from a field and a field from splats, without the photos."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ball_field import COLOR, ball_scene
from tondo.cli.main import main
from tondo.data.field import FieldScene
from tondo.data.splats import Scene
from tondo.io.images import read_image
from tondo.io.models.scene import load_scene, save_scene
from tondo.scenes.render import render
from tondo.scenes.to_mesh import cameras_around


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("field") / "ball.safetensors"
    save_scene(path, ball_scene())
    return path


@pytest.fixture(scope="module")
def splats(field: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that splats of the field were made in."""
    out = tmp_path_factory.mktemp("convert") / "splats"
    words = ["--method", "splats", "--steps", "200", "--max-size", "40", "--max-splats", "2000"]
    assert main(["convert", str(field), "-o", str(out), *words]) == 0
    return out


def test_splats_look_like_the_field_that_they_were_made_from(field: Path, splats: Path) -> None:
    scene, ball = load_scene(splats / "scene.safetensors"), load_scene(field)
    assert isinstance(scene, Scene)
    metrics = json.loads((splats / "metrics.json").read_text())
    assert metrics["test"]["images"] == 8
    assert metrics["test"]["psnr"] > 25
    (camera,) = cameras_around(ball.center, ball.radius, count=1, size=64)
    wanted, found = (render(one, camera) for one in (ball, scene))
    assert float((wanted.color - found.color).abs().mean()) < 0.03
    picture = read_image(splats / "prepared" / "0003.png")
    assert picture.alpha is not None  # an object before nothing keeps its coverage
    solid = picture.alpha == 255
    assert 0.1 < float(solid.float().mean()) < 0.6
    mean = picture.rgb[solid].float().mean(dim=0) / 255
    torch.testing.assert_close(mean, torch.tensor(COLOR), atol=0.02, rtol=0)


def test_a_field_from_splats(
    splats: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "field"
    words = ["--method", "nerf", "--steps", "40", "--max-size", "32"]
    assert main(["convert", str(splats), "-o", str(out), *words]) == 0
    assert "not against photos" in capsys.readouterr().out
    assert isinstance(load_scene(out / "scene.safetensors"), FieldScene)
    assert json.loads((out / "metrics.json").read_text())["test"]["psnr"] > 15
    assert main(["convert", str(splats), "-o", str(out), *words]) == 2  # it is there already
    assert main(["convert", str(splats), "-o", str(out), "--method", "nerf", "--resume"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "-o", "out", "--method", "nerf"], "there is no run or scene at nowhere"),
        (["{field}", "-o", "out"], "--method"),
        (["{field}", "-o", "out", "--method", "splats", "--encoding", "dct"], "--encoding goes"),
        (["{field}", "-o", "out", "--method", "nerf", "--max-splats", "9"], "--max-splats goes"),
    ],
)
def test_mistakes_are_one_sentence(
    words: list[str],
    said: str,
    field: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["convert", *(word.format(field=field) for word in words)]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
