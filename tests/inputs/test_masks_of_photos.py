"""Masks as programs write them: every kind of file, every naming, and what they leave of photos."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from small_photos import cameras, photos, write_photos
from tondo.cli.main import main
from tondo.data.photos import PhotoSet
from tondo.errors import InputError, OptionError
from tondo.io.masks import NOTHING_KEPT, MaskFile, read_mask
from tondo.io.posed.cameras_json import write_cameras
from tondo.io.posed.photos import load_photos
from tondo.scenes.open import open_scene
from tondo.scenes.photographs import photos_of_run
from tondo.sfm.photos.gather import gather_photos
from tondo.splats.targets import make_target

WIDTH, HEIGHT = 72, 56


def half() -> NDArray[np.bool_]:
    """Keeps a part whose shape has no symmetry."""
    kept = np.zeros((HEIGHT, WIDTH), np.bool_)
    kept[8:48, 16:40] = True
    kept[8:24, 40:64] = True
    return kept


def grey(kept: NDArray, value: int = 255) -> Image.Image:
    return Image.fromarray((kept * value).astype(np.uint8))


def palette(kept: NDArray, colors: list[int], index: tuple[int, int] = (0, 1)) -> Image.Image:
    picture = Image.fromarray(np.where(kept, index[1], index[0]).astype(np.uint8), "P")
    picture.putpalette(colors)
    return picture


def with_alpha(color: NDArray | int, alpha: NDArray, mode: str = "RGBA") -> Image.Image:
    bands = len(mode) - 1
    plane = np.broadcast_to(np.asarray(color, np.uint8), (HEIGHT, WIDTH))
    return Image.fromarray(np.dstack([*[plane] * bands, alpha.astype(np.uint8)]), mode)


def clear_palette(kept: NDArray) -> Image.Image:
    picture = palette(kept, [255, 255, 255, 255, 255, 255])
    picture.info["transparency"] = 0
    return picture


COMPONENTS: dict[str, Callable[[NDArray], Image.Image]] = {
    "1 bit.png": lambda m: Image.fromarray(m),
    "1 bit.tif": lambda m: Image.fromarray(m),
    "1 bit.bmp": lambda m: Image.fromarray(m),
    "0 and 255.png": grey,
    "labels 0 and 1.png": lambda m: grey(m, 1),
    "labels of several things.png": lambda m: Image.fromarray(
        np.where(m, np.arange(WIDTH) % 7 + 1, 0).astype(np.uint8)
    ),
    "16 bits, 0 and 1.png": lambda m: Image.fromarray(m.astype(np.uint16)),
    "16 bits, 0 and 65535.png": lambda m: Image.fromarray(m.astype(np.uint16) * 65535),
    "32 bits.tif": lambda m: Image.fromarray(m.astype(np.int32) * 3),
    "floats, 0.0 and 1.0.tif": lambda m: Image.fromarray(m.astype(np.float32)),
    "floats, NaN outside.tif": lambda m: Image.fromarray(np.where(m, 1, np.nan).astype(np.float32)),
    "RGB, white.png": lambda m: grey(m).convert("RGB"),
    "RGB, blue alone.png": lambda m: Image.merge("RGB", [grey(m * 0), grey(m * 0), grey(m, 2)]),
    "palette of VOC.png": lambda m: palette(m, [0, 0, 0, 128, 0, 0]),
    "palette of labels, none black.png": lambda m: palette(m, [31, 119, 180, 255, 127, 14]),
    "palette, white comes first.png": lambda m: palette(m, [255, 255, 255, 0, 0, 0], (1, 0)),
    "palette without colours.png": lambda m: palette(m, [0, 0, 0, 0, 0, 0]),
    "palette with a clear index.png": clear_palette,
    "RGBA, black, the mask in alpha.png": lambda m: with_alpha(0, m * 255),
    "RGBA, cut out.png": lambda m: with_alpha(np.arange(WIDTH) * 3, m * 255),
    "RGBA, alpha 255 everywhere.png": lambda m: with_alpha(m * 255, np.full(m.shape, 255)),
    "LA, the mask in alpha.png": lambda m: with_alpha(0, m * 255, "LA"),
    "LA, alpha 255 everywhere.png": lambda m: with_alpha(m * 1, np.full(m.shape, 255), "LA"),
    "JPEG.jpg": grey,
    "grey JPEG.jpg": lambda m: grey(m, 128),
    "WebP.webp": grey,
    "GIF.gif": grey,
    "HEIC.heic": grey,
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_what_is_not_0_keeps_a_pixel_in_every_kind_of_file(tmp_path: Path, name: str) -> None:
    photo = tmp_path / "photo.png"
    grey(half()).save(photo)
    COMPONENTS[name](half()).save(tmp_path / name)
    for drops in (False, True):
        mask = MaskFile(tmp_path / name, drops)
        kept = read_mask(mask, photo, (HEIGHT, WIDTH), upright=False)
        assert kept.dtype == np.bool_
        wrong = kept != (half() != drops)
        # Lossy files blur edges by a pixel.
        assert not wrong[10:22, 18:62].any()
        assert not wrong[:6].any()
        assert wrong.sum() <= (60 if name.endswith((".jpg", ".webp", ".heic")) else 0)


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "palette.png", "rgba.png"])
def test_masks_of_one_value(tmp_path: Path, name: str, keeps: bool) -> None:
    photo = tmp_path / "photo.png"
    grey(half()).save(photo)
    kept = np.full((HEIGHT, WIDTH), keeps)
    if name == "palette.png":
        palette(kept, [0, 0, 0, 128, 0, 0]).save(tmp_path / name)
    elif name == "rgba.png":
        with_alpha(255, kept * 255).save(tmp_path / name)
    else:
        grey(kept).save(tmp_path / name)
    found = read_mask(MaskFile(tmp_path / name), photo, (HEIGHT, WIDTH), upright=False)
    assert (found == keeps).all()


@pytest.mark.parametrize("scale", [0.5, 2, 3])
def test_a_mask_at_another_scale_is_resized(tmp_path: Path, scale: float) -> None:
    photo, mask = tmp_path / "photo.png", tmp_path / "mask.png"
    grey(half()).save(photo)
    size = (round(WIDTH * scale), round(HEIGHT * scale))
    grey(half(), 1).resize(size, Image.Resampling.NEAREST).save(mask)
    kept = read_mask(MaskFile(mask), photo, (HEIGHT, WIDTH), upright=False)
    assert np.array_equal(kept, half())


def test_a_mask_of_another_shape_says_that_it_is_the_mask(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "set", 4)
    (folder / "masks").mkdir()
    grey(np.ones((40, 40))).save(folder / "masks" / "002.png")
    message = r"the mask .*masks/002\.png is 40x40, but its photo 002"
    with pytest.raises(InputError, match=message):
        load_photos(folder, max_size=None)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=message):
        gather_photos(folder, tmp_path / "out", frames=1, max_size=96, max_features=10)


@pytest.mark.parametrize("orientation", [6, 8])
@pytest.mark.parametrize("stored", [False, True])
def test_masks_turn_with_their_photo(tmp_path: Path, orientation: int, stored: bool) -> None:
    """A phone's photo lies on its side; its mask was made from the pixels as stored or as shown."""
    turn = Image.Transpose.ROTATE_90 if orientation == 6 else Image.Transpose.ROTATE_270
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo, mask = tmp_path / "IMG.jpg", tmp_path / "IMG_mask.png"
    lying = grey(half()).transpose(turn)
    lying.save(photo, exif=exif)
    (lying if stored else grey(half())).save(mask)
    shown = read_mask(MaskFile(mask), photo, (HEIGHT, WIDTH), upright=True)
    assert np.array_equal(shown, half())
    read = read_mask(MaskFile(mask), photo, (lying.height, lying.width), upright=False)
    assert np.array_equal(read, np.asarray(lying) > 0)
    lying.save(tmp_path / "own.png", exif=exif)
    own = read_mask(MaskFile(tmp_path / "own.png"), photo, (HEIGHT, WIDTH), upright=True)
    assert np.array_equal(own, half())


