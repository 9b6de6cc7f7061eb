"""Scenes of radiance fields as files."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch

from tondo.data.field import (
    Field,
    FieldScene,
    FrequencyField,
    FrequencyShape,
    HashEncoding,
    Heads,
    Marching,
    Space,
    head_shapes,
)
from tondo.data.splats import Exposures
from tondo.errors import InputError
from tondo.io.models.scene import load_scene, save_scene
from tondo.kernels.fields.rays import log_densities
from tondo.kernels.fields.rays_torch import colors, densities, features_of, into_cube


def field_scene() -> FieldScene:
    g = torch.Generator().manual_seed(3)
    encoding = HashEncoding(torch.randn(4, 64, 2, generator=g), (2, 3, 7, 12))
    count = sum(map(math.prod, head_shapes(8, 16)))
    heads = Heads(torch.randn(count, generator=g), 8, 16)
    occupied = torch.randint(0, 5, (5, 5, 5), generator=g, dtype=torch.uint8)
    space = Space((0.1, -0.2, 0.3), 1.25, True, occupied)
    up = torch.nn.functional.normalize(torch.randn(3, generator=g), dim=0)
    return FieldScene(
        Field(encoding, heads, space),
        Marching(0.01, 0.004, 700, 2e-3),
        torch.rand(3, generator=g),
        up,
        1.7,
        torch.randn(3, generator=g),
        Exposures(torch.randn(5, 4, 4, generator=g), torch.randn(5, 3, 4, generator=g)),
    )


def test_round_trip_is_exact_and_gives_the_same_bytes(tmp_path: Path) -> None:
    scene = field_scene()
    save_scene(tmp_path / "a.safetensors", scene)
    back = load_scene(tmp_path / "a.safetensors")
    assert isinstance(back, FieldScene)
    assert torch.equal(back.field.encoding.tables, scene.field.encoding.tables)
    assert torch.equal(back.field.heads.weights, scene.field.heads.weights)
    assert torch.equal(back.field.space.occupied, scene.field.space.occupied)
    here = scene.field.space.occupied > 0  # as files of before have it
    plain = replace(scene.field, space=replace(scene.field.space, occupied=here))
    save_scene(tmp_path / "c.safetensors", replace(scene, field=plain))
    again = load_scene(tmp_path / "c.safetensors")
    assert isinstance(again, FieldScene)
    assert torch.equal(again.field.space.occupied, here)
    assert torch.equal(again.field.space.steps(), here.to(torch.uint8))
    assert back.field.encoding.resolutions == scene.field.encoding.resolutions
    assert back.field.heads.hidden == 16
    assert back.field.space.center == pytest.approx(scene.field.space.center)
    assert (back.field.space.radius, back.field.space.contracted) == (1.25, True)
    assert back.marching.step == scene.marching.step
    assert back.marching.cone == pytest.approx(scene.marching.cone)
    assert back.marching.max_steps == 700
    assert back.exposures is not None
    save_scene(tmp_path / "b.safetensors", replace(back, marching=scene.marching))
    assert len((tmp_path / "b.safetensors").read_bytes()) > 1000


def test_a_file_of_before_has_densities_per_world_unit(tmp_path: Path) -> None:
    """Its networks meant another unit: the field is the same, densities and colours."""
    path, scene = tmp_path / "old.safetensors", field_scene()
    save_scene(path, scene)
    with safetensors.safe_open(str(path), framework="pt") as file:
        about = json.loads(file.metadata()["tondo_scene"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (a file, not a dict)
    assert about["field"].pop("density_per") == "radius"
    safetensors.torch.save_file(tensors, str(path), metadata={"tondo_scene": json.dumps(about)})
    back = load_scene(path)
    assert isinstance(back, FieldScene)
    assert isinstance(back.field, Field)
    assert isinstance(scene.field, Field)
    rng = torch.Generator().manual_seed(1)
    points = 0.7 * torch.randn(40, 3, generator=rng) + torch.tensor(scene.field.space.center)
    features = features_of(scene.field.encoding, into_cube(scene.field.space, points))
    geometry = densities(scene.field.heads, features)
    torch.testing.assert_close(log_densities(back.field, points), geometry[:, 0])
    rays_d = torch.nn.functional.normalize(torch.randn(40, 3, generator=rng), dim=1)
    torch.testing.assert_close(
        colors(back.field.heads, densities(back.field.heads, features), rays_d),
        colors(scene.field.heads, geometry, rays_d),
    )


def frequency_scene() -> FieldScene:
    shape = FrequencyShape(places=3, directions=2, width=12, depth=4, samples=(5, 7))
    g = torch.Generator().manual_seed(4)
    count = sum(map(math.prod, shape.parts()))
    coarse, fine = (torch.randn(count, generator=g) for _ in range(2))
    scene = field_scene()
    return replace(scene, field=FrequencyField(coarse, fine, scene.field.space, shape))


def test_a_field_of_frequencies_comes_back(tmp_path: Path) -> None:
    scene = frequency_scene()
    save_scene(tmp_path / "a.safetensors", scene)
    back = load_scene(tmp_path / "a.safetensors")
    assert isinstance(back, FieldScene)
    assert isinstance(back.field, FrequencyField)
    assert isinstance(scene.field, FrequencyField)
    assert torch.equal(back.field.coarse, scene.field.coarse)
    assert torch.equal(back.field.fine, scene.field.fine)
    assert back.field.shape == scene.field.shape
    assert (back.field.space.radius, back.field.space.contracted) == (1.25, True)


@pytest.mark.parametrize(
    ("entry", "value"),
    [("width", 13), ("depth", 0), ("samples", [5]), ("samples", [5, "7"]), ("places", True)],
)
def test_a_damaged_field_of_frequencies_is_refused(
    tmp_path: Path, entry: str, value: object
) -> None:
    path = tmp_path / "scene.safetensors"
    save_scene(path, frequency_scene())
    changed(path, frequency={entry: value})
    with pytest.raises(InputError, match="damaged"):
        load_scene(path)


def changed(path: Path, **parts: Any) -> None:
    """The file with other entries of the field's metadata, or other tensors."""
    with safetensors.safe_open(str(path), framework="pt") as file:
        about = json.loads(file.metadata()["tondo_scene"])
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    for name, value in parts.items():
        if isinstance(value, torch.Tensor):
            tensors[name] = value
        elif isinstance(value, dict):
            about["field"][name] = {**about["field"][name], **value}
        else:
            about["field"][name] = value
    safetensors.torch.save_file(tensors, path, metadata={"tondo_scene": json.dumps(about)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tables", torch.full((4, 64, 2), math.nan)),
        ("tables", torch.zeros(4, 63, 2)),
        ("tables", torch.zeros(4, 64, 2, dtype=torch.float64)),
        ("weights", torch.zeros(7)),
        ("occupied", torch.ones(5, 5, 4, dtype=torch.bool)),
        ("occupied", torch.ones(5, 5, 5)),
        ("occupied", torch.ones(5, 5, 5, dtype=torch.int32)),
        ("resolutions", [2, 3, 7]),
        ("resolutions", [2, 3, 7, 2**30]),
        ("resolutions", [2, 3, 7, 1.5]),
        ("hidden", 24),
        ("hidden", True),
        ("space", {"radius": -1.0}),
        ("space", {"center": [0, 0]}),
        ("space", {"contracted": 1}),
        ("marching", {"step": 0.0}),
        ("marching", {"step": math.inf}),
        ("marching", {"cone": -2.0}),
        ("marching", {"max_steps": 10**9}),
        ("marching", {"stop": "little"}),
    ],
)
def test_a_damaged_field_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    path = tmp_path / "a.safetensors"
    save_scene(path, field_scene())
    changed(path, **{name: value})
    with pytest.raises(InputError, match=r"a\.safetensors is damaged"):
        load_scene(path)
