"""A run goes on with the photographs and options that it was started with, or says why not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from small_photos import write_photos
from tondo.cli.main import main
from tondo.errors import InputError
from tondo.runs.run_directory import create_run
from tondo.scenes.same_photos import check_files, note_photos, source_hashes
from tondo.scenes.source import source_of

METHODS = ("splats", "nerf")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, whose 002.png has a mask, and a run of each method, of 2 steps."""
    folder = tmp_path_factory.mktemp("begun")
    photos = write_photos(folder / "photos", 9)
    change_frame(photos, 2, mask_path="mask.png")
    mask = np.full((56, 72), 255, np.uint8)
    mask[:, :20] = 0
    Image.fromarray(mask).save(photos / "mask.png")
    for method in METHODS:
        args = ["--method", method, "--steps", "2", "--max-size", "40"]
        assert main(["reconstruct", str(photos), "-o", str(folder / method), *args]) == 0
    return folder


@pytest.fixture
def place(begun: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    shutil.copytree(begun, tmp_path / "copy")
    for method in METHODS:
        change_json(
            tmp_path / "copy" / method / "config.json", source=str(tmp_path / "copy/photos")
        )
    return tmp_path / "copy"


def change_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def change_frame(photos: Path, index: int, **values: object) -> None:
    data = json.loads((photos / "transforms.json").read_text())
    data["frames"][index] |= values
    (photos / "transforms.json").write_text(json.dumps(data))


def go_on(place: Path, method: str, *more: str, photos: str = "photos") -> int:
    return main(["reconstruct", str(place / photos), "-o", str(place / method), "--resume", *more])


def other_pixels(photos: Path) -> None:
    shutil.copy(photos / "004.png", photos / "003.png")


def other_held_out_pixels(photos: Path) -> None:
    shutil.copy(photos / "004.png", photos / "000.png")


def other_pose(photos: Path) -> None:
    data = json.loads((photos / "transforms.json").read_text())
    matrix = data["frames"][5]["transform_matrix"]
    matrix[0][3] += 0.1
    change_frame(photos, 5, transform_matrix=matrix)


def other_mask(photos: Path) -> None:
    Image.fromarray(np.full((56, 72), 255, np.uint8)).save(photos / "mask.png")


def one_removed(photos: Path) -> None:
    (photos / "004.png").unlink()


def one_added(photos: Path) -> None:
    data = json.loads((photos / "transforms.json").read_text())
    data["frames"].append(data["frames"][3] | {"file_path": "0031.png"})
    shutil.copy(photos / "003.png", photos / "0031.png")
    (photos / "transforms.json").write_text(json.dumps(data))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_pixels, "003.png shows something else;"),
        (other_held_out_pixels, "000.png shows something else;"),
        (other_pose, "005.png has another camera (pose or lens);"),
        (other_mask, "002.png has another mask;"),
        (one_removed, "004.png is missing"),
        (one_added, "0031.png is new"),
    ],
)
def test_other_photographs_are_refused(
    change: Callable[[Path], None],
    words: str,
    method: str,
    place: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(place / "photos")
    config = (place / method / "config.json").read_bytes()
    assert go_on(place, method, "--steps", "3") == 2
    error = capsys.readouterr().err
    assert "are not those that the run was started with" in error
    assert words in error
    assert error.count("\n") == 1
    assert (place / method / "config.json").read_bytes() == config


@pytest.mark.parametrize("method", METHODS)
def test_a_run_is_not_measured_on_what_it_was_trained_on(
    method: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(place / method)]) == 0
    (place / "photos" / "000.png").unlink()
    data = json.loads((place / "photos" / "transforms.json").read_text())
    del data["frames"][0]
    (place / "photos" / "transforms.json").write_text(json.dumps(data))
    assert main(["evaluate", str(place / method)]) == 2
    assert "the run was trained on 001.png, which is held out" in capsys.readouterr().err


def test_the_same_photographs_elsewhere_are_the_same(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "photos").rename(place / "moved")
    picture = Image.open(place / "moved" / "003.png")
    picture.save(place / "moved" / "003.png", compress_level=1)  # other bytes, the same pixels
    assert go_on(place, "splats", "--steps", "3", photos="moved") == 0
    assert f"comparing {place}/moved with it" in capsys.readouterr().out
    config = json.loads((place / "splats" / "config.json").read_text())
    assert config["source"] == str(place / "moved")
    assert (config["steps"], config["steps_done"]) == (3, 3)
    other_pixels(place / "moved")
    assert go_on(place, "splats", "--steps", "4", photos="moved") == 2


