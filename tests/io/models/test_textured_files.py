from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_mesh_files import FUZZ, Z_UP, glb_parts

from blender import in_blender
from khronos import khronos_report
from textured_cube import HEIGHT, SIDES, WIDTH, flat_tangents, textured_cube
from tondo.data.similarity import Similarity
from tondo.data.textured import TexturedMesh
from tondo.errors import InputError, OutputError
from tondo.io.models.glb import read_glb
from tondo.io.models.glb_mesh import glb_parts as glb_parts_of
from tondo.io.models.mesh_files import in_world, read_mesh
from tondo.io.models.textured_files import (
    read_textured,
    split_at_seams,
    write_levels,
    write_textured,
)
from tondo.mesh.render import sampled

every_format = pytest.mark.parametrize("suffix", [".glb", ".obj"])


def side_colors(mesh: Any, uvs: Any, texture: Any) -> torch.Tensor:
    """[6, 3] uint8: the texture in the middle of the first triangle of each side."""
    values = sampled(texture.color, uvs.mean(dim=1))
    return (values.view(6, 2, 3)[:, 0] * 255).round()


@every_format
@pytest.mark.parametrize("frame", ["format", "world"])
def test_written_files_read_back(tmp_path: Path, suffix: str, frame: Any) -> None:
    model, up = textured_cube(), torch.tensor([0.6, -0.48, 0.64])
    path = tmp_path / f"a cube{suffix}"
    write_textured(path, model, up, frame)
    mesh, uvs, texture = read_textured(path)
    assert uvs is not None
    assert texture is not None
    assert texture.color.shape == (HEIGHT, WIDTH, 3)
    assert len(mesh.vertices) == 8  # shared across seams again
    back = in_world(mesh, path, None, Z_UP)
    corners = model.mesh.vertices[model.mesh.faces]
    assert torch.allclose(back.vertices[back.faces], corners, atol=1e-6)
    assert torch.allclose(uvs, model.uvs, atol=1e-7)
    assert (side_colors(mesh, uvs, texture) - SIDES).abs().max() <= (4 if suffix == ".glb" else 0)


@every_format
def test_far_and_scaled_worlds_keep_their_place(tmp_path: Path, suffix: str) -> None:
    place = Similarity(0.5, (500_000.25, -4_000_000.5, 1200.0))
    path = tmp_path / f"far{suffix}"
    model = textured_cube(place=place)
    write_textured(path, model, Z_UP, "world")
    mesh, _, _ = read_textured(path)
    world = mesh.world_from_scene.to_world(mesh.vertices[mesh.faces])
    assert torch.allclose(world, place.to_world(model.mesh.vertices[model.mesh.faces]), atol=1e-5)
    assert mesh.world_from_scene.is_shifted


def test_a_glb_has_one_mesh_material_and_image_and_no_colours_of_vertices(tmp_path: Path) -> None:
    model = textured_cube()
    write_textured(tmp_path / "a.glb", model, Z_UP, "world")
    tree, body = glb_parts(tmp_path / "a.glb")
    for name in ("meshes", "materials", "textures", "images", "samplers", "nodes"):
        assert len(tree[name]) == 1, name
    (primitive,) = tree["meshes"][0]["primitives"]
    assert set(primitive["attributes"]) == {"POSITION", "NORMAL", "TEXCOORD_0"}
    assert tree["samplers"][0] == {
        "magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071
    }  # fmt: skip
    matte = tree["materials"][0]["pbrMetallicRoughness"]
    assert (matte["roughnessFactor"], matte["metallicFactor"]) == (1, 0)
    assert tree["images"][0]["mimeType"] == "image/jpeg"
    view = tree["bufferViews"][tree["images"][0]["bufferView"]]
    assert body[view["byteOffset"] :][:3] == b"\xff\xd8\xff"
    # the mesh's own vertices come first, in their order
    accessor = tree["accessors"][primitive["attributes"]["POSITION"]]
    start = tree["bufferViews"][accessor["bufferView"]]["byteOffset"]
    assert accessor["count"] == 24
    assert body[start : start + 8 * 12] == model.mesh.vertices.numpy().tobytes()


