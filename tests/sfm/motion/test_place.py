"""Structure from motion in its child process: what ends it there is one sentence here."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import child_work
import tondo.sfm.prepare
from tondo.data.photos import Photo
from tondo.errors import InputError, OutputError
from tondo.sfm.motion.place import PLACING
from tondo.sfm.options import PrepareOptions
from tondo.sfm.prepare import prepare
from tondo.sfm.triangulate import triangulate


@pytest.fixture
def some_photos(tmp_path: Path, photo_folder: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("04.jpg", "05.jpg", "06.jpg", "07.jpg"):
        shutil.copy(photo_folder / name, folder)
    return folder


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """No file may become larger, here and in children: much as where the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_runs_in_the_child_imports_no_torch() -> None:
    """The child would wait for it 2 s every time."""
    code = (
        "import sys, tondo.sfm.motion.place, tondo.sfm.motion.tracks; print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


# 4 kB: not even the photos' copies fit; 200 kB: the database stops within the features.
@pytest.mark.parametrize("size", [4_000, 200_000])
def test_a_full_disk_is_one_sentence_and_nothing_is_left(
    size: int, some_photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "here" / "out"
    out.parent.mkdir()
    with file_limit(size), pytest.raises(OutputError) as caught:
        prepare(some_photos, out, PrepareOptions(max_features=900))
    assert str(caught.value).startswith("cannot write ")
    assert "File too large" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert not list(out.parent.iterdir())


def test_an_abort_is_one_sentence_and_nothing_is_left(
    some_photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tondo.sfm.prepare, "place_photos", child_work.abort)
    out = tmp_path / "here" / "out"
    out.parent.mkdir()
    with pytest.raises(InputError, match=r"^cannot find the poses .*photos: a library broke off"):
        prepare(some_photos, out, PrepareOptions(max_features=900))
    assert capfd.readouterr() == ("", "")
    assert not list(out.parent.iterdir())


def test_ctrl_c_while_cameras_are_placed_leaves_nothing(some_photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "here" / "out"
    out.parent.mkdir()

    def press(stage: str, done: int, total: int) -> None:
        if stage == PLACING:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(some_photos, out, PrepareOptions(max_features=900), on_progress=press)
    assert not list(out.parent.iterdir())


def test_a_full_folder_for_temporary_files(
    scene_photos: tuple[Photo, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with file_limit(100_000), pytest.raises(OutputError, match=f"cannot write in {tmp_path}: File"):
        triangulate(scene_photos[:3], max_features=900)
    assert not list(tmp_path.iterdir())
