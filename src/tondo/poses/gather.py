"""Photos of any readable kind, or a video, into a folder that every reader sees alike."""

from __future__ import annotations

import math
import os
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pycolmap
from PIL import Image

from tondo.data.photos import Skipped
from tondo.errors import InputError
from tondo.io.images import PHOTO_SUFFIXES, ImageData, list_photos, read_image
from tondo.io.video import VIDEO_SUFFIXES, read_frames
from tondo.poses.features import Features, extract_features
from tondo.poses.quality import Quality, measure_quality

A = TypeVar("A")
B = TypeVar("B")
_EXIF_IFD = 0x8769
_MAKE, _MODEL, _ORIENTATION = 0x010F, 0x0110, 0x0112
_FOCAL_LENGTH, _FOCAL_LENGTH_35MM = 0x920A, 0xA405


@dataclass(frozen=True)
class GatheredPhoto:
    """One photo, as it lies in the folder of pictures.

    Attributes:
        name: file name in the folder, without blanks.
        source: where it came from: the file's name, or the frame's.
        width, height: pixels.
        focal: focal length in pixels as EXIF has it, or None.
        camera_key: photos with equal keys were taken by the same camera with the same lens setting,
            or, without EXIF, at least have the same size.
        quality, features: measured on it.
    """

    name: str
    source: str
    width: int
    height: int
    focal: float | None
    camera_key: tuple[str | int, ...]
    quality: Quality
    features: Features


@dataclass(frozen=True)
class _Exif:
    """What of EXIF matters here; `upright` if the stored pixels need no turning."""

    camera: str
    focal: float | None
    upright: bool


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
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[list[GatheredPhoto], list[Skipped]]:
    """Copy or convert all photos of `source` into `folder`, measure them and find their features.

    JPEG and PNG files of 8 bits that need no turning are copied as they are; everything else is
    written anew, as JPEG of quality 95, or as PNG where there is alpha.

    Args:
        source: a folder of photos (or with a folder `images` of photos), or a video.
        folder: an existing folder.
        frames: how many frames a video gives.
        max_size, max_features: see `extract_features`.
        on_progress: called with (photos done, photos in all).

    Returns:
        The photos in order of name (of time, for a video), and those that could not be read.

    Raises:
        InputError: `source` is missing or neither a folder nor a video, or holds no photos.
    """

    def from_file(item: tuple[Path, str]) -> GatheredPhoto | Skipped:
        path, name = item
        try:
            image = read_image(path)
        except InputError as error:
            return Skipped(path.name, _reason(error, path))
        exif = _read_exif(path)
        if name.endswith((".jpg", ".png")) and _is_plain(path, exif):
            shutil.copyfile(path, folder / name)
        else:
            name = _write(image, folder / Path(name).stem)
        return _examined(image, name, path.name, exif, max_size, max_features)

    def from_frame(item: tuple[str, ImageData]) -> GatheredPhoto | Skipped:
        name, image = item
        name = _write(image, folder / name)
        return _examined(image, name, name, _Exif("", None, True), max_size, max_features)

    photos: list[GatheredPhoto] = []
    skipped: list[Skipped] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        if is_video(source):
            total, results = frames, _in_chunks(pool, from_frame, read_frames(source, frames))
        else:
            named = _safe_names(_photo_files(source))
            total, results = len(named), _in_chunks(pool, from_file, iter(named))
        for done, result in enumerate(results, start=1):
            (photos if isinstance(result, GatheredPhoto) else skipped).append(result)  # type: ignore[arg-type]
            if on_progress is not None:
                on_progress(done, max(total, done))
    return photos, skipped


def _in_chunks(pool: ThreadPoolExecutor, work: Callable[[A], B], items: Iterator[A]) -> Iterator[B]:
    """`pool.map` that takes only a few items ahead, so that a video is never whole in memory."""
    while chunk := list(islice(items, 2 * (os.cpu_count() or 1))):
        yield from pool.map(work, chunk)


