"""Folders as people have them: odd endings and names, sub-folders, files that are no photos."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tondo.errors import InputError
from tondo.io.collections.picture_files import list_pictures
from tondo.sfm.photos.gather import Gathered, gather_photos

READ = (
    *("a.jpg", "b.jpeg", "c.jfif", "d.jpe", "e.png", "f.bmp", "g.gif", "h.ppm", "i.tif", "j.webp"),
    *("k.avif", "l.heic", "m.dib", "n.pgm", "O.JPG", "p.PNG"),
)
FORMATS = {".heic": "HEIF", ".jpe": "JPEG", ".pgm": "PPM", ".jfif": "JPEG"}
NOT_READ = ("q.tga", "r.jp2", "s.ico", "t.psd", "u.cr2", "v.DNG", "w.exr", "x.jxl", "y.nef")


def picture(seed: int, width: int = 92, height: int = 61) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (height // 6, width // 6, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def gathered(source: Path, out: Path) -> Gathered:
    out.mkdir()
    return gather_photos(source, out, frames=1, max_size=96, max_features=50)


def odd_folder(folder: Path) -> Path:
    folder.mkdir()
    for seed, name in enumerate(READ):
        ending = Path(name).suffix.lower()
        picture(seed).save(folder / name, FORMATS.get(ending))
    for name in (*NOT_READ, "Thumbs.db", "notes.txt", "walk.mp4", ".hidden.png"):
        (folder / name).write_bytes(b"8BPS" * 20)
    return folder


def test_every_file_is_a_photo_or_named_as_left_out(tmp_path: Path) -> None:
    source = odd_folder(tmp_path / "in")
    found = gathered(source, tmp_path / "out")
    assert sorted(photo.source for photo in found.photos) == sorted(READ)
    assert [one.name for one in found.skipped] == sorted([*NOT_READ, "walk.mp4"])
    assert all("not read" in one.reason or "a video" in one.reason for one in found.skipped)
    (note,) = found.notes
    assert note == f"in {source}: 16 photos, 10 left out, 2 other files (the first: Thumbs.db)"
    assert sum(not path.name.startswith(".") for path in source.iterdir()) == 16 + 10 + 2


@pytest.mark.parametrize("is_zip", [False, True])
def test_the_same_of_pictures_for_a_generator(tmp_path: Path, is_zip: bool) -> None:
    source = odd_folder(tmp_path / "in")
    if is_zip:
        with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
            for path in source.iterdir():
                archive.write(path, path.name)
            archive.writestr("__MACOSX/._a.jpg", b"x")
        source = tmp_path / "in.zip"
    found = list_pictures(source)
    assert sorted(file.name for file in found.files) == sorted(READ)
    names = sorted([*NOT_READ, "walk.mp4", "Thumbs.db", "notes.txt"])
    assert sorted(one.name for one in found.skipped) == names
    reasons = {one.name: one.reason for one in found.skipped}
    assert reasons["v.DNG"] == ".dng files are not read: save it as JPEG or PNG"
    assert reasons["Thumbs.db"] == "not a picture"


def test_a_folder_of_raw_photos_says_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "DSC_1.NEF").write_bytes(b"II*\0")
    with pytest.raises(InputError, match=r"no photos in .*\.nef files are not read"):
        gathered(tmp_path / "in", tmp_path / "out")


NAMES = (
    *("#001 front.jpg", "##.jpg", "two  blanks.jpg", "tab\there.jpg", "new\nline.jpg", "-o.jpg"),
    *("Küche (1).jpg", "写真.jpg", "a;b,c=d'e.jpg", 'quote".jpg', "back\\slash.jpg", "x#y.jpg"),
    "long" * 62 + ".jpg",
)


def test_names_that_lists_of_colmap_cannot_hold(tmp_path: Path) -> None:
    source = tmp_path / "in" / "# odd folder"
    source.mkdir(parents=True)
    for seed, name in enumerate(NAMES):
        picture(seed).save(source / name)
    broken = b"caf\xe9.jpg"  # a name in another encoding
    picture(99).save(source / "new.jpg")
    (source / "new.jpg").rename(source / broken.decode("utf-8", "surrogateescape"))
    found = gathered(tmp_path / "in", tmp_path / "out")
    assert len(found.photos) == len(NAMES) + 1
    names = [photo.name for photo in found.photos]
    assert len({name.lower() for name in names}) == len(names)
    for name in names:
        assert name.isprintable()
        assert len(name.split()) == 1
        assert not any(part.startswith("#") for part in name.split("/"))
        assert '"' not in name
        assert "\\" not in name
        assert name.encode()
        assert (tmp_path / "out" / name).is_file()
    assert "__odd_folder/Küche_(1).jpg" in names
    assert all(photo.source.isprintable() for photo in found.photos)


def test_photos_in_sub_folders_have_a_camera_for_each_folder(tmp_path: Path) -> None:
    for inside in ("", "images"):
        source = tmp_path / f"in{inside}"
        for seed, name in enumerate(("cam0/0.jpg", "cam0/1.jpg", "cam1/0.jpg", "a/b/c/2.jpg")):
            path = source / inside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(seed).save(path)
        found = gathered(source, tmp_path / f"out{inside}")
        names = [photo.name for photo in found.photos]
        assert names == ["a/b/c/2.jpg", "cam0/0.jpg", "cam0/1.jpg", "cam1/0.jpg"]
        keys = [photo.camera_key for photo in found.photos]
        assert keys[1] == keys[2]
        assert len(set(keys)) == 3
        assert any("3 folders: each is taken for one camera" in note for note in found.notes)


def test_copies_and_results_in_the_folder_are_not_taken_for_photos(tmp_path: Path) -> None:
    source = tmp_path / "in"
    for name in ("a.jpg", "more/b.jpg", "thumbs/a.jpg", "out/images/a.jpg", ".cache/a.jpg"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        picture(1).save(source / name)
    (source / "out" / "prepare.json").write_text("{}")
    (source / "loop").symlink_to(source)
    found = gathered(source, tmp_path / "made")
    assert [photo.name for photo in found.photos] == ["a.jpg", "more/b.jpg"]
    assert [one.name for one in found.skipped] == ["out/", "thumbs/"]