# Where a mask of images/003.png lies, and whether what is not 0 in it is dropped.
PLACES = {
    "suffix": ("images/003_mask.png", False),
    "suffix in capitals": ("images/003_MASK.PNG", False),
    "RealityScan's": ("images/003.png.mask.png", False),
    "dot": ("images/003.mask.png", False),
    "prefix": ("images/mask_003.png", False),
    "COLMAP's, beside": ("images/003.png.png", False),
    "COLMAP's, in a folder": ("masks/003.png.png", False),
    "same name, in a folder": ("masks/003.png", False),
    "same stem, in a folder": ("masks/003.tif", False),
    "folder in capitals": ("Masks/003.png", False),
    "folder inside": ("images/masks/003.png", False),
    "folder with the whole path": ("masks/images/003.png", False),
    "folder called after the photos'": ("images_masks/003.png", False),
    "Metashape's": ("masks/003_mask.png", False),
    "instant-ngp's": ("images/dynamic_mask_003.png", True),
    "instant-ngp's, in a folder": ("masks/dynamic_mask_003.png", True),
}


def masked_set(folder: Path, place: str, drops: bool = False, count: int = 4) -> Path:
    """Photos in images/ with a transforms.json, and masks where `place` says for photo 003."""
    (folder / "images").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 255, (count, HEIGHT, WIDTH, 3), np.uint8)
    names = [f"{i:03d}.png" for i in range(count)]
    for name, pixels in zip(names, noise, strict=True):
        Image.fromarray(pixels).save(folder / "images" / name)
    frames = [(f"images/{n}", c) for n, c in zip(names, cameras(count), strict=True)]
    write_cameras(folder / "transforms.json", frames)
    for i in range(count if place else 0):
        path = folder / place.replace("003", f"{i:03d}")
        path.parent.mkdir(exist_ok=True, parents=True)
        grey(half() != drops).save(path)
    return folder


