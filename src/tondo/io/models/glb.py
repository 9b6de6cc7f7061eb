"""The container of GLB: its numbers read with every bound checked, and written."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tondo.errors import InputError

ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963  # glTF's numbers for what a view holds
_JSON, _BINARY = 0x4E4F534A, 0x004E4942  # glTF's numbers for the two chunks
_MOST_JSON = 64 << 20  # bytes; bounds memory; chosen
_DTYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_CODES = {np.dtype(dtype): code for code, dtype in _DTYPES.items()}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_KINDS = {width: kind for kind, width in _WIDTHS.items()}

Tree = dict[str, Any]


@dataclass(frozen=True)
class Glb:
    """A GLB file.

    Attributes:
        tree: its JSON; nothing in it is checked yet.
        body: its binary chunk.
    """

    tree: Tree
    body: bytes


def read_glb(path: Path) -> Glb:
    """Read the two chunks of a GLB file.

    Raises:
        InputError: missing, cut off, or no GLB 2.0.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        return _parsed(data)
    except (ValueError, struct.error, RecursionError) as error:
        raise InputError(f"{path} is not a readable mesh: {error}.") from None


def _parsed(data: bytes) -> Glb:
    if len(data) < 20 or data[:4] != b"glTF":
        raise ValueError("it does not begin as a GLB")
    version, _, length, kind = struct.unpack_from("<IIII", data, 4)
    if version != 2 or kind != _JSON or length > min(_MOST_JSON, len(data) - 20):
        raise ValueError("its header is damaged")
    tree = json.loads(data[20 : 20 + length].decode("utf-8"))
    if not isinstance(tree, dict):
        raise ValueError("its JSON is no object")
    start = 20 + length
    if start + 8 > len(data):
        return Glb(tree, b"")
    size, kind = struct.unpack_from("<II", data, start)
    if kind != _BINARY or start + 8 + size > len(data):
        raise ValueError("its binary part is cut off")
    return Glb(tree, data[start + 8 : start + 8 + size])


def entry(tree: Tree, name: str, index: object) -> Tree:
    """`tree[name][index]`, which must be an object. Raises ValueError."""
    things = tree.get(name)
    if (
        not isinstance(things, list)
        or isinstance(index, bool)
        or not isinstance(index, int)
        or not 0 <= index < len(things)
        or not isinstance(things[index], dict)
    ):
        raise ValueError(f"there is no {name}[{str(index)[:20]}]")
    found: Tree = things[index]
    return found


def whole(value: object, name: str) -> int:
    """A number of bytes or things. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} must be a whole number, got {str(value)[:20]}")
    return value


def count_of(glb: Glb, index: object) -> int:
    """How many numbers or vectors an accessor has, as it says. Raises ValueError."""
    return whole(entry(glb.tree, "accessors", index).get("count"), "count")


def bytes_of(glb: Glb, view: Tree) -> memoryview:
    """What a buffer view shows. Raises ValueError: it is not within the file."""
    if view.get("buffer") != 0 or "uri" in entry(glb.tree, "buffers", 0):
        raise ValueError("some of it is in another file")
    start = whole(view.get("byteOffset", 0), "byteOffset")
    length = whole(view.get("byteLength"), "byteLength")
    if start + length > len(glb.body):
        raise ValueError("a part of it lies beyond its end")
    return memoryview(glb.body)[start : start + length]


def numbers(glb: Glb, index: object, widths: tuple[int, ...]) -> np.ndarray:
    """[N, W] numbers of an accessor, as stored, W one of `widths`.

    Raises:
        ValueError: they are not within the file, or of another kind.
    """
    accessor = entry(glb.tree, "accessors", index)
    if "sparse" in accessor or "bufferView" not in accessor:
        raise ValueError("it has sparse accessors, which are not read")
    view = entry(glb.tree, "bufferViews", accessor["bufferView"])
    width, code = _WIDTHS.get(str(accessor.get("type"))), accessor.get("componentType")
    if width not in widths or not isinstance(code, int) or code not in _DTYPES:
        raise ValueError(f"an accessor has the kind {str(accessor.get('type'))[:20]}")
    data, dtype = bytes_of(glb, view), np.dtype(_DTYPES[code])
    count = whole(accessor.get("count"), "count")
    start = whole(accessor.get("byteOffset", 0), "byteOffset")
    size = dtype.itemsize * width
    stride = whole(view.get("byteStride", size), "byteStride")
    if stride < size or (count and start + stride * (count - 1) + size > len(data)):
        raise ValueError("a part of it lies beyond its end")
    if not count:
        return np.empty((0, width), dtype)
    return np.ndarray((count, width), dtype, data, start, (stride, dtype.itemsize))


def as_float(values: np.ndarray) -> np.ndarray:
    """float32 of values that are floats, or whole numbers for 0..1 (-1..1)."""
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    return (values / np.iinfo(values.dtype).max).clip(-1, 1).astype(np.float32)


def add_view(tree: Tree, body: bytearray, data: bytes, target: int | None = None) -> int:
    """Append bytes to a body; the number of their buffer view, which is added to the tree."""
    body += b"\0" * (-len(body) % 4)
    view = {"buffer": 0, "byteOffset": len(body), "byteLength": len(data)}
    body += data
    views = tree.setdefault("bufferViews", [])
    views.append(view if target is None else {**view, "target": target})
    return len(views) - 1


def add_numbers(tree: Tree, body: bytearray, values: np.ndarray, *, bounds: bool = False) -> int:
    """Append numbers [N, W] of vertices or [N] of indices; the number of their accessor.

    Args:
        bounds: say the least and the most of each column, as positions must.
    """
    target = ELEMENT_ARRAY_BUFFER if values.ndim == 1 else ARRAY_BUFFER
    dtype = values.dtype.newbyteorder("<")
    accessor: Tree = {
        "bufferView": add_view(tree, body, values.astype(dtype).tobytes(), target),
        "componentType": _CODES[dtype],
        "count": len(values),
        "type": _KINDS[1 if values.ndim == 1 else values.shape[1]],
    }
    if bounds:
        accessor |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
    tree.setdefault("accessors", []).append(accessor)
    return len(tree["accessors"]) - 1


def encode_glb(tree: Tree, body: bytearray) -> bytes:
    """The file."""
    body += b"\0" * (-len(body) % 4)
    tree = {**tree, "buffers": [{"byteLength": len(body)}]}
    text = json.dumps(tree, separators=(",", ":"), allow_nan=False).encode("ascii")
    text += b" " * (-len(text) % 4)
    length = 12 + 8 + len(text) + 8 + len(body)
    head = struct.pack("<4sIIII", b"glTF", 2, length, len(text), _JSON)
    return head + text + struct.pack("<II", len(body), _BINARY) + bytes(body)
