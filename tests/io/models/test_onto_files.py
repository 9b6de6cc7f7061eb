from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_mesh_files import FUZZ, Z_UP, glb_parts
from test_textured_files import edited_glb, messages

from textured_cube import flat_tangents, textured_cube
from tondo.data.textured import Texture
from tondo.errors import InputError, OutputError
from tondo.geometry.mesh import vertex_normals
from tondo.io.models.glb import read_glb
from tondo.io.models.glb_mesh import glb_parts as glb_parts_of
from tondo.io.models.mesh_frames import frame_words, read_up
from tondo.io.models.onto_files import Onto, OwnMesh, read_own, write_onto
from tondo.io.models.textured_files import read_textured, write_textured

WORDS = frame_words(np.array([0.0, 0.0, 1.0]))
PICTURE = Texture(torch.full((32, 32, 3), 90, dtype=torch.uint8))

QUADS = """# Made by hand \xe9
mtllib old one.mtl
mtllib another.mtl
o cube
v 0 0 0
v 0 0 3.00
v 0 2 0
v 0 2 3
v 1e0 0 0
v 1 0 3
v 1 2 0
v 1 2 3
vn 0 0 1
usemtl wood
s 1
f 1//1 2//1 4//1 3//1
f 5 7 8 6  # the other side
usemtl iron
f 1 5 6 2
f -6 4 8 7
f 1 3 7 5
f 2 6 8 4
"""


def onto(own: OwnMesh, uvs: torch.Tensor | None = None) -> Onto:
    if uvs is None:
        assert own.found.uvs is not None
        uvs = torch.from_numpy(own.found.uvs)
    return Onto(PICTURE, uvs, vertex_normals(own.mesh.vertices, own.mesh.faces), None)


