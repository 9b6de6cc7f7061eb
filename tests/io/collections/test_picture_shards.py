"""Prepared picture sets: written, mapped, and damaged in every way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tondo.data.photos import Skipped
from tondo.errors import InputError
from tondo.io.collections.picture_shards import (
    Manifest,
    is_prepared,
    load_pictures,
    read_manifest,
    shard_path,
    write_manifest,
    write_shard,
)

COUNTS, S = (3, 2), 8


def pictures() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (5, 4, S, S), dtype=torch.uint8, generator=generator)


def write(folder: Path, counts: tuple[int, ...] = COUNTS) -> Path:
    Ks = torch.tensor([[9.0, 0, 4], [0, 9, 3], [0, 0, 1]]).repeat(5, 1, 1)
    viewmats = torch.eye(4).repeat(5, 1, 1)
    viewmats[:, 2, 3] = torch.arange(2.0, 7.0)
    labels, start = torch.tensor([0, 1, 0, 1, 1]), 0
    for index, count in enumerate(counts):
        rows = slice(start, start + count)
        write_shard(folder, index, pictures()[rows], (viewmats[rows], Ks[rows]), labels[rows])
        start += count
    manifest = Manifest(
        source="things.zip",
        size=S,
        channels=4,
        is_plain=True,
        counts=counts,
        class_names=("a", "b"),
        has_cameras=True,
        names=tuple("abcde"),
        left_out=(Skipped("f", "blurred"),),
        options={"size": S},
    )
    write_manifest(folder, manifest)
    return folder


@pytest.mark.parametrize("counts", [(5,), COUNTS])
def test_what_was_written_is_loaded(tmp_path: Path, counts: tuple[int, ...]) -> None:
    assert not is_prepared(tmp_path)
    found = load_pictures(write(tmp_path, counts))
    assert is_prepared(tmp_path)
    assert torch.equal(found.images, pictures())
    assert found.viewmats is not None
    assert found.viewmats[:, 2, 3].tolist() == [2, 3, 4, 5, 6]
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 0, 1, 1]
    assert (found.class_names, found.source, found.is_plain) == (("a", "b"), "things.zip", True)
    assert read_manifest(tmp_path).left_out == (Skipped("f", "blurred"),)


def test_one_shard_is_mapped_and_not_read(tmp_path: Path) -> None:
    count = 4000
    write_shard(tmp_path, 0, torch.zeros(count, 3, 64, 64, dtype=torch.uint8))
    write_manifest(tmp_path, Manifest("x", 64, 3, False, (count,), None, False, (), (), {}))
    found = load_pictures(tmp_path)
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("needs /proc to see what is mapped")
    assert str(shard_path(tmp_path, 0)) in maps.read_text()
    assert found.images.shape == (count, 3, 64, 64)


def damage(folder: Path, **changes: Any) -> None:
    path = folder / "pictures.json"
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "newer Tondo"),
        ({"size": 9}, "images must be"),
        ({"size": -1}, "whole number"),
        ({"size": True}, "whole number"),
        ({"channels": 3}, "images must be"),
        ({"counts": [3, 3]}, "5 names for 6"),
        ({"counts": [3, 10**12]}, "whole number"),
        ({"counts": []}, "counts"),
        ({"counts": [5], "names": []}, "images must be"),
        ({"counts": [3, 2, 1], "names": []}, "0002.safetensors"),
        ({"class_names": ["a"]}, "labels"),
        ({"class_names": "ab"}, "class_names must be a list"),
        ({"left_out": [{"name": "x"}]}, "reason"),
        ({"is_plain": 1}, "true or false"),
        ({"options": []}, "options"),
    ],
)
def test_a_manifest_that_does_not_fit(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    damage(write(tmp_path), **changes)
    with pytest.raises(InputError, match=message):
        load_pictures(tmp_path)


def test_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no prepared picture set"):
        load_pictures(tmp_path)
    shard = shard_path(write(tmp_path), 1)
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="0001"):
        load_pictures(tmp_path)
    shard.unlink()
    with pytest.raises(InputError, match="0001"):
        load_pictures(tmp_path)
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "x.safetensors").write_bytes(whole)
    shard.symlink_to(outside / "x.safetensors")
    with pytest.raises(InputError, match="link"):
        load_pictures(tmp_path)
    (tmp_path / "pictures.json").write_text("{" * 5000)
    with pytest.raises(InputError, match="not valid JSON"):
        load_pictures(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
KEYS = (
    "format", "source", "size", "channels", "is_plain", "counts", "class_names", "has_cameras",
    "names", "left_out", "options",
)  # fmt: skip


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(key=st.sampled_from(KEYS), value=JSON)
def test_any_manifest_loads_or_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    folder = tmp_path / "set"
    shutil.rmtree(folder, ignore_errors=True)
    damage(write(folder), **{key: value})
    try:
        found = load_pictures(folder)
    except InputError:
        return
    assert torch.equal(found.images, pictures())


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.integers(0, 1200), byte=st.integers(0, 255))
def test_any_byte_of_a_shard_may_be_wrong(tmp_path: Path, place: int, byte: int) -> None:
    folder = tmp_path / "set"
    shutil.rmtree(folder, ignore_errors=True)
    shard = shard_path(write(folder), 0)
    data = bytearray(shard.read_bytes())
    data[place % len(data)] = byte
    shard.write_bytes(data)
    try:
        found = load_pictures(folder)
    except InputError:
        return
    assert found.images.shape == (5, 4, S, S)
