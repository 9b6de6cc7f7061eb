from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from blender import in_blender
from khronos import khronos_report
from tondo.data.mesh import Mesh
from tondo.errors import InputError, OptionError, OutputError
from tondo.io.models.mesh_files import UP_AXES, format_from_world, read_mesh, write_mesh

Z_UP = torch.tensor([0.0, 0.0, 1.0])
FUZZ = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def cone(up: Tensor = Z_UP) -> Mesh:
    """A cone whose tip is 2 along `up`, with colours from black to bright, and normals."""
    model = trimesh.creation.cone(radius=0.5, height=2.0, sections=24)
    vertices = torch.tensor(model.vertices, dtype=torch.float32)
    shade = (vertices[:, 2:] / 2 * 255).round()
    colors = torch.cat([shade, shade / 2, 255 - shade], dim=1).to(torch.uint8)
    normals = torch.tensor(np.array(model.vertex_normals), dtype=torch.float32)
    turn = torch.from_numpy(format_from_world(up, "z")).float()  # z from world
    return Mesh(vertices @ turn, torch.tensor(model.faces), colors, normals @ turn)


@pytest.mark.parametrize("up", [(0, 0, 1), (0, -1, 0), (0, 0, -1), (1, 0, 0), (0.6, -0.48, 0.64)])
@pytest.mark.parametrize("axis", ["y", "z"])
def test_up_becomes_the_formats_up_axis(up: tuple[float, ...], axis: str) -> None:
    direction = torch.tensor(up, dtype=torch.float32)
    rotation = format_from_world(direction, axis)
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)
    turned = rotation @ direction.double().numpy()
    assert np.allclose(turned, [0, 1, 0] if axis == "y" else [0, 0, 1], atol=1e-6)


def test_a_scene_that_is_z_up_is_not_turned_for_z_up_files() -> None:
    assert np.array_equal(format_from_world(Z_UP, "z"), np.eye(3))
    assert np.array_equal(format_from_world(Z_UP, "y") @ [1, 2, 3], [1, 3, -2])


@pytest.mark.parametrize("suffix", list(UP_AXES))
def test_written_files_read_back(tmp_path: Path, suffix: str) -> None:
    up = torch.tensor([0.6, -0.48, 0.64])
    mesh = cone(up)
    write_mesh(tmp_path / f"a{suffix}", mesh, up)
    back = read_mesh(tmp_path / f"a{suffix}")
    height = back.vertices[:, 1 if UP_AXES[suffix] == "y" else 2]
    assert height.max() == pytest.approx(2.0, abs=1e-5)
    assert height.min() == pytest.approx(0.0, abs=1e-5)
    model = trimesh.Trimesh(back.vertices.numpy(), back.faces.numpy())
    expected = trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy())
    assert model.volume == pytest.approx(expected.volume, rel=1e-4)
    assert len(back.faces) == len(mesh.faces)
    if suffix != ".stl":
        assert torch.equal(back.faces, mesh.faces)
        assert back.colors is not None
        assert torch.equal(back.colors, mesh.colors)


@pytest.mark.parametrize("suffix", list(UP_AXES))
def test_the_world_frame_keeps_coordinates(tmp_path: Path, suffix: str) -> None:
    up = torch.tensor([0.6, -0.48, 0.64])
    mesh = cone(up)
    write_mesh(tmp_path / f"a{suffix}", mesh, up, "world")
    back = read_mesh(tmp_path / f"a{suffix}")
    assert torch.allclose(
        back.vertices[back.faces], mesh.vertices[mesh.faces], atol=1e-6
    )  # STL stores each triangle's own corners