def test_a_wrong_name_for_the_photographs_is_told(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert go_on(place, "splats", "--steps", "3", photos="fotos") == 0
    said = capsys.readouterr().out
    assert f"there is nothing at {place}/fotos: going on with {place}/photos" in said


def test_a_run_of_an_older_version_goes_on(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "splats" / "photos.json").unlink()
    assert go_on(place, "splats", "--steps", "3") == 0
    assert "does not say what its photos were" in capsys.readouterr().out
    other_pixels(place / "photos")  # from now on it does
    assert go_on(place, "splats", "--steps", "4") == 2


@pytest.mark.parametrize(
    ("method", "options", "expected"),
    [
        (
            "splats",
            "--max-size 480 --seed 0 --holdout 5 --background white --exposure on --refine-poses "
            "--max-splats 300 --method nerf --encoding dct",
            [
                "--max-size 480 is ignored: the run was started with 40",
                "--holdout 5 is ignored: the run was started with 8",
                "--background white is ignored: the run was started with the default",
                "--exposure on is ignored: the run was started with auto",
                "--refine-poses is ignored: the run was started without it",
                "--max-splats 300 is ignored: the run was started with 60000",
                "--method nerf is ignored: the run was started with splats",
                "--encoding dct is ignored: the run was started with --method splats",
            ],
        ),
        (
            "nerf",
            "--max-size 40 --seed 7 --encoding dct --sh-degree 2",
            [
                "--seed 7 is ignored: the run was started with 0",
                "--encoding dct is ignored: the run was started with hash",
                "--sh-degree 2 is ignored: the run was started with --method nerf",
            ],
        ),
        ("nerf", "--checkpoint-seconds 5 --encoding hash", []),
    ],
)
def test_other_options_are_named_and_the_stored_ones_kept(
    method: str,
    options: str,
    expected: list[str],
    place: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = json.loads((place / method / "config.json").read_text())
    assert (before["steps"], before["steps_done"]) == (2, 2)
    assert go_on(place, method, *options.split(), "--steps", "4") == 0
    said = capsys.readouterr().out.splitlines()
    assert sorted(line for line in said if "ignored" in line) == sorted(expected)
    after = json.loads((place / method / "config.json").read_text())
    assert (after["steps"], after["minutes"], after["steps_done"]) == (4, None, 4)
    assert after["seconds_done"] > before["seconds_done"]
    kept = before.keys() - {"steps", "steps_done", "seconds_done"}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


def test_files_of_photos_without_poses_are_compared(tmp_path: Path) -> None:
    """The run has copies of them; going on with these while others were given would be wrong."""
    run = create_run(tmp_path / "run", {"tondo": "1"})
    prepared, source = run.path / "prepared", tmp_path / "photos"
    prepared.mkdir()
    names = ["a.jpg", "cam 1/b.jpg"]
    facts = {"images": [{"name": name.replace(" ", "_"), "source": name} for name in names]}
    (prepared / "prepare.json").write_text(json.dumps(facts))
    for name in (*names, "cam 2/unused.jpg"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(name.encode())
    note_photos(run, {}, source_hashes(source_of(source), prepared))
    (source / "notes.txt").write_text("not a photo")
    (source / "cam 2" / "unused.jpg").unlink()
    check_files(run, source, source_hashes(source_of(source), prepared))
    (source / "cam 1" / "b.jpg").write_bytes(b"other")
    with pytest.raises(InputError, match=r"started with: cam 1/b\.jpg has other contents;"):
        check_files(run, source, source_hashes(source_of(source), prepared))
    (source / "cam 1" / "b.jpg").write_bytes(b"cam 1/b.jpg")
    (source / "c.jpg").write_bytes(b"new")
    with pytest.raises(InputError, match=r"c\.jpg is new;"):
        check_files(run, source, source_hashes(source_of(source), prepared))
    (source / "c.jpg").rename(source / "a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg has other contents;"):
        check_files(run, source, source_hashes(source_of(source), prepared))
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(InputError, match=r"a\.jpg is missing, cam 1/b\.jpg is missing;"):
        check_files(run, other, source_hashes(source_of(other), prepared))
    shutil.rmtree(source)
    check_files(run, source, source_hashes(source_of(source), prepared))  # the copies are enough


def test_a_video_is_compared_whatever_its_name(tmp_path: Path) -> None:
    run = create_run(tmp_path / "run", {"tondo": "1"})
    video, moved = tmp_path / "a.mp4", tmp_path / "b.mp4"
    video.write_bytes(b"frames")
    note_photos(run, {}, source_hashes(source_of(video), run.path / "prepared"))
    video.rename(moved)
    check_files(run, moved, source_hashes(source_of(moved), run.path / "prepared"))
    moved.write_bytes(b"other frames")
    with pytest.raises(InputError, match=r"b\.mp4 has other contents;"):
        check_files(run, moved, source_hashes(source_of(moved), run.path / "prepared"))
