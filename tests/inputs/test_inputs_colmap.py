"""COLMAP models as other programs and people leave them."""

from __future__ import annotations

import math
import unicodedata
from pathlib import Path

import pytest
import torch

from tondo.data.photos import PhotoSet
from tondo.errors import InputError
from tondo.io.images import write_png
from tondo.io.posed.photos import load_cameras, load_photos

W, H, COUNT, POINTS = 40, 30, 8, 24
GRID = [(x / 10, y / 10, 0.02 * x * y) for x in range(-3, 3) for y in range(-2, 2)]
COLOR = (200, 100, 50)


def pose(index: int) -> tuple[list[float], list[float]]:
    """(w, x, y, z) and translation of a camera that looks at the origin from around it."""
    angle = 0.2 * (index - COUNT / 2)
    return [math.cos(angle / 2), 0.0, math.sin(angle / 2), 0.0], [0.0, 0.0, 3.0]


def pixel(index: int, point: tuple[float, float, float]) -> tuple[float, float]:
    angle = 0.2 * (index - COUNT / 2)
    x = math.cos(angle) * point[0] + math.sin(angle) * point[2]
    z = -math.sin(angle) * point[0] + math.cos(angle) * point[2] + 3
    return 40 * x / z + W / 2, 40 * point[1] / z + H / 2


def write_model(
    folder: Path,
    names: list[str],
    *,
    on_disk: list[str] | None = None,
    observations: bool = True,
    tracks: bool = True,
    left_out: tuple[int, ...] = (),
    encoding: str = "utf-8",
) -> Path:
    """A text model whose points every photo sees, and its photos."""
    for index, name in enumerate(on_disk or names):
        if name:
            write_png(folder / "images" / name, torch.full((H, W, 3), 10 + index) / 255)
    lines = []
    for index, name in enumerate(names):
        if index in left_out:
            continue
        numbers = " ".join(f"{x:.9f}" for part in pose(index) for x in part)
        lines.append(f"{index + 1} {numbers} 1 {name}")
        seen = (
            f"{u:.6f} {v:.6f} {k + 1}" for k, p in enumerate(GRID) for u, v in [pixel(index, p)]
        )
        lines.append(" ".join(seen) if observations else "")
    track = lambda k: " ".join(f"{i + 1} {k}" for i in range(COUNT)) if tracks else ""  # noqa: E731
    rows = [
        f"{k + 1} {p[0]} {p[1]} {p[2]} {COLOR[0]} {COLOR[1]} {COLOR[2]} 0.5 {track(k)}"
        for k, p in enumerate(GRID)
    ]
    model = folder / "sparse" / "0"
    model.mkdir(parents=True)
    camera = f"1 PINHOLE {W} {H} 40 40 {W / 2} {H / 2}"
    for file, content in (("cameras", [camera]), ("images", lines), ("points3D", rows)):
        text = "\n".join(["# as COLMAP writes it", *content, ""])
        (model / f"{file}.txt").write_bytes(text.encode(encoding))
    return folder


def plain(count: int = COUNT) -> list[str]:
    return [f"{index:03d}.png" for index in range(count)]


def shown(photos: PhotoSet) -> dict[str, int]:
    """The grey of each photo by its name: its pose's number + 10."""
    return {p.name: int(p.image[0, 0, 0]) - 10 for p in (*photos.train, *photos.test)}


def assert_poses(photos: PhotoSet) -> None:
    """Each photo has the pose of the line that names it."""
    for photo in (*photos.train, *photos.test):
        angle = 0.2 * (int(photo.image[0, 0, 0]) - 10 - COUNT / 2)
        assert math.isclose(float(photo.camera.viewmat[0, 2]), math.sin(angle), abs_tol=1e-5)


def test_points_of_a_scan_have_no_tracks(tmp_path: Path) -> None:
    write_model(tmp_path, plain(), observations=False, tracks=False)
    photos = load_photos(tmp_path, max_size=None, holdout=4)
    assert photos.points is not None
    assert len(photos.points.points) == POINTS
    assert torch.allclose(photos.points.points, torch.tensor(GRID))
    assert (photos.points.colors == torch.tensor(COLOR, dtype=torch.uint8)).all()
    assert photos.notes == (
        "24 of the model's 24 points have no tracks: taken as they are, with the file's colours; "
        "if photos found them, held-out ones had a part in it",
    )


