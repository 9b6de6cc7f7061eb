"""Prepared picture sets: a manifest and safetensors shards, opened without reading them whole.

A folder with `pictures.json` and `shards/0000.safetensors`, `shards/0001.safetensors`, ...: each
shard holds `images` [n, C, S, S] uint8, and where known `viewmats`, `Ks` and `labels` of its rows.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from tondo.data.photos import Skipped
from tondo.data.pictures import PictureSet
from tondo.errors import InputError
from tondo.io.atomic import atomic_path, write_json
from tondo.io.json_files import read_json, typed, whole
from tondo.io.named_files import is_file

MANIFEST = "pictures.json"
FORMAT = 1  # version of the manifest
# Most training sets fit into one shard, which is then mapped and not copied.
SHARD_BYTES = 1 << 30
_MAX_MANIFEST = 512 << 20  # bounds memory; chosen, not measured
_MAX_COUNT = 50_000_000  # bounds memory; chosen, not measured
_MAX_SIZE = 4096  # pixels; bounds memory; chosen, not measured


@dataclass(frozen=True)
class Manifest:
    """What stands in `pictures.json`.

    Attributes:
        source: what the pictures were made from, e.g. "apples.zip".
        size: pixels a side. channels: 3, or 4 with alpha.
        is_plain: as in `PictureSet`.
        counts: pictures in each shard.
        class_names: or None.
        has_cameras: whether the shards hold viewmats and Ks.
        names: of the pictures, in the shards' order; empty if they are not kept.
        left_out: pictures that were not used, with the reason.
        options: how the set was made, for whoever wants to repeat it.
    """

    source: str
    size: int
    channels: int
    is_plain: bool
    counts: tuple[int, ...]
    class_names: tuple[str, ...] | None
    has_cameras: bool
    names: tuple[str, ...]
    left_out: tuple[Skipped, ...]
    options: dict[str, Any]


def is_prepared(folder: Path) -> bool:
    """Whether `folder` holds a manifest of a prepared picture set."""
    return is_file(Path(folder) / MANIFEST)


def write_shard(
    folder: Path,
    index: int,
    images: Tensor,
    cameras: tuple[Tensor, Tensor] | None = None,
    labels: Tensor | None = None,
) -> None:
    """Write shard `index`: images [n, C, S, S] uint8, (viewmats, Ks) and labels of the same rows.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {"images": images.contiguous()}
    if cameras is not None:
        tensors["viewmats"], tensors["Ks"] = (tensor.contiguous() for tensor in cameras)
    if labels is not None:
        tensors["labels"] = labels.contiguous()
    with atomic_path(shard_path(folder, index)) as temporary:
        safetensors.torch.save_file(tensors, temporary)
        temporary.chmod(0o644)  # it was made for its owner alone


def shard_path(folder: Path, index: int) -> Path:
    return Path(folder) / "shards" / f"{index:04d}.safetensors"


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `pictures.json`, which makes the folder a prepared set: last. Raises OutputError."""
    write_json(Path(folder) / MANIFEST, {"format": FORMAT, **asdict(manifest)})


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest; no shard is opened.

    Raises:
        InputError: missing, damaged, or of another kind or version.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise InputError(
            f"{folder} is no prepared picture set: it has no {MANIFEST} "
            "(`tondo prepare PICTURES --for gan` makes one)"
        )
    content = read_json(path, _MAX_MANIFEST, "manifest")
    try:
        return _manifest(content)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path} is damaged: {reason}; prepare the pictures again") from error


def load_pictures(folder: Path) -> PictureSet:
    """Open a prepared set. The images of a set of one shard are memory-mapped: read on use only.

    Raises:
        InputError: it is no prepared set, or damaged: another shape or dtype than the manifest
            says, a shard missing or cut off, cameras that cannot be.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    parts = [_open_shard(folder, index, manifest) for index in range(len(manifest.counts))]
    names = list(parts[0])
    joined = {
        n: parts[0][n] if len(parts) == 1 else torch.cat([p[n] for p in parts]) for n in names
    }
    try:
        return PictureSet(
            **joined,
            class_names=manifest.class_names,
            source=manifest.source,
            is_plain=manifest.is_plain,
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"{folder} is damaged: {error}; prepare the pictures again") from error


def _open_shard(folder: Path, index: int, manifest: Manifest) -> dict[str, Tensor]:
    path, count = shard_path(folder, index), manifest.counts[index]
    size = manifest.size
    wanted: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
        "images": ((count, manifest.channels, size, size), torch.uint8)
    }
    if manifest.has_cameras:
        wanted["viewmats"] = ((count, 4, 4), torch.float32)
        wanted["Ks"] = ((count, 3, 3), torch.float32)
    if manifest.class_names is not None:
        wanted["labels"] = ((count,), torch.int64)
    try:
        if path.resolve().parent != folder.resolve() / "shards":
            raise InputError(f"{path} is a link out of its folder: put the file itself there")
        tensors = safetensors.torch.load_file(str(path))
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} is damaged or cut off: {error}") from None
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path} cannot be read: {error}; prepare the pictures again") from None
    for name, (shape, dtype) in wanted.items():
        found = tensors.get(name)
        if found is None or tuple(found.shape) != shape or found.dtype != dtype:
            came = "nothing" if found is None else f"{found.dtype} {list(found.shape)}"
            raise InputError(
                f"{path}: {name} must be {dtype} {list(shape)} as {MANIFEST} says, got "
                f"{came}; prepare the pictures again"
            )
    return {name: tensors[name] for name in wanted}


def _manifest(content: object) -> Manifest:
    """The checked manifest; ValueError, TypeError or KeyError say what is wrong."""
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")
    if content.get("format") != FORMAT:
        raise ValueError(f"format {content.get('format')!r}, expected {FORMAT} (a newer Tondo?)")
    counts = content["counts"]
    if not isinstance(counts, list) or not 1 <= len(counts) <= 100_000:
        raise ValueError("counts must be a list of the shards' numbers of pictures")
    class_names = content["class_names"]
    left_out = [
        typed("left_out", one, dict) for one in typed("left_out", content["left_out"], list)
    ]
    manifest = Manifest(
        source=typed("source", content["source"], str),
        size=whole("size", content["size"], _MAX_SIZE),
        channels=whole("channels", content["channels"], 4),
        is_plain=typed("is_plain", content["is_plain"], bool),
        counts=tuple(whole("counts", count, _MAX_COUNT) for count in counts),
        class_names=None if class_names is None else _texts("class_names", class_names),
        has_cameras=typed("has_cameras", content["has_cameras"], bool),
        names=_texts("names", content["names"]),
        left_out=tuple(Skipped(*_texts("left_out", [o["name"], o["reason"]])) for o in left_out),
        options=typed("options", content["options"], dict),
    )
    if manifest.channels < 3:
        raise ValueError(f"channels must be 3 or 4, got {manifest.channels}")
    if manifest.names and len(manifest.names) != sum(manifest.counts):
        raise ValueError(f"{len(manifest.names)} names for {sum(manifest.counts)} pictures")
    return manifest


def _texts(name: str, value: object) -> tuple[str, ...]:
    return tuple(typed(name, item, str) for item in typed(name, value, list))
