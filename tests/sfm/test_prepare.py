"""Photos without poses to posed images, against the true cameras."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image

from tondo.data.cameras import Camera
from tondo.errors import InputError, OutputError
from tondo.geometry.cameras import camera_position
from tondo.io.posed.photos import has_poses, load_photos
from tondo.sfm.motion.place import LOOKING
from tondo.sfm.options import PrepareOptions
from tondo.sfm.prepare import STAGES, Prepared, prepare


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Prepared:
    return prepare(
        photo_folder, tmp_path_factory.mktemp("prepared") / "out", PrepareOptions(max_features=1500)
    )


def test_all_photos_get_the_poses_they_were_taken_from(
    prepared: Prepared, scene_cameras: list[Camera]
) -> None:
    assert (prepared.registered, prepared.photos, prepared.skipped) == (11, 11, ())
    assert prepared.points > 500
    assert prepared.error < 1.0
    model = pycolmap.Reconstruction(prepared.folder / "sparse" / "0")
    images = sorted(model.images.values(), key=lambda image: image.name)
    found = np.array([image.projection_center() for image in images])
    truth = np.array([camera_position(camera).numpy() for camera in scene_cameras])
    world_from_model = pycolmap.estimate_sim3d(found, truth)
    moved = np.array([world_from_model * position for position in found])
    reach = np.linalg.norm(truth - truth.mean(axis=0), axis=1).mean()
    assert np.linalg.norm(moved - truth, axis=1).max() < 0.03 * reach
    assert len(model.cameras) == 1
    assert next(iter(model.cameras.values())).mean_focal_length() == pytest.approx(407, rel=0.04)


def test_what_it_writes_can_be_read_as_posed_photos(prepared: Prepared) -> None:
    assert has_poses(prepared.folder)
    photos = load_photos(prepared.folder, max_size=200)
    assert len(photos.train) + len(photos.test) == 11
    assert photos.points is not None
    assert len(photos.points.points) > 300
    facts = json.loads((prepared.folder / "prepare.json").read_text())
    assert facts["registered"] == facts["photos"] == len(facts["images"]) == 11
    assert facts["reprojection_error"] == pytest.approx(prepared.error, abs=1e-3)
    assert facts["coverage"]["widest_gap"][1] - facts["coverage"]["widest_gap"][0] > 200
    assert all(image["points"] > 100 for image in facts["images"])
    assert (prepared.folder / "report.html").stat().st_size > 20_000
    assert not list(prepared.folder.parent.glob(".tondo-tmp-*"))


def test_the_same_photos_give_the_same_model(tmp_path: Path, photo_folder: Path) -> None:
    some = tmp_path / "some"
    some.mkdir()
    for name in ("04.jpg", "05.jpg", "06.jpg", "07.jpg"):
        shutil.copy(photo_folder / name, some)
    told: list[str] = []
    for out in ("first", "second"):
        prepare(
            some,
            tmp_path / out,
            PrepareOptions(max_features=900),
            on_progress=lambda stage, done, total: told.append(stage),
        )
    assert set(told) == set(STAGES) - {LOOKING}
    for name in ("cameras.bin", "images.bin", "points3D.bin"):
        first, second = (tmp_path / out / "sparse" / "0" / name for out in ("first", "second"))
        assert first.read_bytes() == second.read_bytes(), name


def different_things(folder: Path, count: int) -> None:
    for i in range(count):
        rng = np.random.default_rng(100 + i)
        small = rng.integers(0, 256, (30, 40, 3), np.uint8)
        picture = Image.fromarray(small).resize((400, 300), Image.Resampling.BICUBIC)
        picture.save(folder / f"other{i}.jpg")


def test_photos_of_different_things_are_refused_with_a_report(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    different_things(source, 4)
    with pytest.raises(InputError, match="none of the 4 photos"):
        prepare(source, out, PrepareOptions(max_features=600))
    assert "No photos could be placed" in (out / "report.html").read_text()
    assert not (out / "sparse").exists()
    assert json.loads((out / "prepare.json").read_text())["registered"] == 0


def test_fewer_than_half_placed_is_an_error_that_keeps_what_there_is(
    tmp_path: Path, photo_folder: Path
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("04.jpg", "05.jpg", "06.jpg"):
        shutil.copy(photo_folder / name, source)
    different_things(source, 4)
    cut = (photo_folder / "07.jpg").read_bytes()
    (source / "07.jpg").write_bytes(cut[: len(cut) // 2])
    with pytest.raises(InputError, match=r"only 3 of the 7 photos .*report\.html"):
        prepare(source, out, PrepareOptions(max_features=900))
    facts = json.loads((out / "prepare.json").read_text())
    placed = {image["name"] for image in facts["images"] if image["registered"]}
    assert placed == {"04.jpg", "05.jpg", "06.jpg"}
    assert all(image["reason"] for image in facts["images"] if not image["registered"])
    assert [skipped["name"] for skipped in facts["skipped"]] == ["07.jpg"]
    assert len(pycolmap.Reconstruction(out / "sparse" / "0").reg_image_ids()) == 3


def test_too_little_to_start_from_leaves_nothing_behind(tmp_path: Path, photo_folder: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    with pytest.raises(InputError, match="no photos in"):
        prepare(source, tmp_path / "out")
    (source / "fake.png").write_bytes(b"x" * 50)
    with pytest.raises(InputError, match=r"no photo that can be used.*fake\.png"):
        prepare(source, tmp_path / "out")
    shutil.copy(photo_folder / "00.jpg", source)
    with pytest.raises(InputError, match="only one photo"):
        prepare(source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_what_is_there_is_only_replaced_on_demand(tmp_path: Path, photo_folder: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "holiday.jpg").write_bytes(b"precious")
    with pytest.raises(OutputError, match="not empty"):
        prepare(photo_folder, out)
    with pytest.raises(OutputError, match="not made by tondo prepare"):
        prepare(photo_folder, out, force=True)
    assert (out / "holiday.jpg").read_bytes() == b"precious"
    with pytest.raises(OutputError, match="is a file"):
        prepare(photo_folder, out / "holiday.jpg")
    (out / "holiday.jpg").rename(out / "prepare.json")
    source = tmp_path / "in"
    source.mkdir()
    different_things(source, 2)
    with pytest.raises(InputError, match="none of the 2"):
        prepare(source, out, PrepareOptions(max_features=300), force=True)
    assert json.loads((out / "prepare.json").read_text())["photos"] == 2
    assert not list(tmp_path.glob(".tondo-tmp-*"))


def test_eleven_photos_of_a_castle(tmp_path: Path, shared_data: Path) -> None:
    result = prepare(shared_data / "sceaux", tmp_path / "out", PrepareOptions(max_features=2500))
    assert result.registered == result.photos == 11
    assert result.error < 0.6
    facts = json.loads((tmp_path / "out" / "prepare.json").read_text())
    assert len(facts["cameras"]) == 1