def colmap_of(folder: Path) -> Path:
    """The set's transforms.json as a COLMAP model in sparse/0."""
    model = folder / "sparse" / "0"
    model.mkdir(parents=True)
    (model / "cameras.txt").write_text(f"1 PINHOLE {WIDTH} {HEIGHT} 70 72 39 26\n")
    names = sorted(path.name for path in (folder / "images").glob("[0-9][0-9][0-9].png"))
    lines = [f"{i} 1 0 0 0 {i} 0 4 1 {name}\n\n" for i, name in enumerate(names, start=1)]
    (model / "images.txt").write_text("".join(lines))
    (folder / "transforms.json").unlink()
    return folder


def kept_shares(found: PhotoSet) -> set[float]:
    everything = (*found.train, *found.test)
    return {1.0 if p.valid is None else round(float(p.valid.float().mean()), 3) for p in everything}


@pytest.mark.parametrize("place", PLACES)
def test_masks_are_found_by_name_or_folder(tmp_path: Path, place: str) -> None:
    path, drops = PLACES[place]
    share = round(float(half().mean()), 3)
    folder = masked_set(tmp_path / "set", path, drops)
    found = load_photos(folder, max_size=None)
    assert len(found.train) + len(found.test) == 4
    assert found.skipped == ()
    assert kept_shares(found) == {share}
    assert "masks found for 4 of 4 photos" in found.masks
    assert "`masks=none`" in found.masks
    assert kept_shares(load_photos(folder, max_size=None, masks="none")) == {1.0}

    gathered_to = tmp_path / "out" / "images"
    gathered_to.mkdir(parents=True)
    gathered = gather_photos(folder, gathered_to, frames=1, max_size=96, max_features=50)
    assert [photo.name for photo in gathered.photos] == [f"{i:03d}.png" for i in range(4)]
    assert any("masks found for 4 of 4" in note for note in gathered.notes)
    kept = np.asarray(Image.open(tmp_path / "out" / "masks" / "003.png.png")) > 0
    assert np.array_equal(kept, half())

    found = load_photos(colmap_of(folder), max_size=None)
    assert kept_shares(found) == {share}
    assert found.skipped == ()
    source = load_photos(folder / "sparse" / "0", max_size=None)
    assert kept_shares(source) == {share}


def test_masks_of_a_named_folder(tmp_path: Path) -> None:
    folder = masked_set(tmp_path / "set", "silhouettes/003.png")
    assert kept_shares(load_photos(folder, max_size=None)) == {1.0}
    chosen = str(folder / "silhouettes")
    found = load_photos(folder, max_size=None, masks=chosen)
    assert kept_shares(found) == {round(float(half().mean()), 3)}
    with pytest.raises(OptionError, match="`masks` must be auto, none or a folder"):
        load_photos(folder, max_size=None, masks=str(folder / "nowhere"))
    (folder / "empty").mkdir()
    with pytest.raises(OptionError, match="none of its pictures is named after a photo"):
        load_photos(folder, max_size=None, masks=str(folder / "empty"))