def test_tracks_without_observations_as_realityscan_leaves_them(tmp_path: Path) -> None:
    write_model(tmp_path, plain(), observations=False)
    everything = load_photos(tmp_path, max_size=None, holdout=0)
    assert everything.points is not None
    assert torch.allclose(everything.points.points, torch.tensor(GRID))
    assert everything.points.colors.unique().tolist() == [14]  # mean of the photos' 10 .. 17
    assert "192 sightings of the model's points name observations" in everything.notes[0]
    # Held-out photos see every point, and nothing tells where they would be without them.
    held_out = load_photos(tmp_path, max_size=None, holdout=4)
    assert held_out.points is not None
    assert torch.allclose(held_out.points.points, torch.tensor(GRID))
    assert held_out.points.colors.unique().tolist() == [14]  # of training photos alone
    assert "24 of the model's 24 points cannot be found" in held_out.notes[1]
    assert "stay where 000.png, 004.png had a part in finding them" in held_out.notes[1]


def test_lines_of_bad_photos_were_deleted(tmp_path: Path) -> None:
    write_model(tmp_path, plain(), left_out=(2, 5, 6))
    photos = load_photos(tmp_path, max_size=None, holdout=3)
    assert len(shown(photos)) == COUNT - 3
    assert_poses(photos)
    assert photos.points is not None
    assert torch.allclose(photos.points.points, torch.tensor(GRID), atol=1e-4)
    assert (
        "24 of the model's 24 points are seen by 3 photos that are not in it (numbers 3, 6, 7)"
        in (photos.notes[0])
    )


def test_only_the_first_line_of_a_photo_was_deleted(tmp_path: Path) -> None:
    write_model(tmp_path, plain())
    images = tmp_path / "sparse" / "0" / "images.txt"
    lines = images.read_text().split("\n")
    images.write_text("\n".join(lines[:3] + lines[4:]))  # the second photo's
    photos = load_photos(tmp_path, max_size=None, holdout=0)
    assert len(photos.train) == COUNT - 1
    assert "images/001.png" not in shown(photos)
    assert_poses(photos)
    assert "seen by 1 photos that are not in it (numbers 2)" in photos.notes[0]


def test_a_folder_of_exactly_these_names_goes_first(tmp_path: Path) -> None:
    names = [f"A{index}.png" for index in range(COUNT)]
    write_model(tmp_path, names)
    for index in range(COUNT):  # others, of nearly these names, in a folder that is looked at first
        write_png(tmp_path / "sparse" / "images" / f"a{index}.png", torch.zeros(H, W, 3))
    photos = load_photos(tmp_path / "sparse" / "0", max_size=None)
    assert len(shown(photos)) == COUNT
    assert_poses(photos)


def test_lines_of_observations_may_be_left_out(tmp_path: Path) -> None:
    write_model(tmp_path, plain(), observations=False, tracks=False)
    images = tmp_path / "sparse" / "0" / "images.txt"
    images.write_text("\n".join(line for line in images.read_text().split("\n") if line) + "\n")
    photos = load_photos(tmp_path, max_size=None, holdout=0)
    assert len(photos.train) == COUNT
    assert_poses(photos)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marks_of_windows_editors(tmp_path: Path, encoding: str) -> None:
    names = [f"Küche {index}.png" for index in range(COUNT)]
    photos = load_photos(write_model(tmp_path, names, encoding=encoding), max_size=None)
    assert set(shown(photos)) == {f"images/{name}" for name in names}
    assert_poses(photos)


@pytest.mark.parametrize(
    ("encoding", "word"),
    [("cp1252", "Küche"), ("gbk", "厨房"), ("cp932", "台所です"), ("cp1251", "Кухня")],
)
def test_names_in_another_encoding(tmp_path: Path, encoding: str, word: str) -> None:
    names = [f"{word}_{index}.png" for index in range(COUNT)]
    photos = load_photos(write_model(tmp_path, names, encoding=encoding), max_size=None)
    assert set(shown(photos)) == {f"images/{name}" for name in names}
    assert photos.skipped == ()
    assert_poses(photos)


