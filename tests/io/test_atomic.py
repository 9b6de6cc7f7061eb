"""Writes are whole or absent."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from tondo.errors import OutputError
from tondo.io.atomic import atomic_path, full_disk, make_folder, write_json, write_text


def write_and_raise(target: Path, error: BaseException) -> None:
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"ne")
        raise error


def test_the_target_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "scene.safetensors"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        assert temporary.suffix == ".safetensors"
        assert temporary.parent == target.parent
        assert not target.exists()
    assert target.read_bytes() == b"half"
    assert [p.name for p in tmp_path.iterdir()] == ["scene.safetensors"]


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with pytest.raises(RuntimeError, match="on the way"):
        write_and_raise(target, RuntimeError("on the way"))
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_missing_folders_are_made_and_taken_back_on_failure(tmp_path: Path) -> None:
    write_text(tmp_path / "one" / "two" / "a.txt", "ä")
    assert (tmp_path / "one" / "two" / "a.txt").read_bytes() == "ä".encode()
    with pytest.raises(KeyboardInterrupt):
        write_and_raise(tmp_path / "three" / "four" / "a.txt", KeyboardInterrupt())
    assert not (tmp_path / "three").exists()


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    full = OSError(28, os.strerror(28))
    with pytest.raises(OutputError, match=r"cannot write .*a\.bin: No space left on device"):
        write_and_raise(tmp_path / "a.bin", full)
    assert list(tmp_path.iterdir()) == []


def test_a_wrapped_os_error_is_the_users_too(tmp_path: Path) -> None:
    wrapped = RuntimeError("I/O error: No space left on device (os error 28)")
    with pytest.raises(OutputError, match="No space left"):
        write_and_raise(tmp_path / "a.bin", wrapped)


def test_a_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*file/a\.txt: File exists"):
        write_text(tmp_path / "file" / "a.txt", "")
    with pytest.raises(OutputError, match="File exists"):
        make_folder(tmp_path / "file")


def test_a_folder_in_the_way_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OutputError, match="a folder of that name is there already"):
        write_text(tmp_path / "a.txt", "")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_json_refuses_what_json_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"psnr": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """A limit of the file size stands for a full disk: that needs no disk of its own."""
    assert full_disk(tmp_path) is None
    assert full_disk(tmp_path / "missing") is None
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    try:
        assert full_disk(tmp_path) == "File too large"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
