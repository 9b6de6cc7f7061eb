"""COLMAP models, binary and text.

Read here and not by pycolmap, because files from outside are hostile: with a changed count in a
binary model pycolmap runs for ever or asks for all memory. Formats: colmap.github.io/format.html;
`rigs` and `frames` are not needed, since `images` holds each photo's own pose.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pycolmap
from numpy.typing import NDArray

from tondo.errors import InputError
from tondo.io.named_files import is_file
from tondo.io.posed.frames import check_rigid
from tondo.io.posed.undistort import Lens

_MAX_BYTES = 8 << 30  # bounds memory; chosen, not measured
_MAX_PARAMS = 64  # of a camera: COLMAP's richest model has 16
_MAX_NAME = 1024  # bytes of a file name; bounds memory; chosen, not measured


@dataclass(frozen=True)
class ModelImage:
    """A registered photo.

    Attributes:
        image_id, camera_id: COLMAP's numbers.
        name: path below the folder of photos, as the file has it (not checked); bytes that are no
            UTF-8 as Python's "surrogateescape" has them.
        viewmat: [4, 4] float64, world-to-camera, OpenCV axes.
        observations: [M, 2] float64, pixels, in the distorted photo.
    """

    image_id: int
    camera_id: int
    name: str
    viewmat: NDArray[np.float64]
    observations: NDArray[np.float64]


@dataclass(frozen=True)
class Tracks:
    """3D points and who sees them.

    Attributes:
        points: [P, 3] float64, world.
        colors: [P, 3] uint8, mean of all photos that see the point.
        point_index, image_id, observation_index: [T] int64, one entry per sighting.
    """

    points: NDArray[np.float64]
    colors: NDArray[np.uint8]
    point_index: NDArray[np.int64]
    image_id: NDArray[np.int64]
    observation_index: NDArray[np.int64]


@dataclass(frozen=True)
class ColmapModel:
    """A checked model: lenses by camera id, photos in the file's order, points."""

    lenses: dict[int, Lens]
    images: tuple[ModelImage, ...]
    tracks: Tracks


def is_model(folder: Path) -> bool:
    """Whether `folder` itself holds the files of a model."""
    return any(
        is_file(folder / f"cameras.{ending}") and is_file(folder / f"images.{ending}")
        for ending in ("bin", "txt")
    )


def count_images(folder: Path) -> int:
    """How many images a model says it has, from the head of its file; 0 where it cannot be read."""
    try:
        if is_file(folder / "images.bin"):
            with open(folder / "images.bin", "rb") as file:
                return int.from_bytes(file.read(8), "little")
        with open(folder / "images.txt", "rb") as file:
            lines = sum(not line.startswith(b"#") for line in file)
        return lines // 2
    except OSError:
        return 0


def read_model(folder: Path) -> ColmapModel:
    """Read a model; binary where both forms are there, as COLMAP does. Points may be missing.

    Raises:
        InputError: files are missing, cut off or contradict each other, or hold values that no
            camera or point can have.
    """
    folder = Path(folder)
    if not is_model(folder):
        raise InputError(f"{folder} holds no COLMAP model (cameras and images, .bin or .txt)")
    binary = is_file(folder / "cameras.bin") and is_file(folder / "images.bin")
    try:
        model = _read_binary(folder) if binary else _read_text(folder)
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror or error}") from error
    what = f"images.{'bin' if binary else 'txt'} of {folder}"
    if not model.images:
        raise InputError(f"{what} holds no registered photo")
    for image in model.images:
        if image.camera_id not in model.lenses:
            raise InputError(f"{what}: {image.name!r} has the camera {image.camera_id}, not given")
    if len({image.image_id for image in model.images}) < len(model.images):
        raise InputError(f"{what}: two photos have the same number")
    return model


