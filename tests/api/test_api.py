"""What the functions of the API do beyond what the tests of the command line see."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import tondo


def test_models_are_a_sequence_that_is_made_when_asked_for(place: Path) -> None:
    models = tondo.generate(place / "fish", [7, 1, 4])
    assert (len(models), models.seeds, repr(models)) == (3, (7, 1, 4), "Models(3 of fish)")
    assert [model.seed for model in models[1:]] == [1, 4]
    assert models[-1].seed == 4
    assert torch.equal(models[0].mesh.vertices, models[0].mesh.vertices)
    with pytest.raises(IndexError):
        models[3]


def test_a_generator_is_evaluated_as_a_scene_is(place: Path, tmp_path: Path) -> None:
    pictures = tondo.PictureOptions(size=32, similar=0)
    made = tondo.prepare_pictures(place / "pictures", tmp_path / "set", pictures)
    options = tondo.EvaluateOptions(source=str(made.folder), samples=5)
    found = tondo.evaluate(str(place / "fish"), options, output=tmp_path / "out")
    assert found.photos is None
    assert found.generator is not None
    assert found.generator.samples == 5
    assert found.pictures is not None
    assert (found.pictures / "pictures_and_samples.png").exists()
    assert found.metrics_path == tmp_path / "out" / "metrics.json"


def test_splats_are_written_and_read_back(place: Path, tmp_path: Path) -> None:
    done = tondo.export(place / "run", tmp_path / "s.ply", tondo.ExportOptions(kind="splats"))
    scene = tondo.load_scene(str(done.path))
    assert torch.equal(scene.splats.means, tondo.load_scene(place / "run").splats.means)


def test_a_far_scene_moves_the_cameras_that_look_at_it(place: Path) -> None:
    scene = tondo.load_scene(place / "run")
    far = replace(scene, world_from_scene=tondo.Similarity(2.0, (10.0, 0.0, 0.0)))
    near, moved = (tondo.load_cameras(place / "photos", one)[0] for one in (scene, far))
    center = -near.viewmat[:3, :3].T @ near.viewmat[:3, 3]
    expected = (center - torch.tensor([10.0, 0, 0])) / 2
    assert torch.allclose(-moved.viewmat[:3, :3].T @ moved.viewmat[:3, 3], expected, atol=1e-5)


def test_messages_name_options_as_python_spells_them(place: Path, tmp_path: Path) -> None:
    run, out = place / "run", tmp_path / "out"
    calls = [
        lambda: tondo.MeshOptions(resolution=8),
        lambda: tondo.export(run, out / "a.spz"),
        lambda: tondo.evaluate(run, tondo.EvaluateOptions(samples=9)),
        lambda: tondo.evaluate(place / "field.safetensors"),
        lambda: tondo.generate(place / "fish", [1], tondo.GenerateOptions(interpolate=True)),
        lambda: tondo.generate(place / "fish", [1], tondo.GenerateOptions(format=("gbl",))),
        lambda: tondo.generate(place / "fish", [1], tondo.GenerateOptions(move=("a",))),
        lambda: tondo.directions(place / "fish", tondo.DirectionsOptions(count=99), output=out),
        lambda: tondo.explain(place / "generator", tondo.ExplainOptions(seed=-1)),
        lambda: tondo.lift(place / "photo.png", place / "fish", out / "a.txt"),
        lambda: tondo.lift(place / "photo.png", place / "fish", place / "photo.glb"),
        lambda: tondo.render_files(run),
        lambda: tondo.render_files(run, video=out / "a.gif"),
    ]
    for call in calls:
        with pytest.raises(tondo.OptionError) as caught:
            call()
        assert re.search(r"`\w+", str(caught.value)), caught.value
        assert not re.search(r"(^|\s)--?[a-z]", str(caught.value)), caught.value
    assert not out.exists()
