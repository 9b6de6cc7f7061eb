"""PLY files: Gaussian splats in the standard layout, and coloured points.

The splat layout is that of Kerbl et al. 2023: one `vertex` element with float properties
``x y z nx ny nz f_dc_0..2 f_rest_0..R opacity scale_0..2 rot_0..3``; `f_rest` holds the higher
harmonics channel by channel (all of red, then green, then blue), `opacity` is a logit, `scale_*`
are logarithms, `rot_*` is (w, x, y, z). Normals are written as zeros.
"""

from __future__ import annotations

import itertools
import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from tondo.checks import check_finite
from tondo.data.photos import PointCloud
from tondo.data.similarity import IDENTITY, Similarity
from tondo.data.splats import Splats, scaled
from tondo.errors import InputError
from tondo.io.atomic import write_bytes
from tondo.io.models.mesh_frames import offset_words, write_offset
from tondo.io.models.splat_rows import mended

_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float": "f4", "double": "f8", "float32": "f4", "float64": "f8"},
}
_ORDERS = {"ascii": None, "binary_little_endian": "<", "binary_big_endian": ">"}
_MAX_HEADER_BYTES = 1 << 16  # bounds memory; chosen, not measured
_MAX_PROPERTIES = 1024  # splats have 62; bounds memory; chosen, not measured
# exp(60) is far beyond any scene; larger values overflow float32 when splats are projected.
_MAX_LOG_SCALE = 60.0


@dataclass(frozen=True)
class PlyElement:
    """One element of a PLY header: its name, how many, and its properties (name, numpy type).

    The type is "" for a list property.
    """

    name: str
    count: int
    properties: tuple[tuple[str, str], ...]

    @property
    def has_list(self) -> bool:
        return any(kind == "" for _, kind in self.properties)


@dataclass(frozen=True)
class PlyHeader:
    """A checked PLY header.

    Attributes:
        order: "<", ">" for binary files, None for ASCII.
        elements: in the order of the file.
        size: bytes up to and including the line `end_header`.
        comments: as they stand there, without the word itself.
    """

    order: str | None
    elements: tuple[PlyElement, ...]
    size: int
    comments: tuple[str, ...] = ()


@dataclass(frozen=True)
class SplatFile:
    """Splats out of a file.

    Attributes:
        splats: finite.
        up: the world's up direction if the file says one.
        notes: what was mended or left out, in sentences with counts.
    """

    splats: Splats
    up: tuple[float, float, float] | None
    notes: tuple[str, ...]


def read_header(path: Path) -> PlyHeader:
    """Read a PLY header and hold its counts against the file's size.

    Raises:
        InputError: not a PLY file, a damaged header, or fewer bytes than the header promises.
    """
    try:
        with path.open("rb") as file:
            header = _parse_header(path, file)
            total = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    needed = header.size + sum(_least_bytes(e, header.order) for e in header.elements)
    if needed > total:
        promised = ", ".join(f"{e.count} {e.name}" for e in header.elements)
        raise InputError(
            f"{path}: the PLY header promises {promised}, which takes at least {needed} bytes, "
            f"but the file has {total}; it is cut off or its header is wrong."
        )
    return header


def holds_faces(path: Path) -> bool:
    """Whether a PLY file has faces, by its header; False for one that is damaged."""
    try:
        return any(one.name == "face" and one.count > 0 for one in read_header(path).elements)
    except InputError:
        return False


