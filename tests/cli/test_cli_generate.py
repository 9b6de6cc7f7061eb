"""`tondo generate` as a user types it."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import pytest
import torch
import trimesh

import tondo
from tiny_generators import tiny_run
from tondo.cli.main import main
from tondo.gan.files import open_generator
from tondo.gan.files.generator_file import load_generator, save_generator
from tondo.io.images import image_size
from tondo.io.models.mesh_files import read_mesh
from tondo.io.models.ply import read_splat_file
from tondo.runs.run_directory import create_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tiny_run(tmp_path / "run")


def generate(*words: object) -> int:
    return main(["generate", *(str(word) for word in words)])


def test_every_format(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "out"
    words = ["--seeds", "3,1", "--format", "glb,ply,obj,stl,splats,png,mp4", "--size", "48"]
    assert generate(run, "-o", out, *words) == 0
    printed = capsys.readouterr().out
    assert "2 models" in printed
    assert "CC0 1.0" in printed
    assert image_size(out / "grid.png") == (8 * 48, 2 * 48)
    for seed in (1, 3):
        stem = out / f"seed{seed:04d}"
        for ending in ("glb", "ply", "obj", "stl"):
            mesh = read_mesh(stem.with_suffix(f".{ending}"))
            # STL has no shared vertices: trimesh joins equal ones
            model = trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=True)
            assert model.is_watertight
            assert model.volume > 0
            assert (mesh.colors is not None) == (ending == "ply")
        (part,) = trimesh.load_scene(stem.with_suffix(".glb")).geometry.values()
        assert part.visual.material.baseColorTexture.size == (256, 256)
        assert len(read_splat_file(out / f"seed{seed:04d}_splats.ply").splats.means) == 32 * 64
        assert image_size(stem.with_suffix(".png")) == (8 * 48, 48)
        with av.open(str(stem.with_suffix(".mp4"))) as film:
            assert film.streams.video[0].frames == 72


def test_the_same_seed_gives_the_same_file(run: Path, tmp_path: Path) -> None:
    assert generate(run, "-o", tmp_path / "a", "--seeds", "0-2", "--format", "glb") == 0
    assert generate(run, "-o", tmp_path / "b", "--seeds", "2", "--format", "glb") == 0
    first, second = (tmp_path / name / "seed0002.glb" for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() != (tmp_path / "a" / "seed0001.glb").read_bytes()


def test_without_o_the_models_lie_in_a_folder_of_the_generators_name(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--seeds", "0", "--format", "ply", "--size", "16"]
    for source, place in (
        (run, "run_models"),
        (run / "generator.safetensors", "generator_models"),
        ("fish", "fish_models"),
    ):
        assert generate(source, *words) == 0
        assert f"{place}: 1 model" in capsys.readouterr().out
        assert {p.name for p in (tmp_path / place).iterdir()} == {"seed0000.ply", "grid.png"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("w_mean", 3e38), ("skin_network.conv5.bias", 3e38), ("skin_network.conv3.style.bias", -3e38)],
)
def test_weights_that_are_finite_but_too_large(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, value: float
) -> None:
    trained = load_generator(run / "generator.safetensors")
    trained.generator.state_dict()[name].fill_(value)
    save_generator(run / "generator.safetensors", trained)
    assert generate(run, "-o", tmp_path / "a", "--seeds", "0") == 2
    message = capsys.readouterr().err
    assert f"{run / 'generator.safetensors'} is damaged" in message
    assert "copy it again" in message
    assert not (tmp_path / "a").exists()


def test_a_textured_model_in_memory_is_that_of_the_file(run: Path, tmp_path: Path) -> None:
    models = tondo.generate(run, [4], tondo.GenerateOptions(format=("obj",), texture=64))
    made = models.textured(0, 64)
    assert made.texture.color.shape == (64, 64, 3)
    assert generate(run, "-o", tmp_path, "--seeds", 4, "--format", "obj", "--texture", 64) == 0
    _, uvs, texture = tondo.read_textured(tmp_path / "seed0004.obj")
    assert uvs is not None
    assert texture is not None
    assert torch.allclose(uvs, made.uvs, atol=1e-5)
    assert torch.equal(texture.color, made.texture.color)


def test_truncation_and_moves_do_something(run: Path) -> None:
    plain = tondo.generate(run, [4], tondo.GenerateOptions(1.0))[0]
    mean = tondo.generate(run, [4, 5], tondo.GenerateOptions(0.0))
    there = tondo.generate(run, [4], tondo.GenerateOptions(1.0, move=("0=+2", "p1=-1")))[0]
    back = tondo.generate(run, [4], tondo.GenerateOptions(1.0, move=("0=0",)))[0]
    assert torch.equal(mean[0].mesh.vertices, mean[1].mesh.vertices)
    assert not torch.allclose(plain.mesh.vertices, mean[0].mesh.vertices, atol=1e-2)
    assert not torch.allclose(plain.mesh.vertices, there.mesh.vertices, atol=1e-2)
    assert torch.allclose(plain.mesh.vertices, back.mesh.vertices, atol=1e-4)


def test_interpolation(run: Path, tmp_path: Path) -> None:
    words = ["--seeds", "0-1", "--interpolate", "--format", "png", "--size", "32"]
    assert generate(run, "-o", tmp_path / "a", *words) == 0
    with av.open(str(tmp_path / "a" / "interpolation.mp4")) as film:
        frames = [f.to_ndarray(format="rgb24").astype(int) for f in film.decode(video=0)]
    assert len(frames) == 72
    assert abs(frames[0] - frames[36]).mean() > 2
    assert abs(frames[0] - frames[-1]).mean() < 0.5 * abs(frames[0] - frames[36]).mean()


def test_an_installed_generator_is_found_by_name(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "generators"
    folder.mkdir()
    shutil.copy(run / "generator.safetensors", folder / "lumps.safetensors")
    shutil.copy(run / "generator.safetensors", folder / "lumps.encoder.safetensors")
    monkeypatch.setattr(open_generator, "shipped_folder", lambda: folder)
    assert open_generator.shipped_names() == ["lumps"]
    assert generate("lumps", "-o", tmp_path / "a", "--seeds", "0", "--format", "ply") == 0
    assert generate("lump", "-o", tmp_path / "b") == 2
    assert "did you mean 'lumps'?" in capsys.readouterr().err


def test_no_such_generator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate("nothing-of-that-name", "-o", tmp_path / "a") == 2
    message = capsys.readouterr().err
    names = open_generator.shipped_names()
    assert "'nothing-of-that-name'" in message
    assert all(name in message for name in names)
    assert names or "tondo train" in message


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--seeds", "7-0"], "0-7"),
        (["--seeds", "x"], "0-7"),
        (["--seeds", "-3"], "seeds"),
        (["--seeds", "0-99999"], "at most"),
        (["--format", "gbl"], "did you mean glb"),
        (["--truncation", "7"], "from 0 to 1.5"),
        (["--truncation", "nan"], "from 0 to 1.5"),
        (["--move", "40=1"], "there are 10 closed-form directions"),
        (["--move", "a"], "--move a"),
        (["--size", "0"], "from 16 to 2048"),
        (["--size", "9999"], "from 16 to 2048"),
        (["--texture", "9"], "--texture must be from 16 to 16384"),
        (["--texture", "much"], "a number of texels, auto or none"),
        (["--interpolate", "--seeds", "3"], "at least two"),
        (["--sedes", "3"], "--seeds"),
    ],
)
def test_wrong_options_are_one_message(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    expected: str,
) -> None:
    assert generate(run, "-o", tmp_path / "a", *words) == 2
    message = capsys.readouterr().err
    assert expected in message
    assert "Traceback" not in message
    assert not (tmp_path / "a").exists()


def test_wrong_runs_are_one_message(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = create_run(tmp_path / "scene", {"tondo": "0.1.0", "command": "reconstruct"})
    young = create_run(tmp_path / "young", {"tondo": "0.1.0", "command": "train"})
    (tmp_path / "file").write_text("hello")
    file = run / "generator.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    for source, expected in (
        (other.path, "not of `tondo train`"),
        (young.path, "--resume"),
        (run, "cut off or damaged"),
        (tmp_path / "file", "cut off or damaged"),
        (tmp_path, "not a run of Tondo"),
    ):
        assert generate(source, "-o", tmp_path / "a") == 2
        message = capsys.readouterr().err
        assert expected in message
        assert "Traceback" not in message
