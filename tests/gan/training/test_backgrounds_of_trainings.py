"""Scenery behind the things: who learns it, and that it stays out of the models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from torch import Tensor

from one_thread import one_thread
from small_pictures import ball, blocks, prepared, write_pictures
from tiny_generators import SHAPE, tiny_generator, tiny_run, tiny_trained
from tiny_trainings import Watched
from tondo.cli.main import main
from tondo.data.pictures import PictureSet
from tondo.features.choose import load_extractor
from tondo.gan.evaluation.explain import load_discriminator
from tondo.gan.files.generator_file import save_generator
from tondo.gan.files.open_generator import open_generator
from tondo.gan.inversion.lift import encoder_of
from tondo.gan.networks.discriminator import ProjectedDiscriminator
from tondo.gan.networks.generator import Generator
from tondo.gan.objects.contact_sheet import latents
from tondo.gan.objects.render import render_styles
from tondo.gan.options import TrainOptions
from tondo.gan.training import inputs
from tondo.gan.training.inputs import train_inputs
from tondo.geometry.look_at import cameras_at
from tondo.geometry.pose_prior import NAMED
from tondo.io.collections.picture_shards import load_pictures
from tondo.io.images import write_png
from tondo.io.models.mesh_files import read_mesh
from tondo.io.models.ply import read_splat_file
from tondo.runs.checkpoints import save_checkpoint
from tondo.runs.run_directory import RunDirectory
from tondo.runs.watch import Watch

SCENE = replace(SHAPE, background="scene")
OPTIONS = TrainOptions(size=32)


@pytest.fixture(scope="module", autouse=True)
def calmly() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PictureSet]:
    """Training sets of three kinds."""
    folder = tmp_path_factory.mktemp("sets")
    pictures = {
        "scenery": [blocks(k) for k in range(16)],
        "plain": [ball(k) for k in range(16)],
        "transparent": [ball(k, transparent=True) for k in range(16)],
    }
    return {
        kind: load_pictures(
            prepared(write_pictures(folder / kind, some), folder / f"{kind}-set", 32)
        )
        for kind, some in pictures.items()
    }


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(inputs, "load_extractor", lambda _: Watched())
    return []


@pytest.mark.parametrize(
    ("kind", "background", "poses"),
    [
        ("scenery", "scene", "frontal"),
        ("plain", "white", "turntable"),
        ("transparent", "white", "turntable"),
    ],
)
def test_only_pictures_with_scenery_ask_for_a_background(
    kind: str, background: str, poses: str, sets: dict[str, PictureSet], told: list[str]
) -> None:
    """And where the cameras of each stand if nobody says it."""
    inputs, shape = train_inputs(sets[kind], OPTIONS, Watch(note=told.append))
    assert shape.background == background
    assert inputs.priors == NAMED[poses]
    assert any(f"assuming {poses}" in text for text in told)
    assert inputs.pictures.with_alpha == (kind == "transparent")
    assert (Generator(shape).background is not None) == (background == "scene")


@pytest.mark.parametrize(("kind", "asked"), [("scenery", "white"), ("plain", "scene")])
def test_who_asks_for_a_background_gets_it(
    kind: str, asked: str, sets: dict[str, PictureSet], told: list[str]
) -> None:
    options = replace(OPTIONS, background=asked)
    assert train_inputs(sets[kind], options, Watch())[1].background == asked
    base = tiny_trained(0, SCENE if asked == "white" else SHAPE)
    _, shape = train_inputs(sets[kind], options, Watch(note=told.append), base)
    assert shape == base.generator.shape
    assert any(f"background {shape.background!r}: kept" in text for text in told)


def before_red(seed: int = 0) -> Generator:
    """A generator with the same objects as `tiny_generator(seed, SCENE)` before something red."""
    generator = tiny_generator(seed, SCENE)
    assert generator.background is not None
    generator.background.conv2.weight.zero_()
    generator.background.conv2.bias.copy_(torch.tensor([20.0, -20.0, -20.0]))
    return generator


def style(generator: Generator, seed: int) -> Tensor:
    return generator.styles(latents([seed], SCENE.z))


def test_pictures_show_the_background_and_objects_hide_it() -> None:
    """Red in the corners, not in the middle, whatever the camera; but for that as on white."""
    viewmats, Ks = cameras_at(torch.tensor([[0.4, 0.3, 0.0], [2.0, -0.2, 0.0]]), 20.0, 5.8, 40)
    red, white = before_red(), tiny_generator(0, SCENE)
    white.background = None
    w = style(red, 1).expand(2, -1)
    rendered, _ = render_styles(red, w, viewmats, Ks, 40)
    plain, _ = render_styles(white, w, viewmats, Ks, 40)
    corners = rendered.images[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    torch.testing.assert_close(corners, torch.tensor([1.0, 0.0, 0.0]).expand(2, 4, 3))
    torch.testing.assert_close(rendered.alphas, plain.alphas)
    lacks = (plain.images - rendered.images)[..., 1]  # of what is green in white
    torch.testing.assert_close(lacks, 1 - rendered.alphas, atol=1e-5, rtol=0)
    assert float(rendered.alphas[:, 20, 20].min()) > 0.9


def test_models_hold_nothing_of_the_background(tmp_path: Path) -> None:
    """The same bytes whatever is behind them; splats and mesh are those of the skin alone."""
    scenes = {"soft": tiny_generator(0, SCENE), "red": before_red()}
    words = ["--seeds", "5", "--format", "glb,splats,png", "--truncation", "1", "--size", "32"]
    for name, generator in scenes.items():
        file = tmp_path / f"{name}.safetensors"
        save_generator(file, replace(tiny_trained(), generator=generator))
        assert main(["generate", str(file), "-o", str(tmp_path / name), *words]) == 0
    for ending, same in ((".glb", True), ("_splats.ply", True), (".png", False)):
        soft, red = ((tmp_path / name / f"seed0005{ending}").read_bytes() for name in scenes)
        assert (soft == red) is same, ending
    stored = open_generator(tmp_path / "soft.safetensors").trained.generator
    skins = stored(style(stored, 5))
    splats = read_splat_file(tmp_path / "soft" / "seed0005_splats.ply").splats
    assert len(splats.means) == SCENE.rows * SCENE.columns
    torch.testing.assert_close(splats.means, skins.means[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(splats.log_scales.exp(), skins.scales[0], atol=1e-5, rtol=1e-4)
    mesh = read_mesh(tmp_path / "soft" / "seed0005.glb")
    low, high = skins.means[0].amin(dim=0), skins.means[0].amax(dim=0)
    room = 0.05 * float((high - low).max())
    assert bool(((mesh.vertices > low - room) & (mesh.vertices < high + room)).all())
    model = trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=True)
    assert model.is_watertight
    assert model.body_count == 1


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a generator before something red, with a discriminator and a small encoder."""
    path = tiny_run(tmp_path_factory.mktemp("scene") / "run", shape=SCENE)
    save_generator(
        path / "generator.safetensors",
        replace(tiny_trained(), generator=before_red(), priors=NAMED["frontal"]),
    )
    encoder_of(open_generator(path), samples=32)
    return path