def write_splats(
    path: Path,
    splats: Splats,
    *,
    up: Tensor | None = None,
    world_from_scene: Similarity = IDENTITY,
) -> np.ndarray:
    """Write splats as a binary little-endian PLY in the standard layout, in the world's units.

    Its 32-bit numbers cannot hold places far from the origin: the offset stands in a comment, which
    `tondo.io.models.mesh_frames.read_offset` reads, and in NAME.offset.json beside the file.

    Args:
        up: [3] unit vector, the world's up direction, for a comment; None where it is not known.
        world_from_scene: of the scene that the splats are in.

    Returns:
        [3] float64, what is to be added to the file's coordinates.

    Raises:
        OutputError: the file cannot be written.
    """
    splats = scaled(splats, world_from_scene.scale)
    offset = np.array(world_from_scene.translation)
    n, k = splats.sh.shape[:2]
    # [N, K-1, 3] -> channel-major [N, 3 (K-1)]
    rest = splats.sh[:, 1:].transpose(1, 2).reshape(n, 3 * (k - 1))
    columns = [splats.means, torch.zeros(n, 3), splats.sh[:, 0], rest]
    columns += [splats.opacity_logits[:, None], splats.log_scales, splats.quats]
    table = torch.cat([c.detach().cpu() for c in columns], dim=1).numpy().astype("<f4")
    names = _splat_fields(3 * (k - 1))
    lines = ["ply", "format binary_little_endian 1.0"]
    if up is not None:
        lines.append("comment Vertical axis: " + " ".join(f"{float(x):.9g}" for x in up))
    lines += [f"comment {offset_words(offset)}"] if offset.any() else []
    lines.append(f"element vertex {n}")
    lines += [f"property float {name}" for name in names] + ["end_header", ""]
    write_bytes(path, "\n".join(lines).encode("ascii") + table.tobytes())
    write_offset(path, offset)
    return offset