class _Bytes:
    """A binary file, read from front to back and never beyond its end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        _check_size(path)
        self.data = path.read_bytes()
        self.at = 0

    def take(self, form: str) -> tuple:
        size = struct.calcsize(form)
        self.need(size)
        self.at += size
        return struct.unpack_from(form, self.data, self.at - size)

    def array(self, dtype: np.dtype, count: int) -> NDArray:
        self.need(count * dtype.itemsize)
        self.at += count * dtype.itemsize
        return np.frombuffer(self.data, dtype, count, self.at - count * dtype.itemsize)

    def text(self) -> str:
        end = self.data.find(b"\0", self.at, self.at + _MAX_NAME + 1)
        if end < 0:
            raise InputError(f"{self.path} is cut off or damaged: a name has no end")
        raw, self.at = self.data[self.at : end], end + 1
        return raw.decode("utf-8", "surrogateescape")

    def count(self, smallest: int) -> int:
        """A number of entries, each of which takes at least `smallest` bytes."""
        (number,) = self.take("<Q")
        if number * smallest > len(self.data) - self.at:
            raise InputError(
                f"{self.path} is cut off or damaged: it says {number} entries follow, which do not "
                f"fit into its {len(self.data)} bytes"
            )
        return number

    def need(self, size: int) -> None:
        if self.at + size > len(self.data):
            raise InputError(f"{self.path} is cut off: it ends after {len(self.data)} bytes")


_OBSERVATION = np.dtype([("xy", "<f8", 2), ("point", "<u8")])
_TRACK_ELEMENT = np.dtype([("image", "<u4"), ("observation", "<u4")])


def _read_binary(folder: Path) -> ColmapModel:
    names = {int(value): name for name, value in pycolmap.CameraModelId.__members__.items()}
    file = _Bytes(folder / "cameras.bin")
    lenses = {}
    for _ in range(file.count(24)):
        camera_id, model_id, width, height = file.take("<IiQQ")
        name = names.get(model_id, f"number {model_id}")
        params = file.array(np.dtype("<f8"), _parameter_count(name))
        lenses[camera_id] = _lens(name, width, height, params.tolist(), camera_id, file.path)
    file = _Bytes(folder / "images.bin")
    images = []
    for _ in range(file.count(73)):
        image_id, *pose, camera_id = file.take("<I7dI")
        name = file.text()
        observations = file.array(_OBSERVATION, file.count(_OBSERVATION.itemsize))["xy"]
        viewmat = _viewmat(np.array(pose), name, file.path)
        images.append(ModelImage(image_id, camera_id, name, viewmat, observations))
    path = folder / "points3D.bin"
    tracks = _binary_tracks(_Bytes(path)) if is_file(path) else _tracks([], [], path)
    return ColmapModel(lenses, tuple(images), tracks)


def _binary_tracks(file: _Bytes) -> Tracks:
    rows, elements = [], []
    for _ in range(file.count(51)):
        _, x, y, z, r, g, b, _ = file.take("<Q3d3Bd")
        rows.append((x, y, z, r, g, b))
        elements.append(file.array(_TRACK_ELEMENT, file.count(_TRACK_ELEMENT.itemsize)))
    pairs = [np.stack([e["image"], e["observation"]], 1).astype(np.int64) for e in elements]
    return _tracks(rows, pairs, file.path)


def _read_text(folder: Path) -> ColmapModel:
    path = folder / "cameras.txt"
    lenses = {}
    for line in _lines(path):
        words = line.split()
        if len(words) < 5 or len(words) > 4 + _MAX_PARAMS:
            raise InputError(f"{path}: a camera needs CAMERA_ID MODEL WIDTH HEIGHT PARAMS")
        camera_id, width, height = _whole(words[0:1] + words[2:4], path)
        params = _numbers(words[4:], path).tolist()
        lenses[camera_id] = _lens(words[1], width, height, params, camera_id, path)
    images = tuple(_text_images(folder / "images.txt"))
    path = folder / "points3D.txt"
    rows, pairs = [], []
    for line in _lines(path) if is_file(path) else ():
        words = line.split()
        if len(words) < 8 or len(words) % 2:
            raise InputError(f"{path}: a point needs ID X Y Z R G B ERROR and pairs of numbers")
        color = _whole(words[4:7], path)
        if max(color) > 255:
            raise InputError(f"{path}: a colour is outside 0..255")
        rows.append((*_numbers(words[1:4], path).tolist(), *color))
        pairs.append(np.array(_whole(words[8:], path), np.int64).reshape(-1, 2))
    return ColmapModel(lenses, images, _tracks(rows, pairs, path))


def _text_images(path: Path) -> Iterator[ModelImage]:
    lines = _lines(path, keep_empty=True)
    line = next(lines, None)
    while line is not None:
        words = line.split(maxsplit=9)
        line = next(lines, None)
        if not words or _is_left_over(words):
            continue
        if len(words) < 10:
            raise InputError(f"{path}: a photo needs IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME")
        image_id, camera_id = _whole([words[0], words[8]], path)
        name = words[9].rstrip()
        viewmat = _viewmat(_numbers(words[1:8], path), name, path)
        observed: list[str] = []
        # Some programs leave the line of observations out where there are none.
        if line is not None and not _is_photo(line):
            observed = line.split()
            line = next(lines, None)
        if len(observed) % 3:
            raise InputError(f"{path}: the observations of {name!r} are not triples X Y POINT3D_ID")
        xy = _numbers(observed, path).reshape(-1, 3)[:, :2]
        yield ModelImage(image_id, camera_id, name, viewmat, xy)


def _is_left_over(words: list[str]) -> bool:
    """Whether a line that should begin a photo holds observations, whose photo's line was deleted.

    Words are the first nine and the rest; nine numbers are a photo whose name is missing.
    """
    numbers = [*words[:9], *(words[9].split() if len(words) > 9 else ())]
    if len(numbers) % 3 or len(numbers) == 9:
        return False
    try:
        return bool([float(word) for word in numbers]) and "." in words[0]
    except ValueError:
        return False


def _is_photo(line: str) -> bool:
    """Whether a line begins a photo: ten words, the last of which, its name, is no number."""
    words = line.split(maxsplit=9)
    if len(words) < 10:
        return False
    try:
        float(words[9].split()[-1])
    except ValueError:
        return True
    return False


def _lines(path: Path, *, keep_empty: bool = False) -> Iterator[str]:
    """Each line that is no comment."""
    if not is_file(path):
        raise InputError(f"there is no file {path}")
    _check_size(path)
    try:
        with open(path, encoding=_encoding(path), errors="surrogateescape") as file:
            for line in file:
                if not line.startswith("#") and (keep_empty or line.strip()):
                    yield line
    except UnicodeError as error:  # UTF-16 that is none
        raise InputError(f"{path} is damaged: it is no text") from error


def _encoding(path: Path) -> str:
    """UTF-8, after the mark that some editors of Windows begin a file with if there is one, or
    UTF-16 where that mark says so."""
    with open(path, "rb") as file:
        return "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _numbers(words: list[str], path: Path) -> NDArray[np.float64]:
    try:
        return np.array([float(word) for word in words])
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}"[:300]) from error


def _whole(words: list[str], path: Path) -> list[int]:
    try:
        values = [int(word) for word in words]
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}"[:300]) from error
    if any(not 0 <= value < 2**63 for value in values):
        raise InputError(f"{path} is damaged: a number or count is negative or too large")
    return values


def _check_size(path: Path) -> None:
    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise InputError(f"{path} has {size >> 30} GiB: too large for a model")


def _parameter_count(name: str) -> int:
    try:
        camera = pycolmap.Camera.create_from_model_name(0, name, 1.0, 1, 1)
    except ValueError:
        return 0  # Lens says what is wrong with the name
    return len(camera.params)


def _lens(
    model: str, width: int, height: int, params: list[float], camera_id: int, path: Path
) -> Lens:
    try:
        return Lens(model, width, height, tuple(params))
    except InputError as error:
        raise InputError(f"camera {camera_id} of {path}: {error}") from error


def _viewmat(pose: NDArray[np.float64], name: str, path: Path) -> NDArray[np.float64]:
    """[4, 4] from (qw, qx, qy, qz, tx, ty, tz), world-to-camera."""
    what = f"the pose of {name[:80]!r} in {path}"
    length = math.hypot(*pose[:4].tolist())
    if not 1e-3 < length < 1e3:
        raise InputError(f"{what} has a quaternion of length {length:g}: expected about 1")
    w, x, y, z = pose[:4] / length
    viewmat = np.eye(4)
    viewmat[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    viewmat[:3, 3] = pose[4:]
    check_rigid(viewmat[:3, :3], viewmat[:3, 3], what)
    return viewmat


def _tracks(
    rows: Sequence[tuple[float, ...]], pairs: list[NDArray[np.int64]], path: Path
) -> Tracks:
    table = np.array(rows, np.float64).reshape(-1, 6)
    if not np.isfinite(table).all():
        raise InputError(f"{path} has points that are NaN or infinite")
    lengths = [len(pair) for pair in pairs]
    elements = np.concatenate(pairs) if pairs else np.empty((0, 2), np.int64)
    return Tracks(
        points=table[:, :3],
        colors=table[:, 3:].astype(np.uint8),
        point_index=np.repeat(np.arange(len(table)), lengths),
        image_id=elements[:, 0],
        observation_index=elements[:, 1],
    )
