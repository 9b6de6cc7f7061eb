"""Generated models as files, with a texture where the format holds one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import trimesh

from khronos import khronos_report
from tiny_generators import SHAPE, tiny_generator
from tondo.errors import OptionError
from tondo.gan.objects.contact_sheet import latents
from tondo.gan.sampling.generate import Model, model_of
from tondo.gan.sampling.write import write_model
from tondo.io.models.mesh_files import read_mesh


@pytest.fixture(scope="module")
def model() -> Model:
    generator = tiny_generator()
    with torch.no_grad():
        return model_of(generator, generator.styles(latents([3], SHAPE.z))[0])


def test_a_texture_for_formats_that_hold_one(model: Model, tmp_path: Path) -> None:
    paths = [tmp_path / f"a{ending}" for ending in (".glb", ".ply")]
    write_model(paths, model, SHAPE, 64)
    (part,) = trimesh.load_scene(paths[0]).geometry.values()
    assert part.visual.kind == "texture"
    assert part.visual.material.baseColorTexture.size == (64, 64)
    assert len(part.faces) == len(model.mesh.faces)
    plain = read_mesh(paths[1])
    assert plain.colors is not None
    assert torch.equal(plain.colors, model.mesh.colors)


def test_the_validator_says_nothing_of_it(model: Model, tmp_path: Path) -> None:
    write_model([tmp_path / "a.glb"], model, SHAPE, 64)
    assert khronos_report(tmp_path / "a.glb")["issues"]["messages"] == []


def test_an_obj_has_the_vertices_of_the_mesh(model: Model, tmp_path: Path) -> None:
    """One at the seam, where a GLB has two: it stays closed."""
    write_model([tmp_path / "a.obj"], model, SHAPE, 64)
    lines = (tmp_path / "a.obj").read_text().splitlines()
    assert sum(line.startswith("v ") for line in lines) == len(model.mesh.vertices)
    assert {path.name for path in tmp_path.iterdir()} == {"a.obj", "a.mtl", "a.png"}


def test_none_keeps_colours_per_vertex(model: Model, tmp_path: Path) -> None:
    write_model([tmp_path / "a.glb"], model, SHAPE, "none")
    again = read_mesh(tmp_path / "a.glb")
    assert again.colors is not None
    assert int((again.colors.int() - model.mesh.colors.int()).abs().max()) <= 1


def test_an_ending_of_no_mesh(model: Model, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="meshes can be written as"):
        write_model([tmp_path / "a.gif"], model, SHAPE, 64)
    assert not list(tmp_path.iterdir())