def silhouettes(folder: Path, count: int = 4) -> Path:
    """A masked set whose masks show one object that moves, with nothing at the border."""
    folder = masked_set(folder, "masks/003.png", count=count)
    for i in range(count):
        grey(np.roll(half(), i, axis=1)).save(folder / "masks" / f"{i:03d}.png")
    return folder


def test_masks_of_one_object_are_alpha_where_outside_is_empty(tmp_path: Path) -> None:
    folder = silhouettes(tmp_path / "set")
    unknown = load_photos(folder, max_size=None)
    assert not unknown.has_alpha
    assert kept_shares(unknown) == {round(float(half().mean()), 3)}
    found = load_photos(folder, max_size=None, outside_masks="auto")
    assert kept_shares(found) == {1.0}
    assert "they show one object" in found.masks
    for i, photo in enumerate(sorted((*found.train, *found.test), key=lambda one: one.name)):
        assert photo.alpha is not None
        assert torch.equal(photo.alpha > 0, torch.from_numpy(np.roll(half(), i, axis=1)))
    smaller = load_photos(folder, max_size=36, outside_masks="auto").train[0]
    assert smaller.alpha is not None
    assert ((smaller.alpha > 0) & (smaller.alpha < 255)).any()  # scaled with the picture

    (folder / "masks" / "002.png").unlink()
    assert not load_photos(folder, max_size=None, outside_masks="auto").has_alpha
    forced = load_photos(folder, max_size=None, outside_masks="empty")
    assert [p.alpha is None for p in forced.train + forced.test].count(True) == 1
    assert "they show one object" not in forced.masks
    assert "what they leave out counts as empty" in forced.masks


def test_masks_of_what_walks_by_and_of_a_lens_stay_unknown(tmp_path: Path) -> None:
    lens = masked_set(tmp_path / "lens", "masks/003.png")  # all the same
    assert not load_photos(lens, max_size=None, outside_masks="auto").has_alpha
    walker = silhouettes(tmp_path / "walker")
    for i in range(4):
        grey(~np.roll(half(), i, axis=1)).save(walker / "masks" / f"{i:03d}.png")
    found = load_photos(walker, max_size=None, outside_masks="auto")
    assert not found.has_alpha
    assert kept_shares(found) != {1.0}


def test_alpha_of_photos_is_cut_by_their_masks(tmp_path: Path) -> None:
    folder = silhouettes(tmp_path / "set")
    for i in range(4):
        path = folder / "images" / f"{i:03d}.png"
        alpha = np.full((HEIGHT, WIDTH), 128, np.uint8)
        alpha[:, :20] = 0
        Image.fromarray(np.dstack([np.asarray(Image.open(path)), alpha])).save(path)
    photo = load_photos(folder, max_size=None, outside_masks="empty", holdout=0).train[0]
    wanted = np.where(half(), 128, 0)
    wanted[:, :20] = 0
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha.numpy(), wanted)


def test_a_photo_that_is_wholly_outside_is_left_out(tmp_path: Path) -> None:
    folder = silhouettes(tmp_path / "set")
    grey(half() & False).save(folder / "masks" / "001.png")
    found = load_photos(folder, max_size=None, outside_masks="empty", holdout=0)
    assert [one.reason for one in found.skipped] == [NOTHING_KEPT]
    assert len(found.train) == 3


def test_a_run_keeps_what_is_outside_of_its_masks(tmp_path: Path) -> None:
    folder, out = silhouettes(tmp_path / "set"), tmp_path / "run"
    begin = ["reconstruct", str(folder), "-o", str(out), "--max-size", "36", "--threads", "1"]
    assert main([*begin, "--steps", "4", "--exposure", "off"]) == 0
    config = json.loads((out / "config.json").read_text())
    assert config["outside_masks"] == "auto"
    opened = open_scene(out)
    assert opened.run is not None
    assert photos_of_run(opened, opened.run)[0].has_alpha
    assert main(["evaluate", str(out)]) == 0

    del config["outside_masks"]  # as of a run of before
    (out / "config.json").write_text(json.dumps(config))
    assert not photos_of_run(opened, opened.run)[0].has_alpha
    (out / "config.json").write_text(json.dumps({**config, "outside_masks": "perhaps"}))
    with pytest.raises(InputError, match="outside_masks must be auto, empty or unknown"):
        photos_of_run(opened, opened.run)


