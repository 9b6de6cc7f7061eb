"""Pictures in (JPEG, PNG, WebP, TIFF, HEIC, AVIF, BMP, GIF, PPM) and out (PNG; depth as PNG and
NPY).

Everything is decoded by Pillow, HEIC through pillow-heif. OpenCV's codecs are not used: theirs
return half a picture for a truncated file without saying so.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
import pillow_heif
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError
from torch import Tensor

from tondo.checks import check_shape
from tondo.errors import InputError
from tondo.io.atomic import atomic_path, write_bytes

pillow_heif.register_heif_opener()

# 179 million, where Pillow itself refuses. The largest phone cameras have 200, and bin to 50.
PIXEL_LIMIT = 2 * (Image.MAX_IMAGE_PIXELS or 89_478_485)
PHOTO_KINDS = "JPEG, PNG, WebP, TIFF, HEIC, AVIF, BMP, GIF, PPM"
# Only these decoders ever see a file from outside. They are common, and small or much tested.
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF", "BMP", "DIB", "GIF", "PPM")
_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo", ".png", ".apng", ".webp", ".tif", ".tiff"),
    *(".heic", ".heif", ".hif", ".avif", ".bmp", ".dib", ".gif", ".ppm", ".pgm", ".pbm", ".pnm"),
)
PHOTO_SUFFIXES = frozenset(_SUFFIXES)
# Pictures that Pillow does not open: of cameras (raw), and of programs.
_OTHER_PICTURES = frozenset(
    (
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".insp", ".kdc", ".mrw"),
        *(".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw"),
        *(".x3f", ".exr", ".hdr", ".jxl", ".jxr", ".psb", ".svg", ".svgz", ".xcf", ".ai"),
    )
)
# Endings that Pillow knows but that are usually no pictures.
_NO_PICTURES = frozenset((".pdf", ".ps", ".h5", ".hdf", ".grib", ".bufr", ".mpg", ".mpeg", ".im"))
_MOST_PROFILE_BYTES = 4 * 2**20  # of an ICC profile; bounds memory; chosen, not measured
_ORIENTATION_TAG = 0x0112  # of EXIF
# What makes each orientation of EXIF upright.
TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Of 16-bit depth: millimetres where a unit is a metre, as sensors write.
DEPTH_STEPS_PER_UNIT = 1000


@dataclass(frozen=True)
class ImageData:
    """A decoded picture.

    Attributes:
        rgb: [H, W, 3] uint8, sRGB values, straight (not premultiplied) colour.
        alpha: [H, W] uint8 coverage, or None where the picture is opaque.
    """

    rgb: Tensor
    alpha: Tensor | None


def list_photos(folder: Path) -> list[Path]:
    """The photos directly in `folder`, told by their endings, sorted by name; no hidden ones."""
    try:
        return sorted(
            path
            for path in Path(folder).iterdir()
            if path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")
        )
    except OSError as error:
        raise InputError(f"cannot list the folder {folder}: {error.strerror or error}") from error


def is_unread_picture(path: Path | PurePath) -> bool:
    """Whether the ending is that of a picture of a kind that is not read."""
    suffix = path.suffix.lower()
    known = suffix in Image.registered_extensions() and suffix not in _NO_PICTURES
    return suffix not in PHOTO_SUFFIXES and (known or suffix in _OTHER_PICTURES)


def read_image(path: Path, *, upright: bool = True) -> ImageData:
    """Decode one picture to 8 bits per channel.

    Grey becomes RGB, 16 bits become 8, palettes and CMYK become RGB, alpha is kept. Colours in the
    RGB space of an embedded profile, such as the Display P3 of many phones, become sRGB; profiles
    of other spaces and damaged ones are passed over. Of several frames or pages the first counts.

    Args:
        path: a file of one of `PHOTO_KINDS`, whatever its ending.
        upright: turn the picture as its EXIF orientation says. (HEIC is always upright.)

    Raises:
        InputError: there is no such file, it is no such picture, it is truncated or damaged, or it
            has more than `PIXEL_LIMIT` pixels (said before anything is decoded).
    """
    with opened_picture(path) as picture:
        return _decoded(picture, str(path), upright)


def decode_image(data: bytes, name: str, *, upright: bool = True) -> ImageData:
    """`read_image` of a file that is in memory; `name` stands in messages.

    Raises:
        InputError: as `read_image`.
    """
    with _checked(io.BytesIO(data), name, len(data)) as picture:
        return _decoded(picture, name, upright)


def _decoded(picture: Image.Image, name: str, upright: bool) -> ImageData:
    if picture.mode == "F":
        raise InputError(
            f"{name} holds 32-bit floating point values, whose range is not known: "
            "save it with 8 or 16 bits per channel"
        )
    picture.load()
    converted = _in_srgb(_eight_bits(picture), picture.info.get("icc_profile"))
    if upright and (turn := TRANSPOSE.get(orientation_of(picture))) is not None:
        converted = converted.transpose(turn)
    pixels = torch.from_numpy(np.array(converted))
    if pixels.shape[2] == 3:
        return ImageData(pixels, None)
    alpha = pixels[..., 3].contiguous()
    return ImageData(pixels[..., :3].contiguous(), None if bool((alpha == 255).all()) else alpha)


def _in_srgb(picture: Image.Image, profile: object) -> Image.Image:
    """`picture` (RGB or RGBA) out of the colour space of its ICC profile, if that is one of RGB."""
    if not isinstance(profile, bytes) or not 128 <= len(profile) <= _MOST_PROFILE_BYTES:
        return picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != "RGB":
            return picture
        colors = picture.convert("RGB")
        found = ImageCms.profileToProfile(colors, source, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture
    if found is None:
        return picture
    if picture.mode == "RGBA":
        found.putalpha(picture.getchannel("A"))
    return found


def image_size(path: Path, *, upright: bool = True) -> tuple[int, int]:
    """(width, height) of a picture, from its header. Raises InputError as `read_image` does."""
    with opened_picture(path) as picture:
        width, height = picture.size
        lies = upright and orientation_of(picture) in (5, 6, 7, 8)
        return (height, width) if lies else (width, height)


def write_png(path: Path, picture: Tensor) -> None:
    """Write a PNG, atomically.

    Args:
        path: the target.
        picture: uint8 [H, W, 3], [H, W, 4] (straight alpha) or [H, W] (grey), or float of the same
            shapes, 0..1, clamped and rounded.

    Raises:
        ValueError: another shape or dtype.
        OutputError: the file cannot be written.
    """
    picture = eight_bits(picture)
    shape = tuple(picture.shape)
    if picture.dtype != torch.uint8 or not (
        0 not in shape and (len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4)))
    ):
        raise ValueError(
            f"a picture must be uint8 or float [H, W], [H, W, 3] or [H, W, 4], "
            f"got {picture.dtype} {list(shape)}"
        )
    write_bytes(Path(path), picture_png(picture.cpu().contiguous().numpy(), 4))


def eight_bits(picture: Tensor) -> Tensor:
    """A uint8 picture as it is, or uint8 of a float one, 0..1, clamped and rounded."""
    if not picture.is_floating_point():
        return picture
    return (picture.detach().clamp(0, 1).nan_to_num() * 255).round().to(torch.uint8)


def picture_png(picture: NDArray, compress_level: int = 6) -> bytes:
    """A picture, [H, W] of 8 or 16 bits or [H, W, 3 or 4] of 8, as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=compress_level)
    return buffer.getvalue()


