"""What `purpose` makes of options, and what is said of the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import trimesh

from tondo.api.options import ExportOptions, for_purpose
from tondo.data.mesh import Mesh
from tondo.data.similarity import Similarity
from tondo.data.textured import Texture, TexturedMesh
from tondo.mesh.asset_checks import purpose_checks
from tondo.mesh.options import MeshOptions
from tondo.mesh.presets import PRESETS
from tondo.texture.options import TextureOptions


def box(faces: int | None = None) -> Mesh:
    model = trimesh.creation.box([2, 1, 0.5]).subdivide()
    return Mesh(torch.tensor(model.vertices).float(), torch.tensor(model.faces[:faces]).long())


def textured(mesh: Mesh) -> TexturedMesh:
    picture = Texture(torch.zeros(4, 4, 3, dtype=torch.uint8))
    return TexturedMesh(mesh, torch.zeros(len(mesh.faces), 3, 2), picture)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_fills_what_is_not_said(name: str) -> None:
    found = for_purpose(ExportOptions(purpose=name))  # type: ignore[arg-type]
    wanted = PRESETS[name]
    assert found.mesh.faces == wanted.faces
    assert found.mesh.surface == wanted.surface
    assert found.texture.size == wanted.size
    assert (found.texture.normal_map, found.texture.lod) == (wanted.normal_map, wanted.lod)


def test_what_was_said_goes_before_the_preset() -> None:
    said = ExportOptions(
        purpose="game", mesh=MeshOptions(faces=777), texture=TextureOptions(size=256)
    )
    found = for_purpose(said, frozenset({"texture.lod"}))
    assert (found.mesh.faces, found.texture.size, found.texture.lod) == (777, 256, 0)
    assert found.texture.normal_map
    plain = replace(said, purpose=None)
    assert for_purpose(plain) is plain


def test_limits_of_faces_and_bytes(tmp_path: Path) -> None:
    small, large = tmp_path / "small.glb", tmp_path / "large.glb"
    small.write_bytes(b"x" * 1000)
    with large.open("wb") as file:
        file.truncate(31_000_000)
    model = textured(box())
    assert purpose_checks("vr", model, small) == (
        "vr: 48 triangles of at most 100,000; 0.0 MB of at most 30 MB",
    )
    (over,) = purpose_checks("vr", model, large)
    assert "31.0 MB, more than 30 MB: choose a smaller `size`" in over
    many = Mesh(torch.rand(9, 3), torch.randint(0, 9, (100_001, 3)))
    found = purpose_checks("quick-look", many, small)
    assert found[0] == ("quick-look: 100,001 triangles and that is more than 100,000; no texture")
    assert ".usdz" in found[1]
    assert purpose_checks("film", model, small) == ()


def test_prints_are_measured(tmp_path: Path) -> None:
    (found,) = purpose_checks("print", box(), tmp_path)
    assert found == (
        "print: watertight, manifold, 1 part; the thinnest 1% of its walls are thinner than 0.5 "
        "units, 25.00% of its longest side, which is 25 mm of 100 mm; the scene has no unit: its "
        "longest side is 2 units"
    )
    placed = replace(box(), world_from_scene=Similarity(1000.0, (5.0, 0.0, 0.0)))
    (found,) = purpose_checks("print", placed, tmp_path)
    assert "thinner than 500 units, 25.00% of" in found
    assert found.endswith("its longest side is 2000 units")
    (torn,) = purpose_checks("print", box(-1), tmp_path)
    assert torn.startswith("print: NOT watertight (3 edges), manifold, 1 part; the scene has no")
    thin = box()
    flat = Mesh(thin.vertices * torch.tensor([1, 1, 0.02]), thin.faces)
    (found,) = purpose_checks("print", flat, tmp_path)
    assert "0.5 mm of 100 mm (printers need 0.8 mm: print it 160 mm long or more)" in found
