"""Coloured meshes: reading, normals, and what a variation may and may not change."""

from __future__ import annotations

import colorsys
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import trimesh
from colored_meshes import DARK, GREY, RED, painted, write_toy

from tondo.demo import mesh_variation
from tondo.demo.mesh_variation import (
    REACH,
    ColoredMesh,
    Variation,
    read_colored_mesh,
    vary,
)
from tondo.errors import InputError

SAME = Variation(
    hue=(0, 0),
    hue_each=(0, 0),
    saturation=(1, 1),
    value=(1, 1),
    tint=(0, 0),
    length=(1, 1),
    height=(1, 1),
    width=(1, 1),
    fins=(0, 0),
)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def toy(tmp_path: Path) -> ColoredMesh:
    return read_colored_mesh(write_toy(tmp_path / "toy.glb"))


def test_parts_keep_their_colours_as_srgb(toy: ColoredMesh) -> None:
    assert toy.palette.shape == (3, 3)
    linear = np.array([RED, GREY, DARK])
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(toy.palette, srgb, atol=0.02)
    assert np.bincount(toy.materials).tolist() == [320, 12, 80]
    assert toy.faces.max() == len(toy.vertices) - 1


def test_nodes_put_parts_in_their_places(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    place = np.eye(4)
    place[:3, 3] = [0, 0, 6]
    scene.add_geometry(painted(trimesh.creation.box((1, 1, 1)), RED))
    scene.add_geometry(painted(trimesh.creation.box((1, 1, 1)), GREY), transform=place)
    (tmp_path / "two.glb").write_bytes(scene.export(file_type="glb"))
    found = read_colored_mesh(tmp_path / "two.glb")
    size = np.ptp(found.vertices, axis=0)
    assert size[2] / size[0] == pytest.approx(7.0, rel=1e-5)


def test_no_variation_is_the_same_thing(toy: ColoredMesh) -> None:
    found = vary(toy, SAME, generator())
    np.testing.assert_allclose(found.vertices, toy.vertices, atol=1e-12)
    np.testing.assert_allclose(found.palette, toy.palette, atol=1e-12)


def test_every_variation_fills_the_unit_sphere_and_stays_inside(toy: ColoredMesh) -> None:
    for seed in range(20):
        found = vary(toy, Variation(), generator(seed))
        assert np.linalg.norm(found.vertices, axis=1).max() == pytest.approx(REACH)
        np.testing.assert_allclose(found.vertices.min(0), -found.vertices.max(0), atol=1e-9)
        assert found.palette.min() >= 0
        assert found.palette.max() <= 1
    again = vary(toy, Variation(), generator(19))
    np.testing.assert_array_equal(again.vertices, found.vertices)
    np.testing.assert_array_equal(again.palette, found.palette)


def test_proportions_are_factors_along_the_axes(toy: ColoredMesh) -> None:
    chosen = dataclasses.replace(SAME, length=(1.5, 1.5), width=(0.5, 0.5))
    stretched = vary(toy, chosen, generator())
    before, after = (np.ptp(mesh.vertices, axis=0) for mesh in (toy, stretched))
    ratio = after / before
    assert ratio[2] / ratio[1] == pytest.approx(1.5)
    assert ratio[0] / ratio[1] == pytest.approx(0.5)


def test_fins_grow_and_the_body_stays(toy: ColoredMesh) -> None:
    away = np.linalg.norm(toy.vertices[:, :2], axis=1)
    grown = mesh_variation._stretched_fins(toy.vertices, 0.4)
    moved = np.linalg.norm(grown - toy.vertices, axis=1)
    inner = away <= np.median(away)
    assert moved[inner].max() == 0.0
    np.testing.assert_allclose(moved[~inner], 0.4 * (away[~inner] - np.median(away)), atol=1e-12)
    assert np.argmax(moved) == np.argmax(away)
    np.testing.assert_array_equal(grown[:, 2], toy.vertices[:, 2])


def test_hues_turn_and_greys_stay_grey(toy: ColoredMesh) -> None:
    chosen = dataclasses.replace(SAME, hue=(0.25, 0.25), saturation=(0.5, 0.5), value=(1.1, 1.1))
    found = vary(toy, chosen, generator()).palette
    hsv = np.array([[colorsys.rgb_to_hsv(*c) for c in p] for p in (toy.palette, found)])
    assert hsv[1, 0, 0] == pytest.approx((hsv[0, 0, 0] + 0.25) % 1)
    assert hsv[1, 0, 1] == pytest.approx(hsv[0, 0, 1] / 2)
    np.testing.assert_allclose(hsv[1, :, 2], hsv[0, :, 2] * 1.1)
    assert np.ptp(found[1]) < 0.01
    assert np.ptp(found[2]) < 0.01


def test_greys_are_tinted_and_black_and_white_stay(toy: ColoredMesh) -> None:
    palette = np.array([[0.5, 0.5, 0.5], [0.02, 0.02, 0.02], [0.97, 0.96, 0.95], [0.8, 0.1, 0.1]])
    materials = np.zeros_like(toy.materials)
    mesh = dataclasses.replace(toy, palette=palette, materials=materials)
    chosen = dataclasses.replace(SAME, tint=(0.4, 0.4), hue=(0.3, 0.3))
    found = np.array([colorsys.rgb_to_hsv(*c) for c in vary(mesh, chosen, generator()).palette])
    np.testing.assert_allclose(found[0], [0.3, 0.4, 0.5], atol=1e-9)
    assert found[1, 1] == pytest.approx(0.0)
    assert found[2, 1] < 0.05
    assert found[3, 1] == pytest.approx(7 / 8)


def test_normals_of_a_box_keep_its_edges_and_of_a_ball_point_outwards(tmp_path: Path) -> None:
    box = trimesh.creation.box((1, 2, 3))
    box.unmerge_vertices()
    painted(box, RED).export(tmp_path / "box.glb")
    found = read_colored_mesh(tmp_path / "box.glb").normals
    np.testing.assert_allclose(np.sort(np.abs(found), axis=1)[:, 2], 1.0, atol=1e-9)
    ball = trimesh.creation.icosphere(subdivisions=3)
    half = ball.triangles_center[:, 0] > 0
    scene = trimesh.Scene()
    for color, faces in ((RED, half), (GREY, ~half)):
        part = trimesh.Trimesh(ball.vertices, ball.faces[faces], process=False)
        part.vertex_normals = ball.vertex_normals  # as a file has them that is cut by material
        part.remove_unreferenced_vertices()
        scene.add_geometry(painted(part, color))
    (tmp_path / "ball.glb").write_bytes(scene.export(file_type="glb", include_normals=True))
    mesh = read_colored_mesh(tmp_path / "ball.glb")
    cosines = (mesh.normals * mesh.vertices).sum(1) / REACH
    assert cosines.min() > 0.995  # the seam of the two materials included


def test_wrong_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="is not a GLB file"):
        read_colored_mesh(tmp_path / "none.glb")
    (tmp_path / "a.obj").write_text("v 0 0 0")
    with pytest.raises(InputError, match="is not a GLB file"):
        read_colored_mesh(tmp_path / "a.obj")
    whole = write_toy(tmp_path / "toy.glb")
    (tmp_path / "cut.glb").write_bytes(whole.read_bytes()[:900])
    with pytest.raises(InputError, match="is not a readable mesh"):
        read_colored_mesh(tmp_path / "cut.glb")
    monkeypatch.setattr(mesh_variation, "MAX_FACES", 100)
    with pytest.raises(InputError, match="more than 100 triangles"):
        read_colored_mesh(whole)
    monkeypatch.setattr(mesh_variation, "MAX_BYTES", 100)
    with pytest.raises(InputError, match="simplify it first"):
        read_colored_mesh(whole)


def test_the_shared_fish_have_several_colours_and_swim_along_z(shared_data: Path) -> None:
    paths = sorted((shared_data / "fish").glob("*.glb"))
    assert len(paths) == 35
    lengths = []
    for path in paths[::4]:
        mesh = read_colored_mesh(path)
        assert 2 <= len(mesh.palette) <= 12
        assert 1000 < len(mesh.faces) < 3000
        lengths.append(np.ptp(mesh.vertices, axis=0))
    assert np.median(np.argmax(lengths, axis=1)) == 2