def test_an_obj_shares_its_vertices_and_names_its_material(tmp_path: Path) -> None:
    write_textured(tmp_path / "a cube.obj", textured_cube(maps=True), Z_UP)
    lines = (tmp_path / "a cube.obj").read_text().splitlines()
    assert len([line for line in lines if line.startswith("v ")]) == 8
    assert "mtllib a cube.mtl" in lines
    assert "usemtl a_cube" in lines
    material = (tmp_path / "a cube.mtl").read_text()
    for line in ("newmtl a_cube", "map_Kd a cube.png", "norm a cube_normal.png", "Kd 1 1 1"):
        assert line in material.splitlines()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "a cube.mtl", "a cube.obj", "a cube.png", "a cube_normal.png", "a cube_occlusion.png"
    ]  # fmt: skip
    _, _, texture = read_textured(tmp_path / "a cube.obj")
    assert texture is not None
    assert texture.normals is not None
    assert texture.normals[0, 0].tolist() == [128, 128, 255]


def test_normals_and_occlusion_come_back_from_a_glb(tmp_path: Path) -> None:
    model = textured_cube(maps=True)
    with pytest.raises(ValueError, match="tangents"):
        write_textured(tmp_path / "a.glb", model, Z_UP)
    write_textured(tmp_path / "a.glb", model, Z_UP, tangents=flat_tangents)
    _, _, texture = read_textured(tmp_path / "a.glb")
    assert texture is not None
    assert model.texture.occlusion is not None
    assert texture.occlusion is not None
    assert torch.equal(texture.occlusion, model.texture.occlusion)
    assert texture.normals is not None
    tree, _ = glb_parts(tmp_path / "a.glb")
    material = tree["materials"][0]
    assert material["occlusionTexture"] == {"index": 2}
    assert material["normalTexture"] == {"index": 1}


def test_vertices_are_split_where_the_texture_has_a_seam_or_another_side() -> None:
    faces = torch.tensor([[0, 1, 2], [2, 1, 4]])
    uvs = torch.tensor([[[0.0, 0], [1, 0], [0, 1]], [[0, 1], [1, 0], [0.5, 0.5]]])
    split = split_at_seams(faces, uvs, None, 5)
    assert split.owner.tolist() == [0, 1, 2, 3, 4]  # vertex 3 is no face's, and stays
    assert torch.equal(split.faces, faces)
    uvs[1, 0, 0] = 0.25
    split = split_at_seams(faces, uvs, None, 5)
    assert split.owner.tolist() == [0, 1, 2, 3, 4, 2]
    assert torch.equal(split.uvs[split.faces], uvs)
    tangents = torch.tensor([1.0, 0, 0, 1]).expand(2, 3, 4).clone()
    tangents[1, :, 3] = -1
    split = split_at_seams(faces, uvs, tangents, 5)
    assert sorted(split.owner.tolist()) == [0, 1, 1, 2, 2, 3, 4]
    assert split.tangents is not None
    assert torch.equal(split.tangents[split.faces], tangents)