def glb_parts(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    length = struct.unpack("<I", data[12:16])[0]
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def test_glb_colours_are_linear_light_of_16_bits(tmp_path: Path) -> None:
    mesh = cone()
    assert mesh.colors is not None
    mesh.colors[0] = torch.tensor([3, 128, 255])
    write_mesh(tmp_path / "a.glb", mesh, Z_UP)
    tree, body = glb_parts(tmp_path / "a.glb")
    primitive = tree["meshes"][0]["primitives"][0]
    assert set(primitive["attributes"]) == {"POSITION", "NORMAL", "COLOR_0"}
    accessor = tree["accessors"][primitive["attributes"]["COLOR_0"]]
    assert accessor["componentType"] == 5123
    assert accessor["normalized"] is True
    start = tree["bufferViews"][accessor["bufferView"]]["byteOffset"]
    first = np.frombuffer(body, "<u2", 4, start) / 65535
    # the sRGB standard's own values: 3/255/12.92 and ((128/255 + 0.055) / 1.055)^2.4
    assert np.allclose(first, [0.000911, 0.215861, 1, 1], atol=1e-5)
    matte = tree["materials"][primitive["material"]]["pbrMetallicRoughness"]
    assert matte["metallicFactor"] == 0
    assert matte["roughnessFactor"] == 1


def test_ply_normals_and_obj_colours_are_written(tmp_path: Path) -> None:
    for suffix in (".ply", ".obj"):
        write_mesh(tmp_path / f"a{suffix}", cone(), Z_UP)
    header = (tmp_path / "a.ply").read_bytes().split(b"end_header")[0]
    for word in (b"float nx", b"uchar red", b"binary_little_endian"):
        assert word in header
    lines = (tmp_path / "a.obj").read_text().splitlines()
    assert len([w for w in lines if w.startswith("v ") and len(w.split()) == 7]) == len(
        cone().vertices
    )
    assert any(line.startswith("vn ") for line in lines)


def test_wrong_endings_and_places(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"\.glb"):
        write_mesh(tmp_path / "a.fbx", cone(), Z_UP)
    with pytest.raises(InputError, match=r"\.glb"):
        read_mesh(tmp_path / "a.fbx")
    with pytest.raises(InputError, match=r"none\.obj"):
        read_mesh(tmp_path / "none.obj")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        write_mesh(tmp_path / "file" / "a.glb", cone(), Z_UP)
    empty = Mesh(torch.empty(0, 3), torch.empty(0, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="without faces"):
        write_mesh(tmp_path / "a.glb", empty, Z_UP)
    assert not (tmp_path / "a.glb").exists()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("suffix", list(UP_AXES))
def test_damaged_files_are_input_errors(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_mesh(path, cone(), Z_UP)
    data = path.read_bytes()
    for bad in (b"", b"\0" * 50, data[:60], b"hello\n" * 30):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=rf"a\{suffix}"):
            read_mesh(path)
    broken = Mesh(cone().vertices + torch.inf, cone().faces)
    write_mesh(path, broken, Z_UP, "world")
    with pytest.raises(InputError, match=rf"a\{suffix}"):
        read_mesh(path)


def test_a_glb_that_promises_too_much_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "a.glb"
    write_mesh(path, cone(), Z_UP)
    data = path.read_bytes()
    tree, body = glb_parts(path)
    for change in ({"count": 10**13}, {"count": -1}, {"bufferView": 77}):
        edited = json.loads(json.dumps(tree))
        edited["accessors"][0].update(change)
        text = json.dumps(edited).encode()
        text += b" " * (-len(text) % 4)
        head = struct.pack("<4sIIII", b"glTF", 2, 28 + len(text) + len(body), len(text), 0x4E4F534A)
        path.write_bytes(head + text + struct.pack("<II", len(body), 0x4E4942) + body)
        with pytest.raises(InputError, match=r"a\.glb"):
            read_mesh(path)
    path.write_bytes(data)
    assert len(read_mesh(path).faces) == len(cone().faces)


@pytest.mark.parametrize("suffix", list(UP_AXES))
@FUZZ
@given(edits=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=5))
def test_any_damage_gives_a_mesh_or_an_input_error(
    tmp_path: Path, suffix: str, edits: list[tuple[int, int]]
) -> None:
    path = tmp_path / f"a{suffix}"
    if not path.exists():
        write_mesh(path, cone(), Z_UP)
        shutil.copy(path, tmp_path / "whole")
    data = bytearray((tmp_path / "whole").read_bytes())
    for place, value in edits:
        data[place % len(data)] = value
    path.write_bytes(data)
    try:
        mesh = read_mesh(path)
    except InputError:
        return
    assert bool(torch.isfinite(mesh.vertices).all())
    assert len(mesh.faces) > 0


def folded() -> Mesh:
    """Two faces back to back, whose normals cancel out at each vertex."""
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    return Mesh(vertices, torch.tensor([[0, 1, 2], [0, 2, 1]]), None, torch.zeros(3, 3))


@pytest.mark.parametrize(
    "mesh",
    [
        cone(),
        Mesh(cone().vertices, cone().faces),
        folded(),
        Mesh(*list(vars(folded()).values())[:2]),
    ],
    ids=["colours", "bare", "folded", "folded without normals"],
)
def test_glb_passes_the_khronos_validator(tmp_path: Path, mesh: Mesh) -> None:
    write_mesh(tmp_path / "a.glb", mesh, Z_UP)
    report = khronos_report(tmp_path / "a.glb")
    assert report["issues"]["numErrors"] == 0, report["issues"]["messages"]
    assert report["issues"]["numWarnings"] == 0, report["issues"]["messages"]
    assert report["info"]["totalTriangleCount"] == len(mesh.faces)


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_blender_opens_it_upright_and_in_the_right_colours(tmp_path: Path, suffix: str) -> None:
    up = torch.tensor([0.0, -1.0, 0.0])
    mesh = cone(up)
    write_mesh(tmp_path / f"a{suffix}", mesh, up)
    found = in_blender(tmp_path / f"a{suffix}")
    assert found["faces"] == len(mesh.faces)
    assert len(found["points"]) == len(mesh.vertices)
    points = np.array(found["points"])
    assert points.min(axis=0) == pytest.approx([-0.5, -0.5, 0.0], abs=0.01)
    assert points.max(axis=0) == pytest.approx([0.5, 0.5, 2.0], abs=0.01)
    assert mesh.colors is not None
    colors = np.array(found["colors"])[:, :3] * 255
    assert np.abs(colors - mesh.colors.numpy()).max() < 1.5
