"""Weight files from outside: kinds, damage, and code that must not run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tondo.errors import InputError
from tondo.features import weights as weights_
from tondo.features.weights import read_weights


class Touches:
    """Unpickling one of these would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".PT"])
def test_tensors_come_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    tensors = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}
    if suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    found = read_weights(path)
    assert sorted(found) == ["a.bias", "a.weight"]
    assert torch.equal(found["a.weight"], tensors["a.weight"])


def test_pickled_code_is_not_run(tmp_path: Path) -> None:
    made, path = tmp_path / "made", tmp_path / "evil.pth"
    torch.save({"a": torch.ones(2), "b": Touches(made)}, path)
    with pytest.raises(InputError, match="not a file of weights alone"):
        read_weights(path)
    assert not made.exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("kept", [0, 5, 200])
def test_files_cut_off_are_refused(tmp_path: Path, suffix: str, kept: int) -> None:
    path = tmp_path / f"w{suffix}"
    tensors = {"a.weight": torch.rand(40, 40)}
    if suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match="is damaged") as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)


def test_other_contents_and_places_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "checkpoint.pth"
    torch.save({"epoch": 3, "state_dict": {"a": torch.ones(2)}}, whole)
    with pytest.raises(InputError, match="not a plain state dict"):
        read_weights(whole)
    torch.save([torch.ones(2)], whole)
    with pytest.raises(InputError, match="not a plain state dict"):
        read_weights(whole)
    with pytest.raises(InputError, match="there is no weight file"):
        read_weights(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="weights can be read from"):
        read_weights(tmp_path / "w.bin")
    monkeypatch.setattr(weights_, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="no such network"):
        read_weights(whole)
