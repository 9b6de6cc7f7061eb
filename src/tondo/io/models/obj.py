"""OBJ as text: its polygons with their places in a texture, and its material's picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tondo.data.textured import Texture
from tondo.errors import InputError
from tondo.io.images import read_image
from tondo.io.models.file_mesh import MOST_FACES, FileMesh, is_coarser

MOST_BYTES = 2 << 30  # of an OBJ; bounds memory; chosen
_MOST_MTL_BYTES = 1 << 20  # chosen
_MOST_CORNERS = 255  # of one polygon; chosen
_MOST_NUMBER_LETTERS = 40  # more are no number; chosen


@dataclass(frozen=True)
class Obj:
    """An OBJ file.

    Attributes:
        lines: its text, one string a line, of one letter a byte.
        points: [N, 3] float64. colors: [N, 3] float64 sRGB, which should be
            0..1, or None.
        uvs: [M, 2] float32, v upwards, as in the file.
        starts: [P + 1] int64, where in `corners` each polygon begins.
        corners: [C, 2] int64, of points and, or -1, uvs.
        lines_of: [P] int64, the line of each polygon.
        libraries: the names of its material files. materials: those that its polygons name.
    """

    lines: list[str]
    points: np.ndarray
    colors: np.ndarray | None
    uvs: np.ndarray
    starts: np.ndarray
    corners: np.ndarray
    lines_of: np.ndarray
    libraries: list[str]
    materials: set[str]


def read_obj(path: Path, most: int = MOST_FACES) -> Obj:
    """Read an OBJ file; nothing beside it is opened.

    Raises:
        InputError: missing, too large, with more than `most` faces, or a line of it is damaged.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} is larger than {MOST_BYTES >> 30} GiB.")
        text = path.read_bytes().decode("latin-1")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    # before anything is made of them
    if (count := text.count("\nf ")) > most:
        raise InputError(too_many(path, count, most))
    try:
        return parsed(text)
    except ValueError as error:
        raise InputError(f"{path} is not a readable mesh: {error}.") from None


def too_many(path: Path, count: int, most: int) -> str:
    """The sentence on a file of more faces than can be."""
    return f"{path} has {count:,} faces, more than the {most:,} that are possible here: simplify it"


def parsed(text: str) -> Obj:
    """The OBJ of a text, without the polygons of coarser levels of detail. Raises ValueError."""
    if "\\\n" in text or "\\\r\n" in text:  # a line that goes on in the next
        text = text.replace("\\\r\n", " ").replace("\\\n", " ")
    lines = text.split("\n")
    points: list[list[str]] = []
    uvs: list[list[str]] = []
    polygons: list[tuple[int, int, int, list[str]]] = []
    libraries: list[str] = []
    materials: set[str] = set()
    material, objects, coarser = "", set[str](), False
    for number, line in enumerate(lines):
        words = line.split()
        if not words:
            continue
        head = words[0]
        if head == "v":
            points.append(words[1:])
        elif head == "vt":
            uvs.append(words[1:3])
        elif head == "o":
            name = line.strip()[len(head) :].strip()
            objects.add(name)
            coarser = is_coarser(name, objects)
        elif head == "f" and not coarser:
            corners_of = line.partition("#")[0].split()[1:] if "#" in line else words[1:]
            polygons.append((number, len(points), len(uvs), corners_of))
            materials.add(material)
        elif head == "usemtl":
            material = line.strip()[len(head) :].strip()
        elif head == "mtllib":
            libraries.append(line.strip()[len(head) :].strip())
    places = _numbers([one[:3] for one in points], 3, "v")
    colored = bool(points) and all(len(one) == 6 for one in points)
    sizes, corners = _polygons(polygons)
    _check_range(corners, len(points), len(uvs))
    with np.errstate(over="ignore"):  # what becomes infinite is found where it is used
        at = _numbers([[*one, "0"][:2] for one in uvs], 2, "vt").astype(np.float32)
    return Obj(
        lines,
        places,
        _numbers([one[3:] for one in points], 3, "v") if colored else None,
        at,
        np.cumsum([0, *sizes]),
        corners,
        np.array([one[0] for one in polygons], np.int64),
        libraries,
        materials,
    )


def _numbers(rows: list[list[str]], width: int, name: str) -> np.ndarray:
    """[N, width] float64. Raises ValueError."""
    if any(len(row) != width for row in rows):
        raise ValueError(f"a line `{name}` of it has too few numbers")
    try:
        return np.array([[float(word) for word in row] for row in rows]).reshape(-1, width)
    except ValueError:
        raise ValueError(f"a line `{name}` of it has something else than numbers") from None


def _polygons(found: list[tuple[int, int, int, list[str]]]) -> tuple[list[int], np.ndarray]:
    """The number of corners of each polygon, and corners [C, 2] of all."""
    sizes: list[int] = []
    corners: list[tuple[int, int]] = []
    for _, points, uvs, words in found:
        if not 3 <= len(words) <= _MOST_CORNERS:
            raise ValueError(f"a face of it has {len(words)} corners")
        sizes.append(len(words))
        for word in words:
            parts = word.split("/")
            if len(word) > _MOST_NUMBER_LETTERS or len(parts) > 3:
                raise ValueError("a face of it is damaged")
            at_uv = _index(parts[1], uvs) if len(parts) > 1 and parts[1] else -1
            corners.append((_index(parts[0], points), at_uv))
    return sizes, np.array(corners, np.int64).reshape(-1, 2)


