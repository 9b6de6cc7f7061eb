"""Photos of any readable kind, or a video, into a folder that every reader sees alike."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tondo.data.photos import Skipped
from tondo.errors import InputError
from tondo.io.collections.photo_files import PhotoFiles, find_photos
from tondo.io.collections.picture_zip import shown
from tondo.io.images import ImageData, read_image
from tondo.io.mask_files import AUTO, Masks, check_choice, find_masks
from tondo.io.masks import NOTHING_KEPT, MaskFile, check_not_masked, read_mask
from tondo.io.threads import in_threads
from tondo.io.video import VIDEO_SUFFIXES, read_frames
from tondo.sfm.motion.features import Features, extract_features
from tondo.sfm.motion.place import Unplaced
from tondo.sfm.photos.exif import Exif, read_all_exif
from tondo.sfm.photos.panorama import WHY_NOT, is_panorama, says_panorama
from tondo.sfm.photos.quality import Quality, measure_quality

Find = Callable[..., Features]  # of a grey photo, and of what its mask keeps
_ODD = re.compile(r"\s+|^#+|[^\w.+@=,~()\[\]{}&'!$%;#-]")
_LONGEST = 80  # characters of a name, so that the mask's name, which is longer, is a file's too


@dataclass(frozen=True, kw_only=True)
class GatheredPhoto(Unplaced):
    """One photo, as it lies in the folder of pictures.

    Attributes:
        name: path in the folder with "/", of characters that every list of COLMAP can hold.
        source: where it came from: the file's path in the given folder, or the frame's name.
        width, height: pixels.
        focal: focal length in pixels as EXIF has it, or None.
        camera_key: photos with equal keys lie in the same sub-folder and were taken by the same
            camera with the same lens setting, or, without EXIF, at least have the same size.
        quality, features: measured on it, where its mask keeps it.
        whole: features without the mask, if there is one.
    """

    source: str
    quality: Quality


@dataclass(frozen=True)
class Gathered:
    """Photos in one folder.

    Attributes:
        photos: in order of name (of time, for a video).
        skipped: those that could not be read, and other files that might be taken for photos.
        notes: how the source was understood, sentences for the user.
    """

    photos: tuple[GatheredPhoto, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class PhotoItem:
    """A file to be taken in as `name`, with its mask."""

    path: Path
    name: str
    source: str
    mask: MaskFile | None
    exif: Exif


def is_video(source: Path) -> bool:
    """Whether `source` is a file with the ending of a video."""
    return source.is_file() and source.suffix.lower() in VIDEO_SUFFIXES


def gather_photos(
    source: Path,
    folder: Path,
    *,
    frames: int,
    max_size: int,
    max_features: int,
    masks: str = AUTO,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Gathered:
    """Copy or convert all photos of `source` into `folder`, measure them and find their features.

    JPEG and PNG files of 8 bits that need no turning are copied as they are; everything else is
    written anew, as JPEG of quality 95, or as PNG where there is alpha. Masks are written to
    `masks` beside `folder`, as NAME.jpg.png, and features are those of the pixels that they keep.

    Args:
        source: a folder of photos (see `find_photos`), or a video.
        folder: an existing folder.
        frames: how many frames a video gives.
        max_size, max_features: see `extract_features`.
        masks: as in `load_photos`.
        on_progress: called with (photos done, photos in all).

    Raises:
        InputError: `source` is missing or neither a folder nor a video, or holds no photos; a mask
            has another shape than its photo, or masks leave nothing of any photo.
        OptionError: `masks` cannot be used.
    """
    check_choice(masks)
    find = partial(extract_features, max_size=max_size, max_features=max_features)
    photos: list[GatheredPhoto] = []
    skipped: list[Skipped] = []
    notes: tuple[str, ...] = ()
    results: Iterator[GatheredPhoto | Skipped]
    if is_video(source):
        total = frames
        # Few ahead: a video is never whole in memory.
        take = partial(_take_frame, folder=folder, find=find)
        results = in_threads(take, read_frames(source, frames), ahead=2)
    else:
        items, left_out, notes = photo_items(source, masks)
        skipped += left_out
        take_file = partial(_take_file, folder=folder, find=find)
        total, results = len(items), in_threads(take_file, items, ahead=2)
    for done, result in enumerate(results, start=1):
        (photos if isinstance(result, GatheredPhoto) else skipped).append(result)  # type: ignore[arg-type]
        on_progress(done, max(total, done))
    photos, panoramas = _without_panoramas(photos, skipped)
    for photo in panoramas:
        (folder / photo.name).unlink()
        skipped.append(Skipped(photo.source, WHY_NOT))
    check_not_masked(photos, skipped, source)
    return Gathered(tuple(photos), tuple(skipped), notes)


def _take_file(item: PhotoItem, folder: Path, find: Find) -> GatheredPhoto | Skipped:
    """Take a photo in, or say why not."""
    path, name = item.path, item.name
    try:
        image = read_image(path)
    except InputError as error:
        # A report names the path anyway.
        return Skipped(item.source, str(error).replace(str(path), "the file"))
    kept = None
    if item.mask is not None:
        height, width = image.rgb.shape[:2]
        kept = read_mask(item.mask, path, (height, width), upright=True)
        if not kept.any():
            return Skipped(item.source, NOTHING_KEPT)
    if says_panorama(path) or is_panorama(image.rgb.numpy()):
        return Skipped(item.source, WHY_NOT)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    if name.endswith((".jpg", ".png")) and _is_plain(path, item.exif):
        shutil.copyfile(path, folder / name)
    else:
        name = _write(image, folder, name)
    if kept is not None:
        _write_mask(kept, folder.with_name("masks") / f"{name}.png")
    return _examine(image, kept, name, item.source, item.exif, find)


def _take_frame(frame: tuple[str, ImageData], folder: Path, find: Find) -> GatheredPhoto | Skipped:
    """Take a video's frame in, or say why not."""
    name, image = frame
    if is_panorama(image.rgb.numpy()):
        return Skipped(name, WHY_NOT)
    name = _write(image, folder, f"{name}.jpg")
    return _examine(image, None, name, name, Exif(), find)