def test_masks_in_sub_folders_and_for_some_photos(tmp_path: Path) -> None:
    for camera in ("cam0", "cam1"):
        folder = tmp_path / "in" / "images" / camera
        write_photos(folder, 3)
        (folder / "transforms.json").unlink()
    (tmp_path / "in" / "masks" / "cam1").mkdir(parents=True)
    grey(half()).save(tmp_path / "in" / "masks" / "cam1" / "001.png")
    out = tmp_path / "out" / "images"
    out.mkdir(parents=True)
    found = gather_photos(tmp_path / "in", out, frames=1, max_size=96, max_features=50)
    assert len(found.photos) == 6
    assert any("masks found for 1 of 6 photos" in note for note in found.notes)
    masks = tmp_path / "out" / "masks"
    assert [p.relative_to(masks).as_posix() for p in masks.rglob("*.png")] == ["cam1/001.png.png"]


def test_photographs_that_are_called_mask_stay_photographs(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "in", 3)
    shutil.copy(folder / "000.png", folder / "001_mask.png")
    found = gather_photos(folder, tmp_path, frames=1, max_size=96, max_features=50)
    assert [photo.name for photo in found.photos] == [
        "000.png",
        "001.png",
        "001_mask.png",
        "002.png",
    ]


@pytest.mark.parametrize("place", ["masks/KÜCHE.png", "images/Küche_mask.png"])
def test_names_of_masks_in_unicodes_other_form(tmp_path: Path, place: str) -> None:
    folder = masked_set(tmp_path / "set", "", count=1)
    (folder / "images" / "000.png").rename(folder / "images" / "Küche.png")
    mask = folder / unicodedata.normalize("NFD", place)
    mask.parent.mkdir(exist_ok=True)
    grey(half()).save(mask)
    (tmp_path / "out").mkdir()
    found = gather_photos(folder, tmp_path / "out", frames=1, max_size=96, max_features=50)
    assert [photo.source for photo in found.photos] == ["Küche.png"]
    assert any("masks found for 1 of 1 photos" in note for note in found.notes)


@pytest.mark.parametrize("place", ["masks/other_003.png", "masks/cam0/003.png"])
def test_a_folder_of_masks_that_fits_no_photo_is_said(tmp_path: Path, place: str) -> None:
    found = load_photos(masked_set(tmp_path / "set", place), max_size=None)
    assert kept_shares(found) == {1.0}
    assert "no picture in masks/ is named after a photo" in found.masks


def with_mask_paths(folder: Path, paths: dict[int, str]) -> Path:
    content = json.loads((folder / "transforms.json").read_text())
    for index, path in paths.items():
        content["frames"][index]["mask_path"] = path
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


def test_mask_path_may_be_empty_or_lead_nowhere(tmp_path: Path) -> None:
    folder = masked_set(tmp_path / "set", "cut/003.png")
    with_mask_paths(folder, dict.fromkeys(range(4), ""))
    empty = load_photos(folder, max_size=None)
    assert kept_shares(empty) == {1.0}
    assert empty.masks == ""
    with_mask_paths(folder, {1: "cut/001.png", 2: "cut/gone.png"})
    found = load_photos(folder, max_size=None)
    assert sum(p.valid is not None for p in (*found.train, *found.test)) == 1
    assert "1 more are named but not there" in found.masks
    with_mask_paths(folder, {1: "", 2: "cut/gone.png"})
    with pytest.raises(InputError, match="none of the 1 masks"):
        load_photos(folder, max_size=None)
    assert kept_shares(load_photos(folder, max_size=None, masks="none")) == {1.0}


def blackened(folder: Path, *names: str) -> Path:
    for name in names:
        grey(np.zeros((HEIGHT, WIDTH))).save(folder / "masks" / name)
    return folder