def write_depth(path_stem: Path, depth: Tensor) -> None:
    """Write `path_stem`.png (16 bits, thousandths of a world unit) and `path_stem`.npy (float32).
    `tondo.io.models.depth_scale` gives the pictures of a folder another scale where this one does
    not fit.

    Args:
        path_stem: the target without an ending; a dot in its last part is kept.
        depth: [H, W] float, world units along the camera's z axis, 0 where nothing is. Beyond
            65.535 world units, and for NaN, the PNG holds 65535 and 0; the NPY is exact.

    Raises:
        ValueError: another shape.
        OutputError: a file cannot be written.
    """
    check_shape("depth", depth, "H W")
    values = depth.detach().cpu().float().contiguous()
    stem = Path(path_stem)
    write_depth_png(stem.with_name(stem.name + ".png"), values, DEPTH_STEPS_PER_UNIT)
    with atomic_path(stem.with_name(stem.name + ".npy")) as temporary:
        np.save(temporary, values.numpy(), allow_pickle=False)


def write_depth_png(path: Path, depth: Tensor, steps_per_unit: float) -> None:
    """Write depth [H, W] as a 16-bit PNG with so many steps in a world unit; 65535 for what is
    beyond, 0 for NaN. Raises OutputError."""
    steps = (depth.double() * steps_per_unit).round().nan_to_num(0, 65535, 0)
    write_bytes(path, picture_png(steps.clamp(0, 65535).numpy().astype(np.uint16)))


@contextlib.contextmanager
def opened_picture(path: Path) -> Iterator[Image.Image]:
    """The header of a picture, checked; whatever goes wrong inside becomes an InputError."""
    path = Path(path)
    if not path.is_file():  # also keeps pipes and devices out, which would block
        raise InputError(f"there is no picture file {path}")
    with _checked(path, str(path), path.stat().st_size) as picture:
        yield picture


@contextlib.contextmanager
def _checked(file: Path | io.BytesIO, name: str, length: int) -> Iterator[Image.Image]:
    try:
        with Image.open(file, formats=_FORMATS) as picture:
            width, height = picture.size
            if width * height > PIXEL_LIMIT:
                raise Image.DecompressionBombError(f"{width}x{height}")
            yield picture
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{name} claims more than {PIXEL_LIMIT // 10**6} million pixels: "
            "a damaged file or a decompression bomb; scale it down if it is a real picture"
        ) from error
    except UnidentifiedImageError as error:
        raise InputError(
            f"{name} ({length} bytes) is not a picture that can be read ({PHOTO_KINDS})"
        ) from error
    except Exception as error:
        # Decoders of damaged files raise nearly anything: OSError, SyntaxError, ValueError,
        # struct.error, RuntimeError (HEIC), zlib.error, KeyError, MemoryError.
        raise InputError(f"{name} is damaged or cut off and cannot be decoded: {error}") from error


def _eight_bits(picture: Image.Image) -> Image.Image:
    """`picture` as RGB or RGBA."""
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        grey = np.asarray(picture).astype(np.int64)
        if grey.size and (grey.min() < 0 or grey.max() > 65535):
            raise ValueError("its grey values are outside 0..65535")
        return Image.fromarray(((grey + 128) // 257).astype(np.uint8)).convert("RGB")
    has_alpha = picture.has_transparency_data or picture.mode in ("La", "RGBa")
    return picture.convert("RGBA" if has_alpha else "RGB")


def orientation_of(picture: Image.Image) -> int:
    """The EXIF orientation, 1..8; 1 (upright) where there is none or EXIF is damaged."""
    try:
        value = picture.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # damaged EXIF raises nearly anything, and says nothing about the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