def _without_panoramas(
    photos: Sequence[GatheredPhoto], skipped: Sequence[Skipped]
) -> tuple[list[GatheredPhoto], list[GatheredPhoto]]:
    """Where most pictures twice as wide as high are panoramas, so are the others, whose edges or
    poles did not show it: (the photos, such others)."""
    wide = [photo for photo in photos if _is_wide(photo)]
    if sum(one.reason == WHY_NOT for one in skipped) <= len(wide):
        return list(photos), []
    return [photo for photo in photos if not _is_wide(photo)], wide


def _is_wide(photo: GatheredPhoto) -> bool:
    return abs(photo.width / photo.height - 2) < 0.02


def photo_items(
    source: Path, choice: str
) -> tuple[list[PhotoItem], tuple[Skipped, ...], tuple[str, ...]]:
    """The photos of a folder, what else lies there, and how it was understood.

    Raises InputError if there are no photos.
    """
    if not source.exists():
        raise InputError(f"there is no file or folder {source}")
    if not source.is_dir():
        raise InputError(
            f"{source} is neither a folder of photos nor a video "
            f"({', '.join(sorted(VIDEO_SUFFIXES))})"
        )
    found = find_photos(source)
    names = found.photos
    masks = find_masks(names, source, choice)
    # With --masks none they are no photos either.
    beside = masks if choice == AUTO else find_masks(names, source)
    used = {mask.path for one in (masks, beside) for mask in one.of.values()}
    photos = [path for path in names if path not in used]
    exif = read_all_exif(photos)
    items = [
        PhotoItem(
            path,
            name,
            shown(path.relative_to(found.root).as_posix()),
            masks.of.get(path),
            exif[path],
        )
        for path, name in _safe_names(photos, found.root)
    ]
    return items, found.left_out, _notes(found, photos, masks)


def _notes(found: PhotoFiles, photos: Sequence[Path], masks: Masks) -> tuple[str, ...]:
    """How a folder was understood; nothing where all of its files are photos of that folder."""
    parts = [
        (len(photos), "photos"),
        (len(found.photos) - len(photos), "masks"),
        (len(found.left_out), "left out"),
        (len(found.others), "other files"),
    ]
    notes = []
    if len(photos) < sum(number for number, _ in parts):
        counts = ", ".join(f"{number} {what}" for number, what in parts if number)
        first = f" (the first: {found.others[0]})" if found.others else ""
        notes.append(f"in {found.root}: {counts}{first}")
    folders = {path.parent for path in photos}
    if len(folders) > 1:
        notes.append(f"the photos lie in {len(folders)} folders: each is taken for one camera")
    return (*notes, *filter(None, [masks.note]))


def _safe_names(files: Sequence[Path], root: Path) -> list[tuple[Path, str]]:
    """Paths below the folder of copies: unique, in the same sub-folders, and without characters
    that COLMAP's lists cannot hold: blanks, a # in front, and what is not to be printed."""
    taken: set[str] = set()
    named = []
    for path in files:
        ending = path.suffix.lower()
        ending = ".jpg" if ending in (".jpeg", ".jpe", ".jfif", ".jif") else ending
        below = path.relative_to(root).parent.parts
        stem = "/".join(_ODD.sub("_", part)[:_LONGEST] for part in (*below, path.stem))
        while stem.lower() in taken:
            stem += "_" + ending.strip(".")
        taken.add(stem.lower())
        named.append((path, stem + ending))
    return named


def _is_plain(path: Path, exif: Exif) -> bool:
    """Whether every reader gets the same pixels from the file as from `read_image`."""
    with Image.open(path) as picture:
        return (
            exif.upright
            and picture.format in ("JPEG", "PNG")
            and picture.mode in ("RGB", "RGBA", "L")
            and "transparency" not in picture.info
        )


def _write(image: ImageData, folder: Path, name: str) -> str:
    """Write a picture as JPEG, or PNG if it has alpha; returns `name` with that ending."""
    pixels = image.rgb.numpy()
    stem = name.removesuffix(PurePosixPath(name).suffix)
    if image.alpha is not None:
        name = f"{stem}.png"
        both = np.dstack([pixels, image.alpha.numpy()])
        Image.fromarray(both).save(folder / name, compress_level=3)
    else:
        name = f"{stem}.jpg"
        Image.fromarray(pixels).save(folder / name, quality=95, subsampling=0)
    return name


def _write_mask(kept: NDArray[np.bool_], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(kept.astype(np.uint8) * 255).save(path)


def _examine(
    image: ImageData,
    kept: NDArray[np.bool_] | None,
    name: str,
    source: str,
    exif: Exif,
    find: Find,
) -> GatheredPhoto:
    """Measure a picture, where it is `kept`, and find its features."""
    height, width = image.rgb.shape[:2]
    grey = cv2.cvtColor(image.rgb.numpy(), cv2.COLOR_RGB2GRAY)
    mask = None if image.alpha is None else image.alpha.numpy()
    if kept is not None:
        mask = np.where(kept, 255 if mask is None else mask, 0).astype(np.uint8)
    return GatheredPhoto(
        name=name,
        source=source,
        width=width,
        height=height,
        focal=exif.focal,
        camera_key=(*exif.setting, width, height, PurePosixPath(name).parent.as_posix()),
        quality=measure_quality(grey, mask),
        features=find(grey, mask=mask),
        whole=None if kept is None else find(grey),
    )
