"""A generator's file: what goes in comes out, and a damaged one is one sentence."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch

from tiny_generators import CARD, SHAPE, tiny_generator, tiny_trained
from tondo.errors import InputError
from tondo.gan.files.generator_file import Trained, load_generator, save_generator, shape_of
from tondo.gan.objects.render import render_styles
from tondo.geometry.look_at import cameras_at
from tondo.geometry.pose_prior import NAMED


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_generator(tmp_path / "a.safetensors", tiny_trained())
    return tmp_path / "a.safetensors"


def rewrite(path: Path, change: Any = None, **tensors: torch.Tensor) -> None:
    """The file again, its description changed and some of its tensors replaced."""
    with safetensors.safe_open(path, framework="pt") as opened:
        about = json.loads(opened.metadata()["tondo_generator"])
        held = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    if change is not None:
        change(about)
    held.update({name.replace("__", "."): tensor for name, tensor in tensors.items()})
    held = {name: tensor for name, tensor in held.items() if tensor.numel()}
    metadata = {"tondo_generator": json.dumps(about)}
    path.write_bytes(safetensors.torch.save(held, metadata=metadata))


def test_what_goes_in_comes_out(file: Path, tmp_path: Path) -> None:
    found = load_generator(file)
    assert found.card == CARD
    assert found.priors == NAMED["turntable"]
    assert found.generator.shape == SHAPE
    assert not found.generator.training
    save_generator(tmp_path / "b.safetensors", found)
    assert file.read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_half_precision_moves_no_pixel_by_more_than_two_steps(file: Path) -> None:
    viewmats, Ks = cameras_at(torch.tensor([[0.4, 0.3, 0.0]]), 20.0, 5.8, 48)
    w = tiny_generator().styles(torch.randn(1, 8, generator=torch.Generator().manual_seed(1)))
    pictures = [
        render_styles(generator, w, viewmats, Ks, 48)[0].images
        for generator in (tiny_generator(), load_generator(file).generator)
    ]
    assert 0 < float((pictures[0] - pictures[1]).abs().max()) < 2 / 255


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_cut_off(file: Path, share: float) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"cut off or damaged.* copy it again, train again"):
        load_generator(file)


@pytest.mark.parametrize("data", [b"GIF89a", b"\xff" * 100, b"\x00" * 4000])
def test_something_else(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    with pytest.raises(InputError, match="cut off or damaged"):
        load_generator(file)


def test_other_safetensors(file: Path) -> None:
    file.write_bytes(safetensors.torch.save({"a": torch.zeros(3)}))
    with pytest.raises(InputError, match=r"not a generator of Tondo: .* give another file"):
        load_generator(file)


@pytest.mark.parametrize(
    ("tensors", "expected"),
    [
        ({"skin_network__conv1__weight": torch.zeros(12, 12, 5, 5)}, r"weight is \[12, 12, 5, 5\]"),
        ({"w_mean": torch.full((12,), float("nan"))}, "w_mean holds values that are NaN"),
        ({"w_mean": torch.zeros(12, dtype=torch.int64)}, "w_mean is .* int64"),
        ({"w_mean": torch.zeros(0)}, "w_mean is missing: copy it again"),
        ({"surprise": torch.zeros(3)}, "surprise"),
    ],
)
def test_other_tensors(file: Path, tensors: dict[str, torch.Tensor], expected: str) -> None:
    rewrite(file, **tensors)
    with pytest.raises(InputError, match=expected):
        load_generator(file)


@pytest.mark.parametrize(
    ("part", "entry", "value", "expected"),
    [
        ("shape", "rows", 24, "rows cannot be 24"),
        ("shape", "rows", 64, "is .*, expected"),
        ("shape", "columns", 4096, "is .*, expected"),
        ("shape", "rows", 4096, "is .*, expected"),
        ("shape", "has_inner_layer", 1, "has_inner_layer cannot be 1"),
        ("shape", "axial", "yes", "axial cannot be 'yes'"),
        ("shape", "background", "sky", "background must be one of"),
        ("shape", "w", 10**9, "w cannot be"),
        ("shape", "z", -1, "z cannot be"),
        ("shape", "z", 7.5, "z cannot be"),
        ("shape", "channels", [12, 10], "can have the shape|damaged"),
        ("shape", "channels", "many", "channels must be"),
        ("shape", "surprise", 3, "unknown entry 'surprise'"),
        ("card", "kimg", "x", "kimg cannot be"),
        pytest.param("shape", "z", 10**400, "z cannot be", id="z of 401 digits"),
        pytest.param("card", "kimg", 10**400, "kimg cannot be", id="kimg of 401 digits"),
        ("card", "kimg", math.inf, "kimg cannot be"),
        ("card", "kimg", math.nan, "kimg cannot be"),
        ("card", "metrics", {"a": []}, "metrics"),
        ("card", "metrics", {"a": -(10**400)}, "metrics"),
        (None, "format", "tondo generator 9", "another version .* train again, or use"),
        (None, "priors", [], "pose priors"),
        (None, "priors", [{"azimuth": [0, 10], "elevation": [-200, 0]}], "elevation"),
        (None, "priors", [{"azimuth": [0, 10], "elevation": [0]}], "damaged .* copy it again"),
        (None, "priors", [{"azimuth": [0, 10], "elevation": [0, 0], "weight": 0}], "weight"),
        (None, "priors", [{"azimuth": [0, 10], "elevation": [0, 0], "weight": -1}], "weight"),
        (None, "priors", [{"azimuth": [0, 10], "elevation": [0, 0], "weight": 1e-50}], "weight"),
        (None, "priors", [{"azimuth": [0, 10], "elevation": [0, 0], "weight": 1e7}], "weight"),
        (None, "shape", None, "damaged"),
    ],
)
def test_other_descriptions(
    file: Path, part: str | None, entry: str, value: object, expected: str
) -> None:
    rewrite(file, lambda about: (about[part] if part else about).update({entry: value}))
    with pytest.raises(InputError, match=expected):
        load_generator(file)


def test_a_broken_generator_is_not_written(tmp_path: Path) -> None:
    generator = tiny_generator()
    generator.w_mean[0] = float("nan")
    with pytest.raises(ValueError, match="w_mean"):
        save_generator(tmp_path / "a.safetensors", Trained(generator))
    assert not (tmp_path / "a.safetensors").exists()


def test_more_splats_than_there_can_be() -> None:
    with pytest.raises(ValueError, match="2048 x 2048 are more than 2097152 splats"):
        shape_of({"rows": 2048, "columns": 2048})
    assert shape_of({"rows": 1024, "columns": 2048}).rows == 1024


def test_opening_a_generator_and_making_a_model_does_not_load_torchs_compiler() -> None:
    """It would take a second, of a command that takes another one."""
    words = "import sys, tondo; list(tondo.generate('fish', [0])); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    loaded = ran.stdout.split()
    assert "tondo.gan.files.generator_file" in loaded
    assert not {"torch._dynamo", "torch._inductor", "sympy"} & set(loaded)