def messages(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = khronos_report(path)["issues"]["messages"]
    return found


def square(model: TexturedMesh) -> TexturedMesh:
    """The same with a texture whose sides are powers of two, of which the validator has nothing to
    say."""
    from dataclasses import replace

    texture = model.texture
    parts = {
        name: None if (one := getattr(texture, name)) is None else one[:32, :32].contiguous()
        for name in ("color", "normals", "occlusion")
    }
    return replace(model, texture=replace(texture, **parts))


@pytest.mark.parametrize("maps", [False, True])
def test_the_khronos_validator_has_nothing_to_say(tmp_path: Path, maps: bool) -> None:
    far = Similarity(1.0, (5e5, 0.0, 0.0))
    for name, model in (("near", textured_cube(maps=maps)), ("far", textured_cube(place=far))):
        write_textured(tmp_path / f"{name}.glb", square(model), Z_UP, tangents=flat_tangents)
        assert messages(tmp_path / f"{name}.glb") == []
    levels = [square(textured_cube(maps=maps)), square(textured_cube(size=(1, 1, 1)))]
    write_levels(tmp_path / "levels.glb", levels, Z_UP, tangents=flat_tangents)
    assert messages(tmp_path / "levels.glb") == []


@every_format
def test_levels_share_one_texture(tmp_path: Path, suffix: str) -> None:
    levels = [textured_cube(), textured_cube(size=(1, 1, 1))]
    write_levels(tmp_path / f"fish{suffix}", levels, Z_UP, "world")
    names = ["fish_LOD0", "fish_LOD1"]
    if suffix == ".glb":
        tree, _ = glb_parts(tmp_path / "fish.glb")
        assert [node["name"] for node in tree["nodes"]] == names
        assert len(tree["materials"]) == len(tree["images"]) == 1
        assert {m["primitives"][0]["material"] for m in tree["meshes"]} == {0}
        assert len(read_mesh(tmp_path / "fish.glb").faces) == 12
    else:
        lines = (tmp_path / "fish.obj").read_text().splitlines()
        assert [line for line in lines if line.startswith("o ")] == [f"o {n}" for n in names]
    mesh, uvs, _ = read_textured(tmp_path / f"fish{suffix}")
    assert len(mesh.faces) == 12  # the finest
    assert uvs is not None
    assert torch.allclose(uvs, levels[0].uvs, atol=1e-7)
    assert torch.allclose(mesh.vertices[mesh.faces], levels[0].mesh.vertices[mesh.faces], atol=1e-6)


def test_a_picture_beside_an_obj_is_not_replaced_unless_it_is_ours(tmp_path: Path) -> None:
    photo = tmp_path / "chair.png"
    photo.write_bytes(b"a photograph")
    with pytest.raises(OutputError, match=r"chair\.png"):
        write_textured(tmp_path / "chair.obj", textured_cube(), Z_UP)
    assert [p.name for p in tmp_path.iterdir()] == ["chair.png"]
    assert photo.read_bytes() == b"a photograph"
    write_textured(tmp_path / "table.obj", textured_cube(), Z_UP)
    before = (tmp_path / "table.obj").read_bytes()
    write_textured(tmp_path / "table.obj", textured_cube(size=(3, 3, 3)), Z_UP)
    assert (tmp_path / "table.obj").read_bytes() != before


@pytest.mark.parametrize("failing", [".obj", ".mtl", ".png", ".glb"])
def test_a_full_disk_leaves_nothing(
    tmp_path: Path, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.suffix == failing:
            whole(self, data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        return whole(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    path = tmp_path / ("a.glb" if failing == ".glb" else "a.obj")
    with pytest.raises(OutputError, match=rf"a\{failing}: No space left"):
        write_textured(path, textured_cube(), Z_UP)
    assert list(tmp_path.iterdir()) == []


def edited_glb(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """The file with another JSON."""
    tree, body = glb_parts(path)
    change(tree)
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sIIII", b"glTF", 2, 28 + len(text) + len(body), len(text), 0x4E4F534A)
    path.write_bytes(head + text + struct.pack("<II", len(body), 0x4E4942) + body)


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "promises too much": lambda t: t["accessors"][0].update(count=10**13),
    "less than nothing": lambda t: t["accessors"][0].update(count=-1),
    "no such view": lambda t: t["accessors"][0].update(bufferView=77),
    "its own parent": lambda t: t["nodes"][0].update(children=[0]),
    "no such node": lambda t: t["scenes"][0].update(nodes=[5]),
    "no place": lambda t: t["nodes"][0].update(matrix=[1] * 15),
    "endless": lambda t: t["bufferViews"][0].update(byteLength=10**15),
    "strides": lambda t: t["bufferViews"][0].update(byteStride=1),
    "another's picture": lambda t: t["images"][0].update(bufferView="x"),
    "no picture": lambda t: t["images"][0].update(bufferView=0),
    "compressed": lambda t: t["meshes"][0]["primitives"][0].update(
        extensions={"KHR_draco_mesh_compression": {}}
    ),
    "moved texture": lambda t: t["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"].update(
        extensions={"KHR_texture_transform": {"scale": [2, 2]}}
    ),
    "no list": lambda t: t.update(nodes={}),
    "words": lambda t: t["accessors"][0].update(type=["VEC3"]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_glbs_that_lie_are_input_errors(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.glb"
    write_textured(path, textured_cube(), Z_UP)
    edited_glb(path, CHANGES[name])
    with pytest.raises(InputError, match=r"a\.glb"):
        read_textured(path)


def test_a_mesh_shown_very_often_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "a.glb"
    write_textured(path, textured_cube(), Z_UP)

    def many(tree: dict[str, Any]) -> None:
        tree["meshes"][0]["primitives"] *= 1000
        tree["nodes"] = [{"mesh": 0}] * 1000
        tree["scenes"][0]["nodes"] = list(range(1000))

    shutil.copy(path, tmp_path / "whole.glb")
    edited_glb(path, many)
    with pytest.raises(InputError, match="100,000 parts"):
        read_textured(path)
    with pytest.raises(ValueError, match="12 faces, more than 5"):
        glb_parts_of(read_glb(tmp_path / "whole.glb"), 5)


def test_nothing_outside_of_the_folder_is_opened(tmp_path: Path) -> None:
    """Neither by a path, nor by a link, nor by an address in a GLB."""
    folder = tmp_path / "folder"
    folder.mkdir()
    write_textured(folder / "a.obj", textured_cube(), Z_UP)
    shutil.copy(folder / "a.png", tmp_path / "out.png")
    material = (folder / "a.mtl").read_text()
    (folder / "link.png").symlink_to(tmp_path / "out.png")
    for name in ("../out.png", str(tmp_path / "out.png"), "..\\out.png", "link.png", "none.png"):
        (folder / "a.mtl").write_text(material.replace("a.png", name))
        assert read_textured(folder / "a.obj")[2] is None
    (folder / "a.mtl").write_text(material)
    assert read_textured(folder / "a.obj")[2] is not None
    text = (folder / "a.obj").read_text()
    (folder / "a.obj").write_text(text.replace("mtllib a.mtl", "mtllib ../folder/a.mtl"))
    assert read_textured(folder / "a.obj")[2] is None
    write_textured(folder / "a.glb", textured_cube(), Z_UP)
    edited_glb(folder / "a.glb", lambda t: t["images"].__setitem__(0, {"uri": "a.png"}))
    assert read_textured(folder / "a.glb")[2] is None


@every_format
@FUZZ
@given(edits=st.lists(st.tuples(st.integers(0, 6000), st.integers(0, 255)), max_size=6))
def test_any_damage_gives_a_mesh_or_an_input_error(
    tmp_path: Path, suffix: str, edits: list[tuple[int, int]]
) -> None:
    path = tmp_path / f"a{suffix}"
    if not (tmp_path / "whole").exists():
        write_textured(path, textured_cube(), Z_UP)
        shutil.copy(path, tmp_path / "whole")
        shutil.copy(tmp_path / "a.mtl", tmp_path / "whole.mtl") if suffix == ".obj" else None
    damaged = [(tmp_path / "whole", path)]
    if suffix == ".obj":
        damaged.append((tmp_path / "whole.mtl", tmp_path / "a.mtl"))
    for source, target in damaged:
        data = bytearray(source.read_bytes())
        for place, value in edits:
            data[place % len(data)] = value
        target.write_bytes(data)
    try:
        mesh, uvs, texture = read_textured(path)
    except InputError:
        return
    assert bool(torch.isfinite(mesh.vertices).all())
    assert len(mesh.faces) > 0
    assert uvs is None or bool(torch.isfinite(uvs).all())
    assert texture is None or texture.color.dtype == torch.uint8


def test_polygons_strips_and_nodes_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text(
        "v 0 0 0\nv 2 0 0\nv 2 1 0\nv 0 1 0 \\\n\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
        "f -4/-4 -3/-3 -2/-2 -1/-1\n"
    )
    mesh, uvs, texture = read_textured(tmp_path / "a.obj")
    assert texture is None
    assert uvs is not None
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert uvs[0].tolist() == [[0, 1], [1, 1], [1, 0]]  # v is downwards here
    # a quad with a corner that points inwards is cut through that corner
    (tmp_path / "b.obj").write_text("v 0 0 0\nv 4 0 0\nv 1 1 0\nv 0 4 0\nf 2 3 4 1\n")
    mesh, _, _ = read_textured(tmp_path / "b.obj")
    a, b, c = mesh.vertices[mesh.faces].unbind(1)
    assert bool((torch.linalg.cross(b - a, c - a)[:, 2] > 0).all())
    write_textured(tmp_path / "c.glb", textured_cube(), Z_UP, "world")

    def move(tree: dict[str, Any]) -> None:
        tree["nodes"] = [
            {"children": [1], "translation": [10, 0, 0]},
            {
                "mesh": 0,
                "rotation": [0, 0, 0.7071067811865476, 0.7071067811865476],
                "scale": [2, 1, 1],
            },
        ]

    edited_glb(tmp_path / "c.glb", move)
    mesh, _, _ = read_textured(tmp_path / "c.glb")
    # the cube is 1 x 2 x 3; its x, twice as long, becomes y, and its y becomes -x
    assert np.allclose(mesh.vertices.amin(dim=0), [8, 0, 0], atol=1e-5)
    assert np.allclose(mesh.vertices.amax(dim=0), [10, 2, 3], atol=1e-5)


@every_format
def test_blender_shows_the_texture_where_it_belongs(tmp_path: Path, suffix: str) -> None:
    model = textured_cube(maps=True)
    path = tmp_path / f"a cube{suffix}"
    write_textured(path, model, Z_UP, tangents=flat_tangents)
    found = in_blender(path)
    assert (found["materials"], found["uv_layers"], found["faces"]) == (1, 1, 12)
    spaces = {end: one["space"] for one in found["images"].values() for end in one["ends"]}
    assert spaces["Base Color"] == "sRGB"
    assert spaces.get("Normal") == ("Non-Color" if suffix == ".glb" else None)
    assert {tuple(one["size"]) for one in found["images"].values()} == {(WIDTH, HEIGHT)}
    # where Blender has a corner in space and in the texture (whose v is upwards there)
    points = np.array(found["points"])[found["loops"]]
    seen = np.concatenate([points, np.array(found["uvs"]) * [1, -1] + [0, 1]], axis=1)
    corners = model.mesh.vertices[model.mesh.faces].reshape(-1, 3)
    made = np.concatenate([corners.numpy(), model.uvs.reshape(-1, 2).numpy()], axis=1)
    assert np.allclose(np.unique(seen.round(4), axis=0), np.unique(made.round(4), axis=0))


def test_several_or_repeated_textures_are_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    model = textured_cube()
    for suffix in (".glb", ".obj"):
        write_textured(tmp_path / f"a{suffix}", replace(model, uvs=3 * model.uvs), Z_UP)
        with pytest.raises(InputError, match="repeated"):
            read_textured(tmp_path / f"a{suffix}")
