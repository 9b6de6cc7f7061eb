"""What is at a path is decided once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from small_photos import known_scene, write_photos
from textured_cube import textured_cube
from tiny_generators import tiny_run
from tondo.errors import InputError
from tondo.gan.files.open_generator import shipped_names
from tondo.io.models.mesh_files import write_mesh
from tondo.io.models.ply import write_splats
from tondo.io.models.scene import save_scene
from tondo.runs.run_directory import create_run
from tondo.scenes.source import check_photos, source_of


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of everything."""
    top = tmp_path_factory.mktemp("sources")
    write_photos(top / "posed", 3)
    (top / "photos").mkdir()
    (top / "photos" / "a.jpg").write_bytes(b"")
    (top / "set").mkdir()
    (top / "set" / "pictures.json").write_text("{}")
    for name in ("pictures.zip", "clip.MP4", "broken.safetensors"):
        (top / name).write_bytes(b"?")
    scene = known_scene()
    save_scene(create_run(top / "finished", {"tondo": "1"}).scene_path, scene)
    save_scene(top / "scene.safetensors", scene)
    write_splats(top / "splats.ply", scene.splats, up=scene.up)
    for name in ("model.GLB", "model.obj", "faces.ply", "model.stl"):
        write_mesh(top / name, textured_cube().mesh, scene.up)
    create_run(top / "begun", {"tondo": "1", "command": "reconstruct"})
    create_run(top / "training", {"tondo": "1", "command": "train"})
    tiny_run(top / "trained")
    return top


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("posed", "posed photos"),
        ("posed/transforms.json", "posed photos"),
        ("photos", "photos"),
        ("photos/a.jpg", "photos"),
        ("pictures.zip", "photos"),
        ("clip.MP4", "video"),
        ("set", "picture set"),
        ("finished", "scene"),
        ("finished/scene.safetensors", "scene"),
        ("scene.safetensors", "scene"),
        ("splats.ply", "scene"),
        ("faces.ply", "mesh"),
        ("model.GLB", "mesh"),
        ("model.obj", "mesh"),
        ("model.stl", "mesh"),
        ("broken.safetensors", "scene"),  # whose reader says what is wrong with it
        ("begun", "run"),
        ("training", "generator"),
        ("trained", "generator"),
        ("trained/generator.safetensors", "generator"),
        ("none", "nothing"),
    ],
)
def test_kinds(name: str, kind: str, place: Path) -> None:
    found = source_of(str(place / name))
    assert (found.path, found.kind) == (place / name, kind)


def test_the_name_of_an_installed_generator_is_one_where_nothing_else_is_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = shipped_names()[0]
    monkeypatch.chdir(tmp_path)
    assert source_of(name).kind == "generator"
    (tmp_path / name).mkdir()
    assert source_of(name).kind == "photos"


def test_a_folder_with_a_config_of_another_program_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model": "other"}))
    assert source_of(tmp_path).kind == "photos"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("trained", "is a generator, as `tondo train` makes: expected photos of one scene"),
        ("set", "is a picture set, as `tondo prepare --for gan` makes: expected photos"),
        ("nowhere", "there is no file or folder"),
    ],
)
def test_a_scene_is_not_made_of_what_trainings_read_or_make(
    place: Path, name: str, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        check_photos(source_of(place / name))
