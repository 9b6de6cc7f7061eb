"""Photos as phones and people leave them, through `prepare` to what training reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tondo.io.posed.photos import load_photos
from tondo.sfm.options import PrepareOptions
from tondo.sfm.prepare import prepare


def test_orientations_names_sub_folders_and_masks(tmp_path: Path, photo_folder: Path) -> None:
    """Six photos on their side, with names that begin with #, in two folders, a part masked."""
    exif = Image.Exif()
    exif[0x0112] = 6
    kept = np.zeros((300, 400), np.uint8)
    kept[:, 80:] = 1
    mask = Image.fromarray(kept).transpose(Image.Transpose.ROTATE_90)
    for i in range(3, 9):
        folder = tmp_path / "in" / ("left" if i < 6 else "right")
        folder.mkdir(parents=True, exist_ok=True)
        lying = Image.open(photo_folder / f"{i:02d}.jpg").transpose(Image.Transpose.ROTATE_90)
        lying.save(folder / f"#0  {i}.jpg", quality=95, exif=exif)
        mask.save(folder / f"#0  {i}_mask.png")

    prepared = prepare(tmp_path / "in", tmp_path / "out", PrepareOptions(max_features=1500))
    assert prepared.registered == prepared.photos == 6
    facts = json.loads((prepared.folder / "prepare.json").read_text())
    assert [(c["width"], c["height"]) for c in facts["cameras"]] == [(400, 300)] * 2
    assert any("6 photos, 6 masks" in note for note in facts["notes"])
    assert "masks found for 6 of 6 photos" in (prepared.folder / "report.html").read_text()
    assert all(image["matches"] > 60 for image in facts["images"])

    posed = load_photos(prepared.folder, max_size=200, holdout=0)
    assert [photo.name for photo in posed.train] == [
        *(f"images/left/_0_{i}.jpg" for i in range(3, 6)),
        *(f"images/right/_0_{i}.jpg" for i in range(6, 9)),
    ]
    for photo in posed.train:
        assert photo.valid is not None
        assert not photo.valid[:, :38].any()
        assert photo.valid[20:130, 60:180].all()
    assert posed.points is not None
    seen = np.concatenate([_columns(photo, posed.points.points.numpy()) for photo in posed.train])
    assert float((seen > 38).mean()) > 0.98  # no point comes from where the masks are


def _columns(photo, points: np.ndarray) -> np.ndarray:  # type: ignore[no-untyped-def]
    camera = photo.camera
    local = points @ camera.viewmat[:3, :3].numpy().T + camera.viewmat[:3, 3].numpy()
    across = local[:, 0] / local[:, 2] * float(camera.K[0, 0]) + float(camera.K[0, 2])
    return across[(local[:, 2] > 0) & (across > 0) & (across < camera.width)]