def test_explain_shows_the_background(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the pictures above, which are what D judged."""
    D = ProjectedDiscriminator(load_extractor(), 32, with_cameras=False)
    tensors = {f"D.{name}": tensor for name, tensor in D.state_dict().items()}
    save_checkpoint(RunDirectory(run), 1, tensors, {})
    assert not load_discriminator(RunDirectory(run), 32).with_alpha
    assert main(["explain", str(run), "--seed", "2"]) == 0
    assert "mean logit of seed 2" in capsys.readouterr().out
    sheet = np.asarray(Image.open(run / "renders" / "explain" / "seed0002.png"))
    assert sheet.shape == (2 * 128, 8 * 128, 3)
    assert sheet[0, ::128].tolist() == [[255, 0, 0]] * 8
    assert len(np.unique(sheet[128:].reshape(-1, 3), axis=0)) > 100


def test_lift_keeps_the_scenery_of_the_photo(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is cut out, outlines are not compared, and the model is still closed."""
    generator = before_red()
    viewmats, Ks = cameras_at(torch.tensor([[0.2, 0.1, 0.0]]), 20.0, 5.8, 64)
    rendered, _ = render_styles(generator, style(generator, 9), viewmats, Ks, 64)
    write_png(tmp_path / "photo.png", rendered.images[0].clamp(0, 1))
    out = tmp_path / "model.glb"
    words = ["lift", str(tmp_path / "photo.png"), "--generator", str(run), "-o", str(out)]
    assert main([*words, "--latent-steps", "6", "--tuning-steps", "3"]) == 0
    assert "scenery was kept" in capsys.readouterr().out
    report = json.loads(out.with_suffix(".json").read_text())
    assert "scenery was kept" in report["assumed"]
    stages = report["stages"]
    assert all(stage["overlap"] is None for stage in stages.values())
    assert stages["tuned"]["pixels"] < stages["encoder"]["pixels"] < 0.3
    mesh = read_mesh(out)
    model = trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=True)
    assert model.is_watertight
    assert float(mesh.vertices.norm(dim=1).max()) < 1.5
    sheet = np.asarray(Image.open(out.with_suffix(".png")))
    assert sheet[2, 2].tolist() == [255, 0, 0]
