"""A run's folder is whole, never overwritten by accident, and never lost to `force`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tondo.errors import InputError, OutputError
from tondo.io import atomic
from tondo.runs.run_directory import (
    RunDirectory,
    abandon_run,
    check_run_target,
    create_run,
    finish_run,
    is_finished,
    is_run,
    open_run,
    read_config,
    read_metrics,
    write_metrics,
)

CONFIG = {"tondo": "0.1.0", "command": "reconstruct", "source": "photos", "seed": 0}


def finished_run(path: Path, mark: str) -> RunDirectory:
    run = create_run(path, {**CONFIG, "mark": mark})
    run.scene_path.write_bytes(mark.encode())
    return run


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_new_run_has_everything_at_once(tmp_path: Path) -> None:
    run = create_run(tmp_path / "a" / "run", CONFIG)
    assert names(run.path) == ["checkpoints", "config.json", "renders", "tensorboard"]
    assert names(tmp_path / "a") == ["run"]
    assert read_config(open_run(run.path)) == CONFIG
    assert not is_finished(run)


def test_an_empty_folder_may_become_a_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert is_run(create_run(tmp_path / "run", CONFIG).path)


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    finished_run(tmp_path / "run", "old")
    with pytest.raises(OutputError) as caught:
        create_run(tmp_path / "run", CONFIG)
    assert str(caught.value) == (
        f"{tmp_path}/run already holds a run: `resume` goes on with it, `force` replaces it, "
        "or choose another name"
    )
    assert (tmp_path / "run" / "scene.safetensors").read_bytes() == b"old"


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_that_is_not_a_run_is_left_alone(tmp_path: Path, force: bool) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_bytes(b"x")
    (tmp_path / "photos" / "config.json").write_text('{"unrelated": 1}')
    with pytest.raises(OutputError, match="not a run of Tondo, and is left alone"):
        create_run(tmp_path / "photos", CONFIG, force=force)
    assert names(tmp_path / "photos") == ["1.jpg", "config.json"]
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file: choose another name"):
        create_run(tmp_path / "file", CONFIG, force=force)


def test_force_keeps_the_old_run_until_the_new_one_is_finished(tmp_path: Path) -> None:
    finished_run(tmp_path / "run", "old")
    run = create_run(tmp_path / "run", {**CONFIG, "mark": "new"}, force=True)
    assert read_config(run)["mark"] == "new"
    assert (run.replaced_dir / "scene.safetensors").read_bytes() == b"old"
    finish_run(run)
    assert is_run(run.replaced_dir), "an unfinished run must not delete what it replaces"
    run.scene_path.write_bytes(b"new")
    finish_run(run)
    assert not run.replaced_dir.exists()
    assert names(tmp_path) == ["run"]


def test_an_abandoned_run_brings_the_old_one_back(tmp_path: Path) -> None:
    finished_run(tmp_path / "run", "old")
    abandon_run(create_run(tmp_path / "run", CONFIG, force=True))
    assert (tmp_path / "run" / "scene.safetensors").read_bytes() == b"old"
    assert names(tmp_path) == ["run"]
    abandon_run(open_run(tmp_path / "run"))
    assert is_run(tmp_path / "run"), "a finished run is never abandoned"
    abandon_run(create_run(tmp_path / "other", CONFIG))
    assert names(tmp_path) == ["run"]


def test_force_twice_keeps_the_finished_run_not_the_unfinished_one(tmp_path: Path) -> None:
    finished_run(tmp_path / "run", "old")
    create_run(tmp_path / "run", {**CONFIG, "mark": "unfinished"}, force=True)
    run = create_run(tmp_path / "run", {**CONFIG, "mark": "third"}, force=True)
    assert read_config(run)["mark"] == "third"
    assert (run.replaced_dir / "scene.safetensors").read_bytes() == b"old"
    assert names(tmp_path) == ["run"]


def test_resume_opens_what_is_there(tmp_path: Path) -> None:
    create_run(tmp_path / "run", {**CONFIG, "seed": 7})
    run = create_run(tmp_path / "run", CONFIG, resume=True)
    assert read_config(run)["seed"] == 7
    with pytest.raises(InputError, match=r"there is no run at .*nothing of that name exists"):
        create_run(tmp_path / "typo", CONFIG, resume=True)
    assert names(tmp_path) == ["run"]


def test_check_before_any_work_creates_nothing(tmp_path: Path) -> None:
    check_run_target(tmp_path / "run", force=False, resume=False)
    assert names(tmp_path) == []
    create_run(tmp_path / "run", CONFIG)
    with pytest.raises(OutputError, match="already holds a run"):
        check_run_target(tmp_path / "run", force=False, resume=False)
    check_run_target(tmp_path / "run", force=True, resume=False)
    check_run_target(tmp_path / "run", force=False, resume=True)


def test_a_full_disk_leaves_nothing_and_the_old_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished_run(tmp_path / "run", "old")

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        create_run(tmp_path / "run", CONFIG, force=True)
    with pytest.raises(OutputError, match="No space left on device"):
        create_run(tmp_path / "deep" / "other", CONFIG)
    assert names(tmp_path) == ["run"]
    assert (tmp_path / "run" / "scene.safetensors").read_bytes() == b"old"


def test_an_unwritable_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        create_run(tmp_path / "file" / "run", CONFIG)
    with pytest.raises(OutputError, match="cannot write"):
        create_run(Path("/proc/tondo-run"), CONFIG)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON"),
        ("[1]", "expected an object, got list"),
        ('{"a": 1}', 'has no "tondo" entry'),
        ("[" * 100_000, "is not valid JSON"),
        ("\ud800".encode("utf-8", "surrogatepass").decode("latin1"), "is not valid JSON"),
    ],
)
def test_a_damaged_config(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(text)
    with pytest.raises(InputError, match=message):
        open_run(tmp_path / "run")
    assert not is_run(tmp_path / "run")


def test_opening_what_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it has no config"):
        open_run(tmp_path)
    (tmp_path / "a.ply").write_text("")
    with pytest.raises(InputError, match="not the folder of a run but a file"):
        open_run(tmp_path / "a.ply")


def test_metrics_come_back(tmp_path: Path) -> None:
    run = create_run(tmp_path / "run", CONFIG)
    assert read_metrics(run) == {}
    write_metrics(run, {"test": {"psnr": 27.5}})
    assert read_metrics(run) == json.loads(run.metrics_path.read_text()) == {"test": {"psnr": 27.5}}