@pytest.mark.parametrize("method", ["splats", "nerf"])
def test_wholly_masked_photos_are_left_out_and_named(
    tmp_path: Path, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of those held out 000 has nothing left, 004 less than can be measured on; 001 is for
    training."""
    folder = blackened(masked_set(tmp_path / "set", "masks/003.png", count=9), "000.png", "001.png")
    few = np.zeros((HEIGHT, WIDTH))
    few[20:26, 20:26] = 1
    grey(few).save(folder / "masks" / "004.png")
    run = tmp_path / "run"
    command = ["reconstruct", str(folder), "-o", str(run), "--steps", "2", "--method", method]
    assert main([*command, "--holdout", "4"]) == 0
    told = capsys.readouterr().out
    assert "5 photos to train on, 1 held out" in told
    assert "3 left out (the first: images/000.png: its mask keeps no pixel" in told
    assert "left out: images/001.png: its mask keeps no pixel" in told
    metrics = json.loads((run / "metrics.json").read_text())
    assert list(metrics["per_image"]) == ["images/008.png"]
    assert metrics["test"]["images"] == 1
    assert sorted(metrics["left_out"]) == ["images/000.png", "images/001.png", "images/004.png"]
    assert json.loads((run / "config.json").read_text())["masks"] == "auto"
    assert main(["evaluate", str(run)]) == 0
    told = capsys.readouterr().out
    assert "left out: images/000.png: its mask keeps no pixel" in told
    assert "left out: images/004.png: held out, but its mask keeps no 11x11" in told
    assert list(json.loads((run / "metrics.json").read_text())["per_image"]) == ["images/008.png"]


def test_evaluate_on_cameras_leaves_wholly_masked_photos_out(tmp_path: Path) -> None:
    folder = masked_set(tmp_path / "set", "masks/003.png")
    run = tmp_path / "run"
    assert main(["reconstruct", str(folder), "-o", str(run), "--steps", "1"]) == 0
    blackened(folder, "001.png")
    few = np.zeros((HEIGHT, WIDTH))
    few[20:26, 20:26] = 1
    grey(few).save(folder / "masks" / "002.png")
    assert main(["evaluate", str(run), "--cameras", str(folder / "transforms.json")]) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert sorted(metrics["per_image"]) == ["images/000.png", "images/003.png"]
    assert sorted(metrics["left_out"]) == ["images/001.png", "images/002.png"]
    blackened(folder, "000.png")  # the only one that is held out
    assert main(["evaluate", str(run)]) == 2


def test_a_set_without_a_kept_pixel_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = masked_set(tmp_path / "set", "masks/003.png")
    blackened(folder, *(f"{i:03d}.png" for i in range(4)))
    assert main(["reconstruct", str(folder), "-o", str(tmp_path / "run"), "--steps", "2"]) == 2
    assert "leave no pixel of any photo" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert main(["prepare", str(folder / "images"), "-o", str(tmp_path / "out")]) == 2
    assert "leave no pixel of any photo" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_resumed_run_keeps_its_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = masked_set(tmp_path / "set", "cut/003.png")
    run = tmp_path / "run"
    chosen = ["--masks", str(folder / "cut")]
    assert main(["reconstruct", str(folder), "-o", str(run), "--steps", "1", *chosen]) == 0
    assert json.loads((run / "config.json").read_text())["masks"] == str(folder / "cut")
    for command, used in (
        (["reconstruct", str(folder), "-o", str(run), "--steps", "2", "--resume"], True),
        (["evaluate", str(run)], True),
        (["evaluate", str(run), "--masks", "none"], False),
    ):
        capsys.readouterr()
        assert main(command) == 0
        assert ("masks found for 4 of 4" in capsys.readouterr().out) == used


def test_what_a_mask_keeps_stays_in_coarse_pictures() -> None:
    """Training begins with pictures that are several times smaller."""
    photo = photos(1)[0]
    valid = torch.zeros(photo.camera.height, photo.camera.width, dtype=torch.bool)
    valid[21:24, 31] = True
    masked = replace(photo, valid=valid)
    for divisor in (1, 2):
        target = make_target(masked, divisor, torch.zeros(3))
        assert target.valid is not None
        assert 1 <= int((target.valid > 0).sum()) <= 3
