"""Which photos share a camera, by EXIF; and pictures that no camera took."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tondo.errors import InputError
from tondo.sfm.photos.exif import read_all_exif, read_exif
from tondo.sfm.photos.panorama import is_panorama, says_panorama
from tondo.sfm.prepare import prepare

_EXIF_IFD, _MODEL, _LENGTH, _FOCAL_35MM, _ZOOM = 0x8769, 0x0110, 0x920A, 0xA405, 0xA404
DIAGONAL = 50.0 / 43.27  # of the pictures below, 40x30, to that of film


def photo(
    path: Path, focal35: float | None, zoom: float | None = None, length: float = 6.9
) -> Path:
    exif = Image.Exif()
    exif[_MODEL] = "Phone"
    details = exif.get_ifd(_EXIF_IFD)
    details[_LENGTH] = length
    if focal35 is not None:
        details[_FOCAL_35MM] = focal35
    if zoom is not None:
        details[_ZOOM] = zoom
    Image.new("RGB", (40, 30)).save(path, exif=exif)
    return path


def test_zoom_makes_a_camera_of_its_own(tmp_path: Path) -> None:
    wide = photo(tmp_path / "a.jpg", 28)
    same = photo(tmp_path / "b.jpg", 28, zoom=1)
    tele = photo(tmp_path / "c.jpg", 56, zoom=2)
    lens = photo(tmp_path / "d.jpg", 28, length=9)
    found = read_all_exif([wide, same, tele, lens])
    assert found[wide].setting == found[same].setting
    assert len({exif.setting for exif in found.values()}) == 3
    assert found[wide].focal == pytest.approx(28 * DIAGONAL)
    assert found[tele].focal == pytest.approx(56 * DIAGONAL)


def test_zoom_counts_where_the_equivalent_does_not_hold_it(tmp_path: Path) -> None:
    wide = photo(tmp_path / "a.jpg", 28)
    tele = photo(tmp_path / "b.jpg", 28, zoom=3)
    found = read_all_exif([wide, tele])
    assert found[wide].setting != found[tele].setting
    assert found[tele].focal == pytest.approx(3 * 28 * DIAGONAL)
    # Alone there is nothing to compare it with: it is taken as it stands.
    assert read_all_exif([tele])[tele].focal == pytest.approx(28 * DIAGONAL)


@pytest.mark.parametrize("focal35", [1, 2999, 65535, 0])
def test_a_focal_length_that_no_lens_has_is_none(focal35: float, tmp_path: Path) -> None:
    assert read_exif(photo(tmp_path / "a.jpg", focal35)).focal is None


def directions(width: int, height: int, yaw: float) -> np.ndarray:
    """[H, W, 3] of an equirectangular picture."""
    lon = (np.arange(width) + 0.5) / width * 2 * np.pi - np.pi + yaw
    lat = np.pi / 2 - (np.arange(height) + 0.5) / height * np.pi
    lon, lat = np.meshgrid(lon, lat)
    return np.stack([np.cos(lat) * np.sin(lon), np.cos(lat) * np.cos(lon), np.sin(lat)], -1)


def colours(rays: np.ndarray) -> np.ndarray:
    """uint8 colours that vary with the direction, finely and coarsely."""
    rng = np.random.default_rng(0)
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    total = np.zeros(rays.shape)
    for scale in (2, 5, 11, 23, 37):
        waves = rng.normal(size=(3, 9)) * scale
        total += np.sin(rays @ waves + rng.uniform(0, 6, 9)).reshape(*rays.shape[:2], 3, 3).sum(-1)
    return np.clip(128 + 22 * total, 0, 255).astype(np.uint8)


def test_a_panorama_is_told_from_a_wide_picture(tmp_path: Path) -> None:
    for yaw in (0.0, 1.0, 2.5, 4.0):
        assert is_panorama(colours(directions(600, 300, yaw)))
        x, y = np.meshgrid(np.linspace(-1, 1, 600), np.linspace(-0.5, 0.5, 300))
        rays = np.stack([x, np.ones_like(x), y], -1)
        turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        assert not is_panorama(colours(rays @ turn.T))
    plain = np.full((300, 600, 3), 250, np.uint8)
    plain[100:220, 200:400] = 40
    assert not is_panorama(plain)
    grey = Image.new("RGB", (80, 30))
    name = b"<x:xmpmeta><GPano:ProjectionType>equirectangular</GPano:ProjectionType></x:xmpmeta>"
    grey.save(tmp_path / "with.jpg", xmp=name)
    grey.save(tmp_path / "without.jpg")
    assert says_panorama(tmp_path / "with.jpg")
    assert not says_panorama(tmp_path / "without.jpg")


def test_a_folder_of_panoramas_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "walk"
    folder.mkdir()
    for i in range(4):
        picture = colours(directions(400, 200, 0.4 * i))
        if i == 3:  # stitched badly: its edges do not join, but it is one of them
            picture = np.roll(picture, 100, axis=1)[:, ::-1]
            picture[:, :200] = np.roll(picture[:, :200], 40, axis=0)
        Image.fromarray(picture).save(folder / f"{i}.jpg", quality=92)
    with pytest.raises(InputError, match=r"4 left out, e\.g\. 0\.jpg: it is a 360-degree panorama"):
        prepare(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()