def _photo_files(source: Path) -> list[Path]:
    """The photos of a folder. Raises InputError if there is none."""
    kinds = ", ".join(sorted(PHOTO_SUFFIXES))
    if not source.exists():
        raise InputError(f"there is no file or folder {source}")
    if not source.is_dir():
        raise InputError(
            f"{source} is neither a folder of photos nor a video "
            f"({', '.join(sorted(VIDEO_SUFFIXES))})"
        )
    for folder in (source, source / "images"):
        files = [p for p in list_photos(folder) if p.is_file()] if folder.is_dir() else []
        if files:
            return files
    raise InputError(f"no photos in {source}: expected files ending in {kinds}")


def _safe_names(files: list[Path]) -> list[tuple[Path, str]]:
    """File names for the copies: unique, without blanks (which COLMAP's lists cannot hold)."""
    taken: set[str] = set()
    named = []
    for path in files:
        ending = {".jpeg": ".jpg"}.get(path.suffix.lower(), path.suffix.lower())
        stem = re.sub(r"\s+", "_", path.stem)
        while stem.lower() in taken:
            stem += "_" + ending.strip(".")
        taken.add(stem.lower())
        named.append((path, stem + ending))
    return named


def _reason(error: InputError, path: Path) -> str:
    """The error's message without the path, which a report names anyway."""
    return str(error).replace(str(path), "the file")


def _is_plain(path: Path, exif: _Exif) -> bool:
    """Whether every reader gets the same pixels from the file as from `read_image`."""
    with Image.open(path) as picture:
        return (
            exif.upright
            and picture.format in ("JPEG", "PNG")
            and picture.mode in ("RGB", "RGBA", "L")
            and "transparency" not in picture.info
        )


def _write(image: ImageData, stem: Path) -> str:
    """Write a picture as JPEG, or PNG if it has alpha; returns the file's name."""
    pixels = image.rgb.numpy()
    if image.alpha is not None:
        path = stem.with_name(stem.name + ".png")
        Image.fromarray(np.dstack([pixels, image.alpha.numpy()])).save(path, compress_level=3)
    else:
        path = stem.with_name(stem.name + ".jpg")
        Image.fromarray(pixels).save(path, quality=95, subsampling=0)
    return path.name


def _read_exif(path: Path) -> _Exif:
    """Camera and focal length; nothing where EXIF is missing or damaged."""
    camera, length, upright = "", "", True
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            exif = picture.getexif()
            details = exif.get_ifd(_EXIF_IFD)
            camera = " ".join(str(exif.get(tag, "")).strip("\0 ") for tag in (_MAKE, _MODEL))
            upright = exif.get(_ORIENTATION, 1) in (0, 1)
            length = str(details.get(_FOCAL_LENGTH, ""))
            focal35 = float(details.get(_FOCAL_LENGTH_35MM, 0) or 0)
            # A 35 mm film frame is 36 x 24 mm, 43.27 mm from corner to corner.
            focal: float | None = focal35 / 43.27 * math.hypot(width, height)
            if not 0 < focal35 < 3000:
                focal = _focal_from_sensor(path, picture.format)
    except Exception:  # damaged EXIF raises nearly anything, and the photo is fine without
        focal = None
    return _Exif(f"{camera.strip()} {length}".strip(), focal, upright)


def _focal_from_sensor(path: Path, kind: str | None) -> float | None:
    """pycolmap's guess from the focal length in mm and its table of sensor sizes."""
    if kind not in ("JPEG", "PNG", "TIFF"):
        return None
    camera = pycolmap.infer_camera_from_image(path)
    return float(camera.focal_length) if camera.has_prior_focal_length else None


def _examined(
    image: ImageData, name: str, source: str, exif: _Exif, max_size: int, max_features: int
) -> GatheredPhoto:
    """Measure a picture and find its features."""
    height, width = image.rgb.shape[:2]
    grey = cv2.cvtColor(image.rgb.numpy(), cv2.COLOR_RGB2GRAY)
    mask = None if image.alpha is None else image.alpha.numpy()
    features = extract_features(grey, max_size=max_size, max_features=max_features, mask=mask)
    return GatheredPhoto(
        name=name,
        source=source,
        width=width,
        height=height,
        focal=exif.focal,
        camera_key=(exif.camera, width, height),
        quality=measure_quality(grey, mask),
        features=features,
    )
