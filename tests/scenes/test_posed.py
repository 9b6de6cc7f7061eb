"""Photos with poses of whatever a scene is to be made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from small_photos import known_scene, write_photos
from tondo.io.models.scene import save_scene
from tondo.runs.run_directory import create_run
from tondo.runs.watch import SILENT, Watch
from tondo.scenes import posed
from tondo.scenes.options import ReconstructOptions
from tondo.scenes.source import source_of

OPTIONS = ReconstructOptions(max_size=24, holdout=0)


def test_posed_photos_are_taken_where_they_are(tmp_path: Path) -> None:
    source = source_of(write_photos(tmp_path / "photos", 3))
    run = create_run(tmp_path / "run", {"tondo": "1"})
    assert posed.posed_folder(source, run, OPTIONS, SILENT) == tmp_path / "photos"
    assert not (run.path / posed.PREPARED).exists()
    chosen = ReconstructOptions(masks=str(tmp_path))
    assert posed.masks_of(source, chosen) == str(tmp_path)


def test_a_scene_is_photographed_once(tmp_path: Path) -> None:
    save_scene(tmp_path / "scene.safetensors", known_scene())
    source = source_of(tmp_path / "scene.safetensors")
    run = create_run(tmp_path / "run", {"tondo": "1"})
    stages: list[str] = []
    watch = Watch(stage=lambda stage, done, total: stages.append(stage))
    folder = posed.posed_folder(source, run, OPTIONS, watch)
    assert folder == run.path / posed.PREPARED
    assert set(stages) == {"photographing the scene"}
    stages.clear()
    (tmp_path / "scene.safetensors").unlink()  # the run has pictures of its own to go on with
    assert posed.posed_folder(source, run, OPTIONS, watch) == folder
    assert stages == []
    assert posed.masks_of(source, OPTIONS) == "auto"


def test_photos_without_poses_are_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise KeyError

    monkeypatch.setattr(posed, "prepare", refuse)
    (tmp_path / "photos").mkdir()
    run, notes = create_run(tmp_path / "run", {"tondo": "1"}), []
    source = source_of(tmp_path / "photos")
    with pytest.raises(KeyError):
        posed.posed_folder(source, run, OPTIONS, Watch(note=notes.append))
    assert notes == ["these photos have no poses: finding them first"]


def test_what_is_found_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 5)
    (photos / "001.png").write_bytes(b"no picture")
    (photos / "masks").mkdir()
    for k in range(5):
        seen = np.full((56, 72), 0 if k in (2, 3) else 255, np.uint8)
        Image.fromarray(seen).save(photos / "masks" / f"{k:03d}.png")
    notes: list[str] = []
    found = posed.load_told(photos, "auto", OPTIONS, Watch(note=notes.append))
    assert [photo.name for photo in found.train] == ["000.png", "004.png"]
    assert (
        "2 photos to train on, 0 held out, 24x19 (of 72x56); 3 left out (the first: 001.png"
        in notes[0]
    )
    assert [text.split(":")[1] for text in notes if text.startswith("left out")] == [
        " 002.png",
        " 003.png",
    ]
