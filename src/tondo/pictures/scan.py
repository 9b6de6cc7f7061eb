"""A first scan of every picture of a collection: its size, its border, where its object is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tondo.data.photos import Skipped
from tondo.errors import InputError
from tondo.io.collections.picture_files import PictureFile, PictureSource
from tondo.io.collections.picture_zip import shown
from tondo.io.images import ImageData
from tondo.io.posed.transforms_json import ListedFrame
from tondo.io.threads import in_threads
from tondo.pictures.background import BORDER_SHARE, Border, find_object, measure_border
from tondo.pictures.cameras import KnownCamera, camera_of, listed_cameras
from tondo.pictures.crop import Box

Read = Callable[[PictureFile], ImageData]


@dataclass(frozen=True)
class PictureScan:
    """What is known of one picture before it is cut.

    Attributes:
        file: which one.
        width, height: pixels.
        border: its outermost pixels.
        has_alpha: whether something of it is transparent.
        box: of the object, by alpha or, where the border is of one colour, by that; else None.
        camera: or None where it is not known.
    """

    file: PictureFile
    width: int
    height: int
    border: Border
    has_alpha: bool
    box: Box | None
    camera: KnownCamera | None


def scan_pictures(
    source: PictureSource, read: Read, on_progress: Callable[[int, int], None]
) -> tuple[list[PictureScan], list[Skipped]]:
    """Scan all pictures of a source; those that cannot be read or used are named.

    Raises:
        InputError: the source's transforms.json cannot be used, or lists none of the pictures.
    """
    frames = listed_cameras(source)
    scans: list[PictureScan] = []
    skipped: list[Skipped] = []

    def work(file: PictureFile) -> PictureScan | Skipped:
        return _scan(file, read, frames, source)

    for done, found in enumerate(in_threads(work, source.files), start=1):
        (scans if isinstance(found, PictureScan) else skipped).append(found)  # type: ignore[arg-type]
        on_progress(done, len(source.files))
    if source.transforms is not None and not scans and len(skipped):
        raise InputError(
            f"no picture of {source.title} can be used with its {source.transforms}; "
            f"{skipped[0].name}: {skipped[0].reason}"
        )
    return scans, skipped


def reason_of(error: InputError, source: PictureSource, file: PictureFile) -> str:
    """The error's message without the picture's path, which a report names anyway."""
    text = str(error).replace(str(source.path / file.name), "the file")
    return shown(text.replace(file.name, "the file"))


def _scan(
    file: PictureFile, read: Read, frames: dict[str, ListedFrame], source: PictureSource
) -> PictureScan | Skipped:
    try:
        image = read(file)
        height, width = (int(side) for side in image.rgb.shape[:2])
        camera = None
        if source.transforms is not None:
            frame = frames.get(file.name.rsplit(".", 1)[0]) or frames.get(file.name)
            if frame is None:
                return Skipped(file.name, f"not listed in {source.transforms}")
            camera = camera_of(frame, width, height)
    except InputError as error:
        return Skipped(file.name, reason_of(error, source, file))
    if min(width, height) < 8:
        return Skipped(file.name, f"too small: {width}x{height}")
    rgb = image.rgb.numpy()
    alpha = None if image.alpha is None else image.alpha.numpy()
    border = measure_border(rgb)
    box = None
    if alpha is not None or border.share >= BORDER_SHARE:
        box = find_object(rgb, alpha, border.color)
    return PictureScan(file, width, height, border, alpha is not None, box, camera)
