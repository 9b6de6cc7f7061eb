"""Detail follows the pictures: how long a training is that nobody gave a length."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from small_photos import write_photos
from tondo.runs.watch import Watch
from tondo.scenes import reconstruct as reconstruct_
from tondo.scenes.options import ReconstructOptions, settled
from tondo.scenes.reconstruct import reconstruct
from tondo.splats import options as splats_


@pytest.mark.parametrize(
    ("width", "height", "minutes"),
    [
        (72, 56, 3.0),
        (480, 480, 3.0),
        (540, 960, 6.8),
        (960, 720, 9.0),
        (1600, 1200, 25.0),
        (6000, 4000, 30.0),
    ],
)
def test_the_length_follows_the_pixels(width: int, height: int, minutes: float) -> None:
    pixels = width * height
    assert settled(ReconstructOptions(), pixels).minutes == minutes
    assert settled(ReconstructOptions("nerf"), pixels).minutes == 3.0
    assert settled(ReconstructOptions(minutes=2.0), pixels).minutes == 2.0
    of_steps = settled(ReconstructOptions(steps=9), pixels)
    assert (of_steps.steps, of_steps.minutes) == (9, None)
    assert of_steps.splats.max_splats is not None


def test_what_is_chosen_is_told_and_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (reconstruct_, splats_):
        monkeypatch.setattr(module, "BASE_PIXELS", 72 * 56 // 2)
    photos, run = write_photos(tmp_path / "photos", 9), tmp_path / "run"
    notes: list[str] = []
    reconstruct(photos, run, ReconstructOptions(steps=1), watch=Watch(note=notes.append))
    assert "chosen for pictures of 72x56: `max_splats=120000`" in notes
    config = json.loads((run / "config.json").read_text())
    assert (config["steps"], config["minutes"]) == (1, None)
    assert config["splats"]["max_splats"] == 120_000
    notes.clear()
    longer = ReconstructOptions(steps=2)
    reconstruct(photos, run, longer, resume=True, watch=Watch(note=notes.append))
    assert not [note for note in notes if note.startswith("chosen")]
    assert json.loads((run / "config.json").read_text())["splats"] == config["splats"]