def read_splat_file(path: Path) -> SplatFile:
    """Read Gaussian splats from a PLY in the standard layout (ASCII or binary, any field order).

    `f_rest_*` may be absent (colour that doesn't depend on direction), and `scale_2` (2D Gaussian
    splatting). Rows that are not as they should be are read as `tondo.io.models.splat_rows.mended`
    says.

    Raises:
        InputError: not such a file, no splat in it that can be used, or scales that are no
            logarithms.
    """
    table = _read_vertices(path)
    names = set(table.dtype.names or ())
    rest = sum(1 for name in names if re.fullmatch(r"f_rest_\d+", name))
    if rest not in (0, 9, 24, 45):
        raise InputError(f"{path} has {rest} f_rest fields; splats have 0, 9, 24 or 45.")
    wanted = [f for f in _splat_fields(rest) if f not in ("nx", "ny", "nz")]
    missing = [f for f in wanted if f not in names]
    if missing == ["scale_2"]:
        missing = []
    if missing:
        shown = ", ".join(missing[:4]) + (", ..." if len(missing) > 4 else "")
        raise InputError(
            f"{path} has no field {shown}: it is a PLY, but not one of Gaussian splats."
        )
    sh_dc = _numbers(table, ["f_dc_0", "f_dc_1", "f_dc_2"])
    sh_rest = _numbers(table, [f"f_rest_{i}" for i in range(rest)])
    sh_rest = sh_rest.reshape(len(table), 3, rest // 3).transpose(1, 2)
    found = Splats(
        means=_numbers(table, ["x", "y", "z"]),
        quats=_numbers(table, [f"rot_{i}" for i in range(4)]),
        log_scales=_numbers(table, [f"scale_{i}" for i in range(3)]),
        opacity_logits=_numbers(table, ["opacity"])[:, 0],
        sh=torch.cat([sh_dc[:, None], sh_rest], dim=1).contiguous(),
    )
    splats, notes = mended(found)
    if len(found.means) and not len(splats.means):
        raise InputError(f"{path} has no splat that can be used: {'; '.join(notes)}.")
    if bool((splats.log_scales > _MAX_LOG_SCALE).any()):
        raise InputError(
            f"{path} has scales above {_MAX_LOG_SCALE:g}; they should be logarithms of sizes."
        )
    return SplatFile(splats, _stated_up(read_header(path).comments), notes)


def read_points(path: Path, world_from_scene: Similarity = IDENTITY) -> PointCloud:
    """Read the vertices of any PLY as points; grey (128) where the file has no colours.

    Colours may be `red green blue` or `r g b`, as uint8, uint16 or floats in 0..1.

    Args:
        world_from_scene: the file is in the world; the points come out in this scene.

    Raises:
        InputError: not a PLY, no positions, or values that aren't finite.
    """
    table = _read_vertices(path)
    names = set(table.dtype.names or ())
    missing = [f for f in ("x", "y", "z") if f not in names]
    if missing:
        raise InputError(f"{path} has no field {', '.join(missing)} in its vertices.")
    places = _columns(path, table, ["x", "y", "z"], np.float64)
    points = world_from_scene.to_scene(places).float()
    colors = torch.full((len(table), 3), 128, dtype=torch.uint8)
    for fields in (["red", "green", "blue"], ["r", "g", "b"]):
        if names.issuperset(fields):
            values = _columns(path, table, fields)
            kind = table.dtype[fields[0]]
            full = float(np.iinfo(kind).max) if kind.kind in "iu" else 1.0
            colors = (values / full * 255).round().clamp(0, 255).to(torch.uint8)
            break
    return PointCloud(points, colors)


def _splat_fields(rest: int) -> list[str]:
    fields = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    fields += [f"f_rest_{i}" for i in range(rest)]
    return [*fields, "opacity", "scale_0", "scale_1", "scale_2", *(f"rot_{i}" for i in range(4))]


def _stated_up(comments: tuple[str, ...]) -> tuple[float, float, float] | None:
    """What a comment says of up, as Tondo writes it ("Vertical axis: 0 0 1") and nerfstudio does
    ("Vertical Axis: z"). A plain y is passed over: Brush writes it whatever the world."""
    for comment in comments:
        match = re.fullmatch(r"vertical axis: *(.{1,80})", comment.strip().lower())
        words = match[1].split() if match else []
        if words and re.fullmatch(r"[+-]?[xyz]", words[0]) and words[0] != "y":
            sign = -1.0 if words[0][0] == "-" else 1.0
            x, y, z = (sign * (words[0][-1] == axis) for axis in "xyz")
            return x, y, z
        try:
            x, y, z = (float(word) for word in words)
        except ValueError:
            continue
        length = math.sqrt(x * x + y * y + z * z)
        if 1e-6 < length < 1e6:
            return x / length, y / length, z / length
    return None


def _parse_header(path: Path, file: BinaryIO) -> PlyHeader:
    if file.readline(8).strip() != b"ply":
        raise InputError(f"{path} is not a PLY file: it doesn't start with the line 'ply'.")
    order: str | None = ""
    elements: list[PlyElement] = []
    comments: list[str] = []
    for _ in range(_MAX_PROPERTIES + 256):
        raw = file.readline(_MAX_HEADER_BYTES)
        if not raw or file.tell() > _MAX_HEADER_BYTES:
            break
        words = _words(raw)
        if not words or words[0] in ("comment", "obj_info"):
            comments.append(raw.decode("ascii", "replace").partition(" ")[2].strip())
            continue
        if words == ["end_header"]:
            if order == "":
                raise InputError(f"{path}: the PLY header has no format line.")
            return PlyHeader(order, tuple(elements), file.tell(), tuple(comments))
        if words[0] == "format" and len(words) == 3 and words[1] in _ORDERS:
            order = _ORDERS[words[1]]
        elif not _add_to(elements, words):
            shown = raw[:60].decode("ascii", "replace").strip()
            raise InputError(f"{path}: the PLY header has a line that makes no sense: {shown!r}.")
    raise InputError(f"{path}: the PLY header has no end, or is longer than 64 KiB.")


def _words(line: bytes) -> list[str]:
    """The words of a line of a header; a comment may hold any bytes."""
    try:
        return line.decode("ascii").split()
    except UnicodeDecodeError:
        return ["comment"] if line.startswith(b"comment") else ["?"]


def _add_to(elements: list[PlyElement], words: list[str]) -> bool:
    """Add the element of a line, or its property to the last element; False where the line makes no
    sense."""
    if words[0] == "element" and len(words) == 3 and re.fullmatch(r"\d{1,15}", words[2]):
        elements.append(PlyElement(words[1], int(words[2]), ()))
        return True
    found = _property(words) if words[0] == "property" and elements else None
    if found is not None:
        last = elements[-1]
        elements[-1] = PlyElement(last.name, last.count, (*last.properties, found))
    return found is not None


def _property(words: list[str]) -> tuple[str, str] | None:
    """(name, numpy type, "" for a list) of a property line, or None where it makes no sense."""
    if len(words) == 3 and words[1] in _TYPES:
        return words[2], _TYPES[words[1]]
    is_list = len(words) == 5 and words[1] == "list" and {words[2], words[3]} <= _TYPES.keys()
    return (words[4], "") if is_list else None


def _least_bytes(element: PlyElement, order: str | None) -> int:
    """The fewest bytes that the element can take in the file (the last line end may be missing)."""
    if order is None:
        return max(0, 2 * element.count * len(element.properties) - 1)
    sizes = (np.dtype(kind).itemsize if kind else 1 for _, kind in element.properties)
    return element.count * sum(sizes)


def _read_vertices(path: Path) -> np.ndarray:
    """[N] structured array of the element `vertex`; the header has been checked before."""
    header = read_header(path)
    before = list(itertools.takewhile(lambda e: e.name != "vertex", header.elements))
    if len(before) == len(header.elements):
        raise InputError(f"{path} has no element 'vertex'.")
    vertex = header.elements[len(before)]
    names = [name for name, _ in vertex.properties]
    if vertex.has_list or not names or len(set(names)) < len(names):
        raise InputError(f"{path}: the vertices have list, double or no properties.")
    dtype = np.dtype([(name, (header.order or "<") + kind) for name, kind in vertex.properties])
    with path.open("rb") as file:
        file.seek(header.size)
        if header.order is None:
            for _ in itertools.islice(file, sum(e.count for e in before)):
                pass
            return _read_ascii(path, file, vertex.count, dtype)
        if any(e.has_list for e in before):
            raise InputError(f"{path} has lists before its vertices, which isn't supported.")
        file.seek(header.size + sum(_least_bytes(e, header.order) for e in before))
        return np.fromfile(file, dtype=dtype, count=vertex.count)


def _read_ascii(path: Path, file: BinaryIO, count: int, dtype: np.dtype) -> np.ndarray:
    width = len(dtype.names or ())
    table = np.zeros(count, dtype=dtype)
    if count == 0:
        return table
    try:
        lines = (line.decode("ascii") for line in itertools.islice(file, count))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "input contained no data": refused below
            values = np.loadtxt(lines, dtype=np.float64, comments=None, ndmin=2)
    except ValueError as error:
        raise InputError(f"{path}: the vertices can't be read as numbers: {error}.") from None
    if values.shape != (count, width):
        raise InputError(
            f"{path}: the header promises {count} vertices of {width} numbers, "
            f"found {values.shape[0]} of {values.shape[1]}."
        )
    for i, name in enumerate(dtype.names or ()):
        if dtype[name].kind in "iu":
            limits = np.iinfo(dtype[name])
            if not ((values[:, i] >= limits.min) & (values[:, i] <= limits.max)).all():
                raise InputError(f"{path}: {name} has values that its type can't hold.")
        with np.errstate(over="ignore"):
            table[name] = values[:, i]
    return table


def _numbers(table: np.ndarray, fields: list[str], dtype: type = np.float32) -> Tensor:
    """[N, len(fields)] of the named fields, whatever they are; -inf for one that is not there."""
    out: np.ndarray = np.full((len(table), len(fields)), -np.inf, dtype=dtype)
    for i, name in enumerate(fields):
        if name in (table.dtype.names or ()):
            with np.errstate(over="ignore", invalid="ignore"):
                out[:, i] = table[name]
    return torch.from_numpy(out)


def _columns(path: Path, table: np.ndarray, fields: list[str], dtype: type = np.float32) -> Tensor:
    """[N, len(fields)] of the named fields, finite in 32 bits."""
    tensor = _numbers(table, fields, dtype)
    try:
        check_finite("/".join(fields[:4]), tensor.float())
    except ValueError as error:
        raise InputError(f"{path}: {error}.") from None
    return tensor
