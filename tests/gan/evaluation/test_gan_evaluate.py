"""A generator measured against pictures: its own samples are near, others far."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tiny_generators import SHAPE, tiny_run, tiny_trained
from tondo.cli.main import main
from tondo.data.pictures import PictureSet
from tondo.features.choose import load_extractor
from tondo.gan.evaluation.evaluate import evaluate_generator, sample_pictures
from tondo.gan.files.adapters import AdapterCard, add_adapters, save_adapter
from tondo.gan.files.generator_file import fingerprint
from tondo.gan.files.open_generator import open_generator
from tondo.io.collections.picture_shards import Manifest, write_manifest, write_shard
from tondo.io.images import image_size
from tondo.runs.run_directory import create_run


def own_pictures(count: int) -> torch.Tensor:
    """Pictures that the tiny generator made, of other samples than those that are measured."""
    trained = tiny_trained()
    return sample_pictures(trained, count, torch.Generator().manual_seed(9))


def prepared(folder: Path, images: torch.Tensor, classes: tuple[str, ...] | None = None) -> Path:
    """A prepared set, its pictures in turn of the classes, if any."""
    folder.mkdir(parents=True)
    (folder / "shards").mkdir()
    labels = None if classes is None else torch.arange(len(images)) % len(classes)
    write_shard(folder, 0, images, labels=labels)
    size, channels = images.shape[2], images.shape[1]
    write_manifest(
        folder,
        Manifest("lumps", size, channels, True, (len(images),), classes, False, (), (), {}),
    )
    return folder


def test_own_samples_are_near_and_noise_is_far() -> None:
    extractor = load_extractor()
    noise = torch.randint(0, 255, (40, 3, 32, 32), dtype=torch.uint8)
    near, far = (
        evaluate_generator(tiny_trained(), PictureSet(images), extractor, count=40)
        for images in (own_pictures(40), noise)
    )
    assert near.frechet < 0.5 * far.frechet
    assert near.kernel < 0.2 * far.kernel
    assert near.precision > 0.6
    assert near.recall > 0.6
    assert far.precision < 0.1
    assert near.diversity == pytest.approx(near.diversity_of_pictures, rel=0.3)
    assert (near.pictures, near.samples) == (40, 40)
    assert "efficientnet-lite0" in near.extractor
    assert 0.1 < near.geometry.thickness <= 1


def test_alpha_is_shown_on_white() -> None:
    images = torch.zeros(6, 4, 32, 32, dtype=torch.uint8)
    black = torch.zeros(6, 3, 32, 32, dtype=torch.uint8)
    extractor = load_extractor()
    see_through, white = (
        evaluate_generator(tiny_trained(), PictureSet(x), extractor, count=6)
        for x in (images, black + 255)
    )
    assert see_through.frechet == pytest.approx(white.frechet, rel=1e-6)


def test_evaluate_as_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tiny_run(tmp_path / "run")
    (run / "metrics.json").write_text(json.dumps({"train_seconds": 3.0}))
    prepared(run / "pictures", own_pictures(12))
    assert main(["evaluate", str(run), "--samples", "10"]) == 0
    out = capsys.readouterr().out
    assert "Fréchet" in out
    assert "10 pictures and 10 samples" in out
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["train_seconds"] == 3.0
    assert metrics["generator"]["samples"] == 10
    assert metrics["generator"]["geometry"]["empty"] == 0
    sheets = run / "renders" / "evaluate"
    assert image_size(sheets / "grid.png") == (8 * 32, 2 * 6 * 32)
    assert image_size(sheets / "pictures_and_samples.png") == (2 * 8 * 32 + 8, 6 * 32)
    file = run / "generator.safetensors"
    words = ["--source", str(run / "pictures"), "--samples", "6"]
    assert main(["evaluate", str(file), *words, "-o", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["generator"]["samples"] == 6


def test_of_a_source_only_the_runs_own_classes_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tiny_run(tmp_path / "run")
    config = json.loads((run / "config.json").read_text()) | {"classes": ["red"]}
    (run / "config.json").write_text(json.dumps(config))
    both = prepared(tmp_path / "both", own_pictures(12), ("green", "red"))
    words = ["evaluate", str(run), "--samples", "9", "--source"]
    assert main([*words, str(both)]) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["generator"]["pictures"] == 6
    none = prepared(tmp_path / "none", own_pictures(6))
    green = prepared(tmp_path / "green", own_pictures(6), ("green",))
    for source, expected in ((none, "no classes are known"), (green, "there are green")):
        assert main([*words, str(source)]) == 2
        assert expected in capsys.readouterr().err


def test_an_installed_generator_also_beside_a_folder_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fish").mkdir()
    assert main(["evaluate", "fish"]) == 2
    assert "fish is not a run's folder: say with --output" in capsys.readouterr().err
    assert main(["evaluate", "fish", "-o", "out"]) == 2
    assert "the training set of fish was not found" in capsys.readouterr().err
    for words in (["fsh"], ["fsh", "--mesh", "a.ply"], ["no.ply"]):
        assert main(["evaluate", *words]) == 2
        message = capsys.readouterr().err
        assert f"no run, file or generator called {words[0]!r}" in message
        assert "installed generators: fish" in message
    create_run(tmp_path / "scene", {"tondo": "0.1.0", "command": "reconstruct"})
    assert main(["evaluate", "scene"]) == 2
    assert "no scene.safetensors yet" in capsys.readouterr().err


def test_an_adapters_file_is_measured(tmp_path: Path) -> None:
    shape = replace(SHAPE, w=16, channels=(64, 64, 48))
    run = tiny_run(tmp_path / "run", shape=shape)
    generator = open_generator(run).trained.generator
    name = fingerprint(generator)
    add_adapters(generator, 1)
    save_adapter(tmp_path / "adapter.safetensors", generator, AdapterCard(str(run), name, 1))
    source = prepared(tmp_path / "pictures", own_pictures(6))
    words = ["--source", str(source), "--samples", "5", "-o", str(tmp_path / "out")]
    assert main(["evaluate", str(tmp_path / "adapter.safetensors"), *words]) == 0
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["generator"]["samples"] == 5


def test_what_cannot_be_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tiny_run(tmp_path / "run")
    small = prepared(tmp_path / "small", torch.zeros(9, 3, 16, 16, dtype=torch.uint8))
    few = prepared(tmp_path / "few", own_pictures(3))
    for words, expected in (
        ([], "give --source"),
        (["--source", str(tmp_path)], "give --source"),
        (["--source", str(small)], "16 pixels a side"),
        (["--source", str(few)], "at least 5"),
        (["--source", str(few), "--mesh", "a.ply"], "--mesh is for scenes"),
        (["--source", str(few), "--features", "vgg"], "at least 5|vgg"),
    ):
        assert main(["evaluate", str(run), *words]) == 2
        message = capsys.readouterr().err
        assert any(part in message for part in expected.split("|"))
        assert "Traceback" not in message