def test_a_name_in_another_encoding_that_is_not_there_is_shown(tmp_path: Path) -> None:
    names = [f"Küche_{index}.png" for index in range(COUNT)]
    there = [*names[:-1], ""]
    photos = load_photos(
        write_model(tmp_path, names, on_disk=there, encoding="cp1252"), max_size=None
    )
    (one,) = photos.skipped
    assert (one.name, one.reason) == (
        "images/Küche_7.png",
        f"in the COLMAP model, but there is no file {tmp_path}/images/Küche_7.png",
    )


@pytest.mark.parametrize(
    ("listed", "there"),
    [
        ("IMG_{}.PNG", "img_{}.png"),
        ("Café/{}.png", unicodedata.normalize("NFD", "café") + "/{}.png"),
        ("cam0\\{}.png", "cam0/{}.png"),
        ("cam0/{}.png", "cam0\\{}.png"),
        ("a  b{}.png", "a  b{}.png"),
    ],
)
def test_names_that_are_spelt_otherwise_on_the_disk(
    tmp_path: Path, listed: str, there: str
) -> None:
    names = [listed.format(index) for index in range(COUNT)]
    on_disk = [there.format(index) for index in range(COUNT)]
    photos = load_photos(write_model(tmp_path, names, on_disk=on_disk), max_size=None)
    assert set(shown(photos)) == {f"images/{name}" for name in on_disk}
    assert photos.skipped == ()
    assert_poses(photos)
    # the cameras alone have readable names too
    assert len({one.name for one in load_cameras(tmp_path)}) == COUNT


def test_a_file_goes_to_the_line_that_names_it_exactly(tmp_path: Path) -> None:
    names = ["A.png", "a.png", *plain()[2:]]
    photos = load_photos(write_model(tmp_path, names, on_disk=["", *names[1:]]), max_size=None)
    assert shown(photos)["images/a.png"] == 1
    assert [one.name for one in photos.skipped] == ["images/A.png"]
    assert_poses(photos)


def test_of_two_files_that_could_be_meant_none_is_taken(tmp_path: Path) -> None:
    write_model(tmp_path, ["IMG.png", *plain()[1:]], on_disk=["img.png", *plain()[1:]])
    write_png(tmp_path / "images" / "Img.png", torch.zeros(H, W, 3))
    photos = load_photos(tmp_path, max_size=None)
    assert "images/IMG.png" in [one.name for one in photos.skipped]
    assert len(shown(photos)) == COUNT - 1


def test_a_name_is_never_followed_out_of_the_folder(tmp_path: Path) -> None:
    write_png(tmp_path / "secret.png", torch.zeros(H, W, 3))
    write_model(tmp_path / "set", ["..\\..\\SECRET.png", *plain()[1:]], on_disk=["", *plain()[1:]])
    with pytest.raises(InputError, match="leaves the folder"):
        load_photos(tmp_path / "set", max_size=None)


def test_a_scan_beside_a_model_without_points(tmp_path: Path) -> None:
    write_model(tmp_path, plain(), observations=False, tracks=False)
    model = tmp_path / "sparse" / "0"
    (model / "points3D.txt").write_text("# none\n")
    lines = ["ply", "format ascii 1.0", f"element vertex {POINTS}"]
    lines += [f"property float {name}" for name in "xyz"]
    lines += [f"property uchar {name}" for name in ("red", "green", "blue")]
    lines += ["end_header", *(f"{p[0]} {p[1]} {p[2]} 200 100 50" for p in GRID), ""]
    (model / "points3D.ply").write_text("\n".join(lines))
    photos = load_photos(tmp_path, max_size=None, holdout=4)
    assert photos.points is not None
    assert torch.allclose(photos.points.points, torch.tensor(GRID))
    assert photos.points.colors.tolist() == [list(COLOR)] * POINTS
    assert "the 24 of points3D.ply are taken as they are" in photos.notes[0]


def test_a_panorama_is_refused_in_a_sentence(tmp_path: Path) -> None:
    write_model(tmp_path, plain())
    (tmp_path / "sparse" / "0" / "cameras.txt").write_text("1 EQUIRECTANGULAR 40 20 40 20\n")
    with pytest.raises(InputError, match=r"panoramas .* cut them into perspective views"):
        load_photos(tmp_path, max_size=None)
