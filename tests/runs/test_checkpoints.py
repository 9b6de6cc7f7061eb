"""Checkpoints come back bit for bit, and a damaged one is never used."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tondo.errors import InputError, OutputError
from tondo.io import atomic
from tondo.runs.checkpoints import load_latest_checkpoint, save_checkpoint
from tondo.runs.run_directory import RunDirectory, create_run

STATE = {"seconds": 1.25, "order": [3, 1, 2], "name": "fox"}


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return create_run(tmp_path / "run", {"tondo": "0.1.0"})


def tensors(step: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {
        "means": torch.randn(17, 3, generator=generator),
        "count": torch.tensor(step),
        "empty": torch.zeros(0, 4),
        "rng": generator.get_state(),
        "visible": torch.rand(23, generator=generator) > 0.5,
        "column": torch.randn(6, 5, generator=generator)[:, 2],
        "rows": torch.randn(6, 5, generator=generator)[1:3],
    }


def test_everything_comes_back_bit_for_bit(run: RunDirectory) -> None:
    path = save_checkpoint(run, 120, tensors(120), STATE)
    assert path == run.checkpoints_dir / "step-00000120.safetensors"
    found = load_latest_checkpoint(run)
    assert found is not None
    assert (found.step, found.state, found.skipped) == (120, STATE, ())
    expected = tensors(120)
    assert found.tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor), name


def test_the_newest_two_are_kept_and_leftovers_go(run: RunDirectory) -> None:
    (run.checkpoints_dir / ".tondo-tmp-killed.safetensors").write_bytes(b"half")
    for step in (8, 99, 1_000_000_000, 100):
        save_checkpoint(run, step, tensors(step), {})
    assert sorted(p.name for p in run.checkpoints_dir.iterdir()) == [
        "step-00000100.safetensors",
        "step-1000000000.safetensors",
    ]


def test_no_checkpoint_yet(run: RunDirectory) -> None:
    assert load_latest_checkpoint(run) is None


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_cut_checkpoint_falls_back_and_says_so(run: RunDirectory, share: float) -> None:
    save_checkpoint(run, 10, tensors(10), STATE)
    newest = save_checkpoint(run, 20, tensors(20), STATE)
    os.truncate(newest, int(newest.stat().st_size * share))
    found = load_latest_checkpoint(run)
    assert found is not None
    assert found.step == 10
    assert len(found.skipped) == 1
    assert found.skipped[0].startswith("step-00000020.safetensors: cut short or damaged")


@pytest.mark.parametrize("place", [-1, -100, -900])
def test_one_flipped_bit_is_noticed(run: RunDirectory, place: int) -> None:
    save_checkpoint(run, 10, tensors(10), STATE)
    newest = save_checkpoint(run, 20, tensors(20), STATE)
    data = bytearray(newest.read_bytes())
    data[place] ^= 1
    newest.write_bytes(data)
    found = load_latest_checkpoint(run)
    assert found is not None
    assert (found.step, found.skipped) == (
        10,
        ("step-00000020.safetensors: damaged (its checksum does not fit its contents)",),
    )


@settings(deadline=None, max_examples=60, derandomize=True)
@given(data=st.data())
def test_no_damage_is_ever_loaded(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = create_run(Path(folder) / "run", {"tondo": "0.1.0"})
        path = save_checkpoint(run, 20, tensors(20), STATE)
        content = bytearray(path.read_bytes())
        start = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.binary(min_size=0, max_size=12))
        content[start : start + data.draw(st.integers(0, 12))] = piece
        path.write_bytes(content)
        try:
            found = load_latest_checkpoint(run)
        except InputError:
            return
        assert found is not None
        assert found.state == STATE
        expected = tensors(20)
        assert all(torch.equal(found.tensors[name], expected[name]) for name in expected)


def test_a_renamed_or_edited_checkpoint_is_noticed(run: RunDirectory) -> None:
    save_checkpoint(run, 10, tensors(10), STATE)
    newest = save_checkpoint(run, 20, tensors(20), STATE)
    newest.rename(newest.with_name("step-00000030.safetensors"))
    edited = save_checkpoint(run, 25, tensors(25), STATE)
    edited.write_bytes(edited.read_bytes().replace(b"1.25", b"9.25"))
    with pytest.raises(InputError, match=r"every checkpoint in .* is damaged \(step-00000030"):
        load_latest_checkpoint(run)


def test_a_failed_save_keeps_the_older_ones(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(run, 10, tensors(10), STATE)
    save_checkpoint(run, 20, tensors(20), STATE)

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        save_checkpoint(run, 30, tensors(30), STATE)
    assert len(list(run.checkpoints_dir.iterdir())) == 2
    found = load_latest_checkpoint(run)
    assert found is not None
    assert found.step == 20


def test_state_with_nan_is_refused_and_nothing_is_written(run: RunDirectory) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_checkpoint(run, 1, tensors(1), {"loss": float("nan")})
    assert list(run.checkpoints_dir.iterdir()) == []


def test_thirty_megabytes_are_quick(run: RunDirectory) -> None:
    big = {"all": torch.rand(30_000_000 // 4)}
    # CPU time and the best of three: neither a busy machine nor its disk is ours to time.
    seconds = []
    for step in range(3):
        before = time.process_time()
        save_checkpoint(run, step, big, {})
        seconds.append(time.process_time() - before)
    assert min(seconds) < 0.3
