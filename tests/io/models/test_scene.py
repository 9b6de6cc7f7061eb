from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tondo.data.splats import Exposures, Scene, Splats
from tondo.errors import InputError, OutputError
from tondo.io.models.scene import load_scene, save_scene

FIELDS = ("means", "quats", "log_scales", "opacity_logits", "sh")


def make_scene(n: int = 6, k: int = 9) -> Scene:
    g = torch.Generator().manual_seed(3)
    splats = Splats(
        torch.randn(n, 3, generator=g),
        torch.randn(n, 4, generator=g),
        torch.randn(n, 3, generator=g),
        torch.randn(n, generator=g),
        torch.randn(n, k, 3, generator=g),
    )
    up = torch.nn.functional.normalize(torch.randn(3, generator=g), dim=0)
    return Scene(splats, torch.rand(3, generator=g), up, 1.7, torch.randn(3, generator=g))


@pytest.mark.parametrize(("n", "k"), [(0, 1), (6, 9)])
def test_round_trip_is_exact_and_gives_the_same_bytes(tmp_path: Path, n: int, k: int) -> None:
    scene = make_scene(n, k)
    save_scene(tmp_path / "a.safetensors", scene)
    save_scene(tmp_path / "b.safetensors", scene)
    back = load_scene(tmp_path / "a.safetensors")
    for name in FIELDS:
        assert torch.equal(getattr(back.splats, name), getattr(scene.splats, name))
    for name in ("background", "up", "center"):
        assert torch.equal(getattr(back, name), getattr(scene, name))
    assert back.radius == scene.radius
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_exposures_travel_with_the_scene(tmp_path: Path) -> None:
    scene = make_scene()
    assert scene.exposures is None
    save_scene(tmp_path / "none.safetensors", scene)
    assert load_scene(tmp_path / "none.safetensors").exposures is None
    exposures = Exposures(torch.randn(5, 4, 4), torch.randn(5, 3, 4))
    save_scene(tmp_path / "a.safetensors", replace(scene, exposures=exposures))
    back = load_scene(tmp_path / "a.safetensors").exposures
    assert back is not None
    assert torch.equal(back.viewmats, exposures.viewmats)
    assert torch.equal(back.matrices, exposures.matrices)


def test_a_loaded_scene_doesnt_depend_on_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_scene(path, make_scene())
    back = load_scene(path)
    path.write_bytes(b"\0" * path.stat().st_size)
    assert torch.equal(back.splats.means, make_scene().splats.means)


def rewrite(path: Path, about: object, **tensors: torch.Tensor) -> None:
    scene = make_scene()
    data = {name: getattr(scene.splats, name) for name in FIELDS} | tensors
    text = about if isinstance(about, str) else json.dumps(about)
    safetensors.torch.save_file(data, path, metadata={"tondo_scene": text})


GOOD = {"format": 1, "background": [1, 1, 1], "up": [0, 0, 1], "radius": 2, "center": [0, 0, 0]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 3}, "format 3"),
        ({"format": 2}, "world_from_scene"),
        ({"format": 2, "world_from_scene": {"scale": 0, "translation": [0, 0, 0]}}, "positive"),
        ({"format": 2, "world_from_scene": {"scale": 1, "translation": [0, 0]}}, "unpack"),
        ({"radius": -1}, "positive"),
        ({"radius": float("inf")}, "must be a finite number"),
        ({"radius": "2"}, "number"),
        ({"up": [0, 0, 3]}, "unit"),
        ({"up": [0, 0]}, "three numbers"),
        ({"center": [0, float("nan"), 0]}, "NaN"),
        ({"center": [0, 10**400, 0]}, "large"),
        ({"background": {"r": 1}}, "three numbers"),
    ],
)
def test_bad_metadata(tmp_path: Path, change: dict[str, object], words: str) -> None:
    path = tmp_path / "a.safetensors"
    rewrite(path, GOOD)
    assert load_scene(path).radius == 2.0
    rewrite(path, GOOD | change)
    with pytest.raises(InputError, match=words):
        load_scene(path)


@pytest.mark.parametrize("text", ["", "[]", "3", "{", "[" * 100_000, "{}"])
def test_metadata_that_is_no_scene(tmp_path: Path, text: str) -> None:
    rewrite(tmp_path / "a.safetensors", text)
    with pytest.raises(InputError, match=r"a\.safetensors"):
        load_scene(tmp_path / "a.safetensors")


def test_bad_tensors(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for bad in (
        {"means": torch.zeros(5, 3)},
        {"means": torch.full((6, 3), float("nan"))},
        {"quats": torch.zeros(6, 4, dtype=torch.float64)},
        {"sh": torch.zeros(6, 5, 3)},
        {"exposures.matrices": torch.zeros(5, 3, 4)},
        {"exposures.matrices": torch.zeros(5, 3, 4), "exposures.viewmats": torch.zeros(4, 4, 4)},
        {
            "exposures.matrices": torch.full((5, 3, 4), float("inf")),
            "exposures.viewmats": torch.zeros(5, 4, 4),
        },
    ):
        rewrite(path, GOOD, **bad)
        with pytest.raises(InputError, match=r"a\.safetensors"):
            load_scene(path)


def test_other_files_and_places(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none"):
        load_scene(tmp_path / "none.safetensors")
    with pytest.raises(InputError):
        load_scene(tmp_path)
    safetensors.torch.save_file({"w": torch.zeros(2)}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="not a scene"):
        load_scene(tmp_path / "w.safetensors")
    with pytest.raises(OutputError):
        save_scene(tmp_path / "w.safetensors" / "a.safetensors", make_scene())


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cut=st.integers(0, 4000), place=st.integers(0, 4000), value=st.integers(0, 255))
def test_damage_gives_a_scene_or_an_input_error(
    tmp_path: Path, cut: int, place: int, value: int
) -> None:
    path = tmp_path / "a.safetensors"
    save_scene(path, make_scene())
    data = bytearray(path.read_bytes())
    data[place % len(data)] = value
    path.write_bytes(data[: max(cut, len(data) // 2) if cut % 3 else len(data)])
    try:
        scene = load_scene(path)
    except InputError:
        return
    assert bool(torch.isfinite(scene.splats.means).all())