def _index(word: str, before: int) -> int:
    """From 0; negative numbers count back from those before. Raises ValueError."""
    try:
        number = int(word)
    except ValueError:
        raise ValueError("a face of it is damaged") from None
    index = number - 1 if number > 0 else before + number
    if number == 0 or not 0 <= index < 1 << 40:
        raise ValueError("a face of it names a vertex that is not there")
    return index


def _check_range(corners: np.ndarray, points: int, uvs: int) -> None:
    if len(corners) and (int(corners[:, 0].max()) >= points or int(corners[:, 1].max()) >= uvs):
        raise ValueError("a face of it names a vertex that is not there")


def triangles(obj: Obj) -> tuple[np.ndarray, np.ndarray]:
    """Corners [F, 3] int64, indices into `Obj.corners`, and the polygon [F] of each: polygons are
    cut into fans, quads along the diagonal that leaves both halves on the same side."""
    sizes = np.diff(obj.starts)
    polygon = np.repeat(np.arange(len(sizes)), sizes - 2)
    first = np.repeat(np.cumsum([0, *(sizes - 2)])[:-1], sizes - 2)
    step = np.arange(len(polygon)) - first
    start = obj.starts[polygon]
    found = np.stack([start, start + step + 1, start + step + 2], axis=1)
    quads = np.flatnonzero((sizes[polygon] == 4) & (step == 0))
    if len(quads):
        places = obj.points[obj.corners[:, 0]]
        before, after = _normals(places[found[quads]]), _normals(places[found[quads + 1]])
        turned = quads[(before * after).sum(axis=1) < 0]
        base = found[turned, 0]
        found[turned] = np.stack([base, base + 1, base + 3], axis=1)
        found[turned + 1] = np.stack([base + 1, base + 2, base + 3], axis=1)
    return found, polygon


def _normals(corners: np.ndarray) -> np.ndarray:
    a, b, c = corners.swapaxes(0, 1)
    return np.cross(b - a, c - a)


def file_mesh(obj: Obj) -> FileMesh:
    """Its triangles."""
    at, _ = triangles(obj)
    places = obj.corners[at]
    uvs = None
    if len(places) and int(places[..., 1].min()) >= 0:
        found = obj.uvs[places[..., 1]]
        uvs = np.stack([found[..., 0], 1 - found[..., 1]], axis=-1)
        if not bool(np.isfinite(uvs).all()):
            raise ValueError("it has lines `vt` that are NaN or infinite")
    colors = None
    if obj.colors is not None:
        colors = (np.nan_to_num(obj.colors).clip(0, 1) * 255).round().astype(np.uint8)
    some = bool(len(places)) and int(places[..., 1].max()) >= 0
    return FileMesh(obj.points, places[..., 0], uvs, some, colors)


def obj_texture(path: Path, obj: Obj) -> Texture | None:
    """The picture of its material, from a plain file name in its own folder; None where there is no
    such one.

    Raises:
        ValueError: it has several. InputError: the picture cannot be read.
    """
    pictures: dict[str, dict[str, Path]] = {}
    for library in obj.libraries[:16]:
        place = beside(path, library)
        if place is not None:
            pictures |= _pictures(place)
    named = [pictures[name] for name in sorted(obj.materials) if name in pictures]
    colors = {one.get("map_Kd") for one in named}
    if len(colors) > 1:
        raise ValueError("its parts have different textures, and one for all of them is read")
    color = next(iter(colors), None)
    if color is None:
        return None
    image = read_image(color, upright=False).rgb
    norm = named[0].get("norm")
    normals = None if norm is None else read_image(norm, upright=False).rgb
    if normals is not None and normals.shape != image.shape:
        normals = None
    return Texture(image, normals)


def _pictures(place: Path) -> dict[str, dict[str, Path]]:
    """Of each material of a file of materials, the pictures of its colours and normals."""
    try:
        if place.stat().st_size > _MOST_MTL_BYTES:
            return {}
        text = place.read_bytes().decode("latin-1")
    except OSError:
        return {}
    found: dict[str, dict[str, Path]] = {}
    name = ""
    for line in text.split("\n"):
        head, _, rest = line.strip().partition(" ")
        if head == "newmtl":
            name = rest.strip()
            found[name] = {}
        elif head in ("map_Kd", "norm") and name in found:
            picture = beside(place, rest.strip()) or beside(place, rest.split()[-1:])
            if picture is not None:
                found[name][head] = picture
    return found


def beside(path: Path, name: str | list[str]) -> Path | None:
    """The file of a plain name in the folder of `path`; None where there is none, or it is a link
    that leads away."""
    name = "".join(name)
    try:
        name = name.encode("latin-1").decode("utf-8")
        if not name or name != Path(name).name or "\\" in name:
            return None
        place = path.parent / name
        is_there = place.is_file() and place.resolve().parent == path.parent.resolve()
    except (OSError, ValueError, RuntimeError):
        return None
    return place if is_there else None
