"""Scenes are opened from runs and files, and say what they do not know."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import trimesh

from small_photos import cameras, known_scene
from textured_cube import textured_cube
from tondo.errors import InputError
from tondo.io.models.mesh_files import write_mesh
from tondo.io.models.ply import write_splats
from tondo.io.models.scene import save_scene
from tondo.io.posed.cameras_json import write_cameras
from tondo.runs.run_directory import create_run
from tondo.scenes.open import (
    held_out_cameras,
    open_scene,
    open_shown,
    photo_cameras,
    settled_up,
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run with three cameras, the second held out."""
    run = create_run(tmp_path / "run", {"tondo": "1"})
    save_scene(run.scene_path, known_scene())
    named = [(f"{k}.png", camera) for k, camera in enumerate(cameras(3))]
    write_cameras(run.cameras_path, named, {"1.png"})
    return run.path


def test_a_run_is_opened_with_the_cameras_of_its_photos(run: Path) -> None:
    opened = open_scene(run)
    scene = known_scene()
    assert torch.equal(opened.scene.splats.means, scene.splats.means)  # type: ignore[union-attr]
    found = photo_cameras(opened)
    assert found is not None
    for camera, expected in zip(found, cameras(3), strict=True):
        torch.testing.assert_close(camera.viewmat, expected.viewmat, atol=1e-5, rtol=0)
        torch.testing.assert_close(camera.K, expected.K, atol=1e-3, rtol=0)
    (held_out,) = held_out_cameras(opened)
    torch.testing.assert_close(held_out.viewmat, found[1].viewmat)
    assert settled_up(opened, None) == (opened.scene.up, None)


def test_a_file_alone_has_no_cameras(run: Path) -> None:
    opened = open_scene(run / "scene.safetensors")
    assert opened.run is None
    assert photo_cameras(opened) is None
    assert held_out_cameras(opened) == []


def test_background_and_up_are_those_that_are_asked_for(run: Path) -> None:
    opened = open_scene(run, background=(1.0, 0.5, 0.0), up=(0.0, 1.0, 0.0))
    assert opened.scene.background.tolist() == [1.0, 0.5, 0.0]
    assert opened.scene.up.tolist() == [0.0, 1.0, 0.0]


def test_splats_alone_get_their_place_from_where_they_are(tmp_path: Path) -> None:
    splats = known_scene().splats
    write_splats(tmp_path / "a.ply", splats, up=torch.tensor([0.0, 0.0, 1.0]))
    opened = open_scene(tmp_path / "a.ply")
    assert opened.up_is_known
    assert opened.scene.background.tolist() == [0.0, 0.0, 0.0]
    assert opened.scene.center.tolist() == splats.means.median(dim=0).values.tolist()
    away = (splats.means - opened.scene.center).norm(dim=1)
    assert int((away <= opened.scene.radius).sum()) == round(0.9 * len(away))


def test_up_that_is_assumed_is_said_unless_cameras_show_it(tmp_path: Path) -> None:
    write_splats(tmp_path / "a.ply", known_scene().splats, up=torch.tensor([0.0, 0.0, 1.0]))
    text = (tmp_path / "a.ply").read_bytes().replace(b"Vertical axis", b"Something odd")
    (tmp_path / "a.ply").write_bytes(text)
    opened = open_scene(tmp_path / "a.ply")
    assert not opened.up_is_known
    up, sentence = settled_up(opened, None)
    assert up.tolist() == [0.0, -1.0, 0.0]
    assert sentence is not None
    assert "does not say which way is up" in sentence
    up, sentence = settled_up(opened, cameras(9))
    assert sentence is None
    torch.testing.assert_close(up, torch.tensor([0.0, 0.0, 1.0]), atol=0.2, rtol=0)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none", "nothing of that name exists"),
        ("begun", "has no scene.safetensors yet"),
        ("note.txt", "is not a scene: expected a run's folder"),
    ],
)
def test_what_is_no_scene_is_said(name: str, words: str, tmp_path: Path) -> None:
    create_run(tmp_path / "begun", {"tondo": "1"})
    (tmp_path / "note.txt").write_text("?")
    with pytest.raises(InputError, match=words):
        open_scene(tmp_path / name)


def test_up_of_a_mesh_is_what_its_file_says_or_its_formats(tmp_path: Path) -> None:
    cube, said = textured_cube().mesh, torch.tensor([0.6, 0.0, 0.8])
    write_mesh(tmp_path / "a.glb", cube, said)
    write_mesh(tmp_path / "b.glb", cube, said, "world")
    foreign = trimesh.Trimesh(cube.vertices.numpy(), cube.faces.numpy())
    foreign.export(tmp_path / "c.glb")
    ups = {"a": said, "b": torch.tensor([0.0, 0, 1]), "c": torch.tensor([0.0, 1, 0])}
    for name, expected in ups.items():
        shown = open_shown(tmp_path / f"{name}.glb")
        torch.testing.assert_close(shown.up(())[0], expected)
        torch.testing.assert_close(shown.center, torch.tensor([0.5, 1.0, 1.5]))
        assert shown.photo_cameras is None
    turned = open_shown(tmp_path / "c.glb", up=(1.0, 0.0, 0.0))
    assert turned.up(())[0].tolist() == [1.0, 0.0, 0.0]
    up, sentence = open_shown(tmp_path / "c.glb").up(cameras(9))
    torch.testing.assert_close(up, torch.tensor([0.0, 0.0, 1.0]), atol=0.2, rtol=0)
    assert sentence is not None, "cameras that contradict the format's axis go before it"
