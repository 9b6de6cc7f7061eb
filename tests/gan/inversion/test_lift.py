"""One photo to one model: of a thing that the generator makes, and of something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
import trimesh
from PIL import Image

from tiny_generators import photo_of_sample, tiny_run, tiny_trained
from tondo.cli.main import main
from tondo.errors import InputError
from tondo.gan.files.generator_file import fingerprint
from tondo.gan.files.open_generator import open_generator
from tondo.gan.inversion.encoder import (
    FORMAT,
    Encoder,
    EncoderReport,
    OtherGeneratorError,
    load_encoder,
    rotations_from_six,
    save_encoder,
    train_encoder,
)
from tondo.gan.inversion.fit_latent import Pose
from tondo.gan.inversion.lift import encoder_of
from tondo.geometry.look_at import cameras_at
from tondo.io.images import image_size, write_png
from tondo.io.models.mesh_files import read_mesh


def test_six_numbers_make_a_rotation_and_its_rows_give_it_back() -> None:
    six = torch.randn(2000, 6, generator=torch.Generator().manual_seed(0))
    six[1000:, 3:] = six[1000:, :3] + 1e-4 * six[1000:, 3:]  # rows that are nearly parallel
    rotations = rotations_from_six(six)
    eye = torch.eye(3).expand(2000, 3, 3)
    assert torch.allclose(rotations @ rotations.mT, eye, atol=1e-5)
    assert torch.allclose(torch.linalg.det(rotations), torch.ones(2000), atol=1e-5)
    again = rotations_from_six(rotations[:, :2].flatten(1))
    assert torch.allclose(again, rotations, atol=1e-3)
    assert bool(torch.isfinite(rotations_from_six(torch.zeros(1, 6))).all())


def test_a_pose_turns_and_moves_in_the_cameras_axes() -> None:
    first, Ks = cameras_at(torch.tensor([[0.3, 0.2, 0.0]]), 20.0, 5.0, 64)
    still = Pose(first, torch.zeros(1, 3), torch.zeros(1, 3), Ks[0])
    assert torch.allclose(still.viewmats(), first, atol=1e-6)
    shift = torch.tensor([[0.1, -0.2, 0.5]])
    turned = Pose(first, torch.tensor([[0.0, 0.0, 0.5]]), shift, Ks[0])
    found = turned.viewmats()[0]
    assert torch.allclose(found[:2, 3], torch.tensor([0.1, -0.2]), atol=1e-6)
    assert float(found[2, 3]) == pytest.approx(5.0 * 2.718281828**0.5, rel=1e-5)
    rolled, _ = cameras_at(torch.tensor([[0.3, 0.2, -0.5]]), 20.0, 5.0, 64)
    both = [torch.linalg.norm(found[:3, :3] - r[0, :3, :3]) for r in (rolled, first)]
    assert float(both[0]) < 1e-3 < float(both[1])


def test_an_encoder_learns_and_comes_back_from_its_file(tmp_path: Path) -> None:
    trained = tiny_trained()
    with torch.no_grad():  # things of one kind, with sides that can be told apart
        trained.generator.skin_network.from_w.weight.mul_(0.2)
        trained.generator.skin_network.to_splats.weight[4:].mul_(6)
    encoder, report = train_encoder(trained, samples=200, rounds=40)
    twin, _ = train_encoder(trained, samples=200, rounds=40)
    for own, other in zip(encoder.parameters(), twin.parameters(), strict=True):
        assert torch.equal(own, other)
    assert report.degrees < 75  # guessing gives 90 and more
    assert report.explained > 0.1
    assert report.samples == 200
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, encoder, trained, report)
    again, same = load_encoder(path, trained)
    assert same == report
    picture = torch.rand(1, 3, 40, 40)
    assert torch.allclose(again(picture).w, encoder(picture).w, atol=0.02)
    with pytest.raises(InputError, match="another generator"):
        load_encoder(path, tiny_trained(1))


@pytest.mark.parametrize(
    "report",
    [
        "[1, 2, NaN]",
        "[Infinity, 0.5, 200]",
        f"[{'9' * 400}, 0.5, 200]",
        f"[1, 2, {'9' * 400}]",
        "[1, 2]",
        '["1", "2", "3"]',
        "null",
    ],
)
def test_an_encoder_with_a_damaged_description(tmp_path: Path, report: str) -> None:
    trained, path = tiny_trained(), tmp_path / "encoder.safetensors"
    tensors = {name: t.contiguous() for name, t in Encoder(12).state_dict().items()}
    about = {"format": FORMAT, "generator": fingerprint(trained.generator), "report": "REPORT"}
    text = json.dumps(about).replace('"REPORT"', report)
    path.write_bytes(safetensors.torch.save(tensors, metadata={"tondo_encoder": text}))
    with pytest.raises(InputError, match=r"description is damaged .* delete it: it is made again"):
        load_encoder(path, trained)


def test_only_an_encoder_of_another_generator_is_made_again(tmp_path: Path) -> None:
    """Whatever the folder is called."""
    opened = open_generator(tiny_run(tmp_path / "of another generator"))
    path = opened.companion("encoder")
    path.write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"cut off or damaged.* delete it: it is made again"):
        encoder_of(opened, samples=40)
    assert path.read_bytes() == b"damaged"
    other = tiny_trained(1)
    save_encoder(path, Encoder(12), other, EncoderReport(1.0, 0.5, 40))
    with pytest.raises(OtherGeneratorError):
        load_encoder(path, opened.trained)
    encoder_of(opened, samples=40)
    assert load_encoder(path, opened.trained)[1].samples == 40


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a small encoder beside it."""
    path = tiny_run(tmp_path_factory.mktemp("lift") / "run")
    encoder_of(open_generator(path), samples=64)
    return path