def scattered(faces: int) -> torch.Tensor:
    """[faces, 3, 2] uvs with a place of its own for each face."""
    corner = torch.tensor([[0.1, 0.1], [0.1, 0.9], [0.9, 0.9]])
    cells = torch.tensor([[k % 4, k // 4] for k in range(faces)])
    return (cells[:, None] + corner) / 4


def in_pairs(faces: int) -> torch.Tensor:
    """[faces, 3, 2] uvs with a place for every two faces, which share the edge from the first
    corner to the last but one."""
    square = torch.tensor([[0.1, 0.1], [0.1, 0.9], [0.9, 0.9], [0.9, 0.1]])
    corner = square[torch.tensor([[0, 1, 2], [0, 2, 3]])].repeat(faces // 2, 1, 1)
    cells = torch.tensor([[k // 2 % 3, k // 6] for k in range(faces)])
    return (cells[:, None] + corner) / 3


def test_an_obj_keeps_its_text_and_gets_a_material(tmp_path: Path) -> None:
    (tmp_path / "mine.obj").write_bytes(QUADS.encode("latin-1"))
    own = read_own(tmp_path / "mine.obj")
    assert len(own.mesh.faces) == 12
    write_onto(tmp_path / "new.obj", own, onto(own, in_pairs(12)), WORDS)
    lines = (tmp_path / "new.obj").read_bytes().decode("latin-1").split("\n")
    assert read_up(tmp_path / "new.obj") == (0, 0, 1)
    before = QUADS.split("\n")
    kept = [line for line in before if line.startswith(("#", "o ", "v ", "vn", "s "))]
    assert [line for line in lines if line in kept] == kept
    heads = [line.split()[0] for line in lines if line and line[0] in "mu"]
    assert heads == ["mtllib", "usemtl", "usemtl"]
    assert {line for line in lines if line.startswith(("mtllib", "usemtl"))} == {
        "mtllib new.mtl", "usemtl new"
    }  # fmt: skip
    faces = [line.split()[1:] for line in lines if line.startswith("f ")]
    assert [len(one) for one in faces] == [4] * 6  # quads stay quads
    assert [word.split("/")[0] for word in faces[3]] == ["3", "4", "8", "7"]
    assert all(word.endswith("/1") for word in faces[0])  # its normals
    mesh, uvs, texture = read_textured(tmp_path / "new.obj")
    assert texture is not None
    assert uvs is not None
    assert torch.allclose(uvs, in_pairs(12), atol=1e-6)
    assert torch.equal(mesh.vertices[mesh.faces], own.mesh.vertices[own.mesh.faces])


def test_a_quad_whose_halves_lie_apart_becomes_two_triangles(tmp_path: Path) -> None:
    (tmp_path / "mine.obj").write_text(QUADS)
    own = read_own(tmp_path / "mine.obj")
    uvs = torch.cat([in_pairs(10), scattered(12)[10:]])
    write_onto(tmp_path / "new.obj", own, onto(own, uvs), WORDS)
    lines = (tmp_path / "new.obj").read_text().split("\n")
    faces = [line.split()[1:] for line in lines if line.startswith("f ")]
    assert [len(one) for one in faces] == [4] * 5 + [3] * 2
    found = read_textured(tmp_path / "new.obj")[1]
    assert found is not None
    assert torch.allclose(found, uvs, atol=1e-6)


def test_an_obj_with_uvs_changes_in_its_materials_only(tmp_path: Path) -> None:
    write_textured(tmp_path / "mine.obj", textured_cube(), Z_UP)
    own = read_own(tmp_path / "mine.obj")
    write_onto(tmp_path / "new.obj", own, onto(own), "something else")
    text = (tmp_path / "mine.obj").read_text()
    changed = text.replace("mtllib mine", "mtllib new").replace("usemtl mine", "usemtl new")
    assert (tmp_path / "new.obj").read_text() == changed


def two_parts(path: Path) -> None:
    """A GLB with two meshes below a node that is turned, an empty node and a camera."""
    write_textured(path, textured_cube(), Z_UP, "world")

    def change(tree: dict[str, Any]) -> None:
        tree["meshes"].append(json.loads(json.dumps(tree["meshes"][0])))
        tree["cameras"] = [{"type": "perspective", "perspective": {"yfov": 1, "znear": 0.1}}]
        half = 0.7071067811865476
        tree["nodes"] = [
            {"name": "camera", "camera": 0},
            {"name": "above", "children": [2, 3, 4], "rotation": [0, 0, half, half]},
            {"name": "left", "mesh": 0, "extras": {"a": 1}},
            {"name": "empty"},
            {"name": "right", "mesh": 1, "scale": [-2, 1, 1], "translation": [5, 0, 0]},
        ]
        tree["scenes"] = [{"nodes": [0, 1]}]

    edited_glb(path, change)


@pytest.mark.parametrize("own_uvs", [True, False])
def test_a_glb_keeps_its_positions_nodes_and_normals(tmp_path: Path, own_uvs: bool) -> None:
    two_parts(tmp_path / "mine.glb")
    own = read_own(tmp_path / "mine.glb")
    assert len(own.mesh.faces) == 24
    uvs = None if own_uvs else torch.cat([in_pairs(12) / 2, 0.5 + in_pairs(12) / 2])
    write_onto(tmp_path / "new.glb", own, onto(own, uvs), WORDS)
    assert messages(tmp_path / "new.glb") == []
    tree, _ = glb_parts(tmp_path / "new.glb")
    assert [node["name"] for node in tree["nodes"]] == ["above", "left", "right"]
    assert tree["nodes"][0]["children"] == [1, 2]
    assert (len(tree["materials"]), len(tree["meshes"])) == (1, 2)
    parts = glb_parts_of(read_glb(tmp_path / "new.glb"))
    for before, after in zip(own.parts, parts, strict=True):
        count = len(before.positions)
        assert after.positions[:count].tobytes() == before.positions.tobytes()
        assert np.array_equal(after.matrix, before.matrix)
    mesh, found, texture = read_textured(tmp_path / "new.glb")
    assert texture is not None
    assert texture.color.float().mean() == pytest.approx(90, abs=1)
    assert torch.equal(mesh.vertices[mesh.faces], own.mesh.vertices[own.mesh.faces])
    assert found is not None
    assert torch.allclose(found, onto(own, uvs).uvs)
    assert read_up(tmp_path / "new.glb") == (0, 0, 1)


def test_tangents_go_below_nodes_that_turn_and_mirror(tmp_path: Path) -> None:
    two_parts(tmp_path / "mine.glb")
    own = read_own(tmp_path / "mine.glb")
    uvs = onto(own).uvs
    tangents = flat_tangents(own.mesh, uvs)
    flat = torch.tensor([128, 128, 255], dtype=torch.uint8).expand(32, 32, 3).contiguous()
    whole = Onto(Texture(PICTURE.color, flat), uvs, onto(own).normals, tangents)
    write_onto(tmp_path / "new.glb", own, whole, WORDS)
    assert messages(tmp_path / "new.glb") == []
    glb = read_glb(tmp_path / "new.glb")
    right = glb_parts_of(glb)[1]
    from tondo.io.models.glb import numbers

    found = numbers(glb, right.primitive["attributes"]["TANGENT"], (4,))
    turned = found[:, :3] @ right.matrix[:3, :3].T
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    expected = tangents[12:].numpy()
    assert np.allclose(turned[right.faces], expected[..., :3], atol=1e-5)
    # below a node that mirrors, the bitangent's side is the other one
    assert np.array_equal(found[right.faces][..., 3], -expected[..., 3])


@pytest.mark.parametrize(("source", "target"), [("mine.obj", "new.glb"), ("mine.glb", "new.obj")])
def test_the_other_format_has_the_same_places(tmp_path: Path, source: str, target: str) -> None:
    if source == "mine.obj":
        (tmp_path / source).write_text(QUADS)
    else:
        two_parts(tmp_path / source)
    own = read_own(tmp_path / source)
    uvs = scattered(12) if own.found.uvs is None else None
    write_onto(tmp_path / target, own, onto(own, uvs), WORDS)
    mesh, found, texture = read_textured(tmp_path / target)
    assert texture is not None
    assert found is not None
    assert torch.allclose(found, onto(own, uvs).uvs, atol=1e-6)
    corners = own.mesh.vertices[own.mesh.faces]
    assert torch.allclose(mesh.vertices[mesh.faces], corners, atol=1e-6)
    assert read_up(tmp_path / target) == (0, 0, 1)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\n", "no faces"),
        ("a.obj", "v 0 0 0\nv 1 0 nan\nv 0 1 0\nf 1 2 3\n", "NaN"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nf 1 2 3\n", "names a vertex"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nf 1 2\n", "2 corners"),
        ("a.obj", "v 0 0\n", "too few numbers"),
        ("a.obj", "v 0 0 x\n", "something else than numbers"),
        ("a.obj", "", "no faces"),
        ("a.stl", "solid", r"\.glb and \.obj"),
        ("a.obj", QUADS, "has 12 faces, more than the 10 that are possible here"),
    ],
)
def test_meshes_that_cannot_be_used_are_one_sentence(
    tmp_path: Path, name: str, text: str, expected: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=expected):
        read_own(tmp_path / name, most=10)


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
@FUZZ
@given(edits=st.lists(st.tuples(st.integers(0, 6000), st.integers(0, 255)), max_size=6))
def test_any_damage_gives_a_file_or_an_input_error(
    tmp_path: Path, suffix: str, edits: list[tuple[int, int]]
) -> None:
    path, whole = tmp_path / f"mine{suffix}", tmp_path / "whole"
    if not whole.exists():
        if suffix == ".glb":
            two_parts(path)
        else:
            path.write_text(QUADS)
        shutil.copy(path, whole)
    data = bytearray(whole.read_bytes())
    for place, value in edits:
        data[place % len(data)] = value
    path.write_bytes(data)
    try:
        own = read_own(path)
    except InputError:
        return
    faces = len(own.mesh.faces)
    write_onto(tmp_path / f"new{suffix}", own, onto(own, torch.rand(faces, 3, 2)), WORDS)
    mesh, _, texture = read_textured(tmp_path / f"new{suffix}")
    assert len(mesh.faces) == faces
    assert texture is not None


def test_nodes_outside_of_the_scene_are_left_out(tmp_path: Path) -> None:
    write_textured(tmp_path / "mine.glb", textured_cube(), Z_UP)

    def change(tree: dict[str, Any]) -> None:
        tree["nodes"] += [5, {"children": [[]]}, {"children": [0]}]

    edited_glb(tmp_path / "mine.glb", change)
    own = read_own(tmp_path / "mine.glb")
    write_onto(tmp_path / "new.glb", own, onto(own), WORDS)
    tree, _ = glb_parts(tmp_path / "new.glb")
    assert tree["nodes"] == [{"name": "mine", "mesh": 0}]


def test_another_picture_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.obj").write_text(QUADS)
    (tmp_path / "new.png").write_bytes(b"a photograph")
    own = read_own(tmp_path / "mine.obj")
    with pytest.raises(OutputError, match=r"new\.png"):
        write_onto(tmp_path / "new.obj", own, onto(own, in_pairs(12)), WORDS)
    assert not (tmp_path / "new.obj").exists()
