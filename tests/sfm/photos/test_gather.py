"""Photos of all kinds into one folder."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image

from tondo.data.photos import Skipped
from tondo.errors import InputError
from tondo.io.images import read_image
from tondo.io.video import write_video
from tondo.sfm.photos.gather import GatheredPhoto, gather_photos

pillow_heif.register_heif_opener()
_EXIF_IFD, _MODEL, _ORIENTATION, _FOCAL_35MM = 0x8769, 0x0110, 0x0112, 0xA405


def gathered(source: Path, out: Path, frames: int = 5) -> tuple[list[GatheredPhoto], list[Skipped]]:
    out.mkdir()
    found = gather_photos(source, out, frames=frames, max_size=96, max_features=100)
    return list(found.photos), list(found.skipped)


def picture(width: int = 92, height: int = 61) -> Image.Image:
    rng = np.random.default_rng(width)
    small = rng.integers(0, 256, (height // 6, width // 6, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def test_each_kind_of_file_ends_as_pixels_that_all_readers_agree_on(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    whole = picture()
    whole.save(source / "plain.jpg", quality=90)
    whole.save(source / "plain.png")
    whole.save(source / "web.webp", quality=90)
    whole.save(source / "apple.heic", quality=90)
    whole.convert("L").save(source / "grey.tif")
    whole.convert("CMYK").save(source / "print.jpg")
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    whole.transpose(Image.Transpose.ROTATE_90).save(source / "turned.jpg", exif=exif, quality=95)
    Image.fromarray(np.asarray(whole.convert("L")).astype(np.uint16) * 257).save(
        source / "sixteen.png"
    )
    whole.convert("RGBA").save(source / "opaque.png")
    cut_out = whole.convert("RGBA")
    cut_out.putalpha(Image.fromarray(np.tri(61, 92, dtype=np.uint8) * 255))
    cut_out.save(source / "cut out.webp", lossless=True)

    photos, skipped = gathered(source, tmp_path / "out")
    assert skipped == []
    assert [photo.source for photo in photos] == sorted(p.name for p in source.iterdir())
    for photo in photos:
        path = tmp_path / "out" / photo.name
        assert path.suffix in (".jpg", ".png")
        assert " " not in photo.name
        assert (photo.width, photo.height) == (92, 61)
        with Image.open(path) as opened:
            assert opened.size == (92, 61)
            assert opened.getexif().get(_ORIENTATION, 1) == 1
            assert opened.mode in ("RGB", "RGBA", "L")
        kept, given = read_image(path), read_image(source / photo.source)
        difference = kept.rgb[..., 1].int() - given.rgb[..., 1].int()
        assert float(difference.abs().float().mean()) < 2.0
        assert (kept.alpha is None) == (given.alpha is None)
    assert {photo.name for photo in photos if photo.name.startswith("cut")} == {"cut_out.png"}
    assert len({photo.name for photo in photos}) == len(photos)
    unchanged = [(tmp_path / "out" / "plain.jpg").read_bytes()]
    assert unchanged == [(source / "plain.jpg").read_bytes()]


def test_same_stem_and_blanks_do_not_collide(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a b.jpg", "a_b.jpg", "A_B.png", "a_b.tif", "c.JPEG"):
        picture().save(source / name)
    photos, _ = gathered(source, tmp_path / "out")
    names = [photo.name for photo in photos]
    assert len({name.lower().rsplit(".", 1)[0] for name in names}) == 5
    assert sorted(names) == sorted(p.name for p in (tmp_path / "out").iterdir())
    assert "c.jpg" in names


def test_damaged_files_are_skipped_and_named(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for i in range(3):
        picture(92 + i).save(source / f"{i}.jpg")
    data = (source / "1.jpg").read_bytes()
    (source / "1.jpg").write_bytes(data[: len(data) // 2])
    (source / "fake.png").write_bytes(b"not a picture" * 4)
    (source / "notes.txt").write_text("not a photo")
    photos, skipped = gathered(source, tmp_path / "out")
    assert [photo.name for photo in photos] == ["0.jpg", "2.jpg"]
    assert [one.name for one in skipped] == ["1.jpg", "fake.png"]
    assert all(str(tmp_path) not in one.reason for one in skipped)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["0.jpg", "2.jpg"]


def test_exif_tells_which_photos_share_a_camera_and_its_focal_length(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for name, model, focal in (("a", "X", 30), ("b", "X", 30), ("c", "Y", 50)):
        exif = Image.Exif()
        exif[_MODEL] = model
        exif.get_ifd(_EXIF_IFD)[_FOCAL_35MM] = focal
        picture().save(source / f"{name}.jpg", exif=exif)
    picture().save(source / "d.jpg")
    picture(70, 61).save(source / "e.jpg")
    photos, _ = gathered(source, tmp_path / "out")
    keys = [photo.camera_key for photo in photos]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4
    # 30 mm on film, whose diagonal of 43.27 mm becomes the picture's.
    assert photos[0].focal == pytest.approx(30 / 43.27 * math.hypot(92, 61), rel=1e-3)
    assert photos[3].focal is None


def test_a_video_gives_its_frames_in_order(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    frames = (np.array(picture(120 + 2 * i, 80))[:, :120] for i in range(12))
    write_video(path, (torch.from_numpy(frame.copy()) for frame in frames), fps=6)
    photos, skipped = gathered(path, tmp_path / "out", frames=5)
    assert skipped == []
    assert len(photos) == 5
    assert [photo.name for photo in photos] == sorted(photo.name for photo in photos)
    assert all((photo.width, photo.height) == (120, 80) for photo in photos)
    assert len({photo.camera_key for photo in photos}) == 1


def test_what_is_no_folder_of_photos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("hello")
    for source, word in (("nowhere", "no file"), ("empty", "no photos"), ("text.txt", "neither")):
        with pytest.raises(InputError, match=word):
            gathered(tmp_path / source, tmp_path / f"out-{source}")


def test_photos_may_lie_in_a_folder_named_images(tmp_path: Path) -> None:
    (tmp_path / "in" / "images").mkdir(parents=True)
    picture().save(tmp_path / "in" / "images" / "a.jpg")
    photos, _ = gathered(tmp_path / "in", tmp_path / "out")
    assert [photo.name for photo in photos] == ["a.jpg"]