def lift(*words: object) -> int:
    steps = ["--latent-steps", "18", "--tuning-steps", "5"]
    return main(["lift", *(str(word) for word in words), *steps])


def test_a_thing_of_its_kind(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, out = photo_of_sample(tmp_path / "photo.png"), tmp_path / "new" / "model.glb"
    before = (run / "generator.safetensors").read_bytes()
    assert lift(photo, "--generator", run, "-o", out) == 0
    assert "plain background" in capsys.readouterr().out
    mesh = read_mesh(out)
    model = trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=True)
    assert model.is_watertight
    (part,) = trimesh.load_scene(out).geometry.values()
    assert part.visual.material.baseColorTexture.size == (256, 256)
    assert image_size(out.with_suffix(".png")) == (6 * 128, 2 * 128)
    report = json.loads(out.with_suffix(".json").read_text())
    stages = report["stages"]
    first, fitted, tuned = (stages[name] for name in ("encoder", "style and camera", "tuned"))
    assert fitted["pixels"] < 0.9 * first["pixels"]
    assert tuned["perceptual"] < fitted["perceptual"] < first["perceptual"]
    assert tuned["overlap"] > 0.8
    assert (run / "generator.safetensors").read_bytes() == before


def test_something_else_works_and_says_so(run: Path, tmp_path: Path) -> None:
    stripes = torch.ones(60, 90, 3)
    stripes[10:50, 10:80] = torch.tensor([1.0, 0.0, 0.9])
    stripes[10:50:6, 10:80] = 0.0
    write_png(tmp_path / "stripes.png", stripes)
    photos = {"else": tmp_path / "stripes.png", "own": photo_of_sample(tmp_path / "own.png")}
    share = {}
    for name, photo in photos.items():
        assert lift(photo, "--generator", run, "-o", tmp_path / f"{name}_model.ply") == 0
        report = json.loads((tmp_path / f"{name}_model.json").read_text())
        distance = report["stages"]["style and camera"]["perceptual"]
        share[name] = distance / report["typical_perceptual_between_models"]
    assert share["else"] > 1.3 * share["own"]
    report = json.loads((tmp_path / "else_model.json").read_text())
    assert report["verdict"].startswith("far off")


@pytest.mark.parametrize("how", ["its name", "link", "hard link", "other spelling", "as model"])
def test_the_photo_is_never_written_over(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    photo, out = photo_of_sample(tmp_path / "photo.png"), tmp_path / "photo.glb"
    (tmp_path / "sub").mkdir()
    if how == "link":
        out = tmp_path / "other.glb"
        out.with_suffix(".png").symlink_to(photo)
    elif how == "hard link":
        out = tmp_path / "other.glb"
        out.with_suffix(".json").hardlink_to(photo)
    elif how == "other spelling":
        out = tmp_path / "sub" / ".." / "photo.glb"
    elif how == "as model":
        photo = photo.rename(out)
    before = photo.read_bytes()
    assert lift(photo, "--generator", run, "-o", out) == 2
    message = capsys.readouterr().err
    assert "choose another name for --output" in message
    assert str(out) in message
    assert photo.read_bytes() == before
    assert not list((tmp_path / "sub").iterdir())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-o", "a.gbl"], "a model can be written as"),
        (["-o", "a"], "no ending"),
        (["-o", "a.glb", "--latent-steps", "-1"], "0 to 10000"),
    ],
)
def test_wrong_options(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], expected: str
) -> None:
    photo = photo_of_sample(tmp_path / "photo.png")
    assert main(["lift", str(photo), "--generator", str(run), *words]) == 2
    message = capsys.readouterr().err
    assert expected in message
    assert "Traceback" not in message


def test_wrong_files(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.png").write_text("hello")
    Image.new("RGB", (40, 40), "white").save(tmp_path / "white.png")
    for photo, source, expected in (
        (tmp_path / "text.png", run, "not a picture"),
        (tmp_path / "none.png", run, "no picture file"),
        (tmp_path / "white.png", run, "nothing stands out"),
        (tmp_path / "white.png", tmp_path / "nowhere", "no run, file or generator"),
    ):
        assert lift(photo, "--generator", source, "-o", tmp_path / "a.glb") == 2
        message = capsys.readouterr().err
        assert expected in message
        assert not (tmp_path / "a.glb").exists()
