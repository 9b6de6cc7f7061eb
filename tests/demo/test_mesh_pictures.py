"""Pictures of meshes: coverage, order in depth, cameras, and the files of a training set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from colored_meshes import quad, write_toy

from tondo.demo.mesh_pictures import draw, lit_colors, photograph_meshes
from tondo.demo.mesh_variation import ColoredMesh, read_colored_mesh
from tondo.errors import InputError, OptionError, OutputError
from tondo.io.images import read_image
from tondo.io.posed.intrinsics import lens_of
from tondo.io.posed.transforms_json import read_transforms

SIZE = 16
RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def camera(focal: float = 16.0, distance: float = 4.0) -> tuple[torch.Tensor, torch.Tensor]:
    """One that looks along +z at the origin; there 1 unit is 4 pixels. The middle is off-centre."""
    viewmat = torch.eye(4)
    viewmat[2, 3] = distance
    return viewmat, torch.tensor([[focal, 0, 6.0], [0, focal, 9.0], [0, 0, 1]])


def flat(corners: np.ndarray, color: tuple[float, float, float]) -> np.ndarray:
    return np.broadcast_to(np.array(color), corners.shape).copy()


def test_coverage_of_a_rectangle_is_exact_to_the_sample() -> None:
    # x from 6 - 4 to 6 + 4.5 pixels, y from 9 - 8 to 9 + 2.25.
    corners = quad((-1.0, 1.125), (-2.0, 0.5625), 0.0)
    found = draw(corners, flat(corners, RED), *camera(), SIZE)
    expected = np.zeros((SIZE, SIZE))
    expected[1:11, 2:10] = 1.0
    expected[1:11, 10] = 0.5
    expected[11, 2:10] = 0.25
    expected[11, 10] = 0.125
    np.testing.assert_array_equal(found[..., 3], (expected * 255).round())
    seen = found[..., 3] > 0
    assert (found[seen][:, :3] == [255, 0, 0]).all()  # straight, not multiplied by the coverage
    assert (found[~seen] == 0).all()


def test_both_sides_are_seen_and_the_nearer_one_wins_in_any_order() -> None:
    near, far = quad((-1, 0.5), (-1, 1), -1.0)[:, ::-1], quad((-1, 1), (-1, 1), 1.0)
    for order in ((near, far), (far, near)):
        corners = np.concatenate(order)
        colors = np.concatenate([flat(c, RED if c is near else BLUE) for c in order])
        found = draw(corners, colors, *camera(), SIZE)
        assert found[9, 6].tolist() == [255, 0, 0, 255]
        # near reaches x = 6 + 0.5 * 16 / 3 = 8.67, far x = 6 + 16 / 5 = 9.2
        assert found[9, 7].tolist() == [255, 0, 0, 255]
        assert found[9, 8].tolist() == [191, 0, 64, 255]
        assert found[9, 9].tolist() == [0, 0, 255, 64]
        assert found[9, 10].tolist() == [0, 0, 0, 0]


def test_crossing_triangles_cut_each_other_where_they_meet() -> None:
    level = quad((-1, 1), (-1, 1), 0.0)
    slanted = level.copy()
    slanted[..., 2] = slanted[..., 0]  # nearer on the left, further on the right
    corners = np.concatenate([level, slanted])
    colors = np.concatenate([flat(level, RED), flat(slanted, BLUE)])
    found = draw(corners, colors, *camera(), SIZE)
    assert found[9, 4].tolist() == [0, 0, 255, 255]
    assert found[9, 7].tolist() == [255, 0, 0, 255]


def test_colours_follow_the_surface_in_perspective() -> None:
    # A floor from z = 0 to z = 4 whose red grows with depth: at depth 6 it is half.
    corners = quad((-3, 3), (0, 1), 0.0)
    corners[..., 2] = 4 * corners[..., 1]
    corners[..., 1] = 1.0
    colors = np.zeros_like(corners)
    colors[..., 0] = corners[..., 2] / 4
    found = draw(corners, colors, *camera(), SIZE, samples=1)
    for row in (11, 12):
        depth = 16.0 / (row + 0.5 - 9.0)
        assert found[row, 6, 0] == pytest.approx(255 * (depth - 4) / 4, abs=1)


def test_points_land_where_the_camera_says() -> None:
    generator = np.random.default_rng(1)
    turn = np.linalg.qr(generator.normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    viewmat = torch.eye(4)
    viewmat[:3, :3], viewmat[:3, 3] = torch.from_numpy(turn), torch.tensor([0.1, -0.2, 5.0])
    # Pixels so small that it does not matter where within one the coverage is.
    K = camera()[1] * torch.tensor([[32.0], [32.0], [1.0]])
    for point in generator.uniform(-0.8, 0.8, (5, 3)):
        triangle = np.array([[0, -1, 0], [1, 1, 0], [-1, 1, 0]])  # as the camera sees it
        corners = (point + 0.3 * triangle @ turn)[None]
        found = draw(corners, flat(corners, RED), viewmat, K, 32 * SIZE, samples=1)
        weight = found[..., 3].astype(float)
        centre = [
            (weight.sum(axis) * (np.arange(32 * SIZE) + 0.5)).sum() / weight.sum()
            for axis in (0, 1)
        ]
        local = viewmat.double().numpy() @ [*corners[0].mean(0), 1]
        expected = (K.double().numpy() @ local[:3])[:2] / local[2]
        np.testing.assert_allclose(centre, expected, atol=1.0)  # a row of pixels more or less


def test_triangles_out_of_the_picture_or_edge_on_leave_nothing() -> None:
    edge_on = quad((0, 0), (-1, 1), 0.0)
    outside = quad((50, 60), (-1, 1), 0.0)
    corners = np.concatenate([edge_on, outside])
    assert draw(corners, flat(corners, RED), *camera(), SIZE).max() == 0
    with pytest.raises(ValueError, match="behind the camera"):
        draw(quad((0, 1), (0, 1), -4.0), flat(edge_on, RED), *camera(), SIZE)


def test_light_comes_from_above_and_left_is_lit_as_right() -> None:
    points = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0, -1, 0], [0, 0, -1]])
    faces = np.array([[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5],
                      [4, 3, 5], [0, 4, 5]])  # fmt: skip
    grey = np.full((1, 3), 0.5)
    mesh = ColoredMesh(points, faces, np.zeros(8, np.int64), grey, np.arange(6))
    found = np.zeros(6)
    found[faces] = lit_colors(mesh)[..., 0]
    right, up, front, left, down, back = found
    assert up > front > back > down > 0.2
    assert left == pytest.approx(right)
    assert up > 0.5


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("toys")
    return [write_toy(folder / f"{n}.glb", fin=fin) for n, fin in (("a", 0.4), ("b", 0.9))]


def test_a_training_set_has_pictures_and_cameras_that_fit(tmp_path: Path, toys: list[Path]) -> None:
    calls = []
    photograph_meshes(
        toys, tmp_path, count=12, size=33, seed=4, views=2, progress=lambda *n: calls.append(n)
    )
    assert calls == [(i + 1, 12) for i in range(12)]
    listed = read_transforms(tmp_path / "transforms.json")
    assert listed.is_render
    assert len(listed.frames) == 12
    for frame in listed.frames:
        lens = lens_of(frame.intrinsics, None, frame.name)
        fx, fy, cx, cy = lens.params
        assert (lens.width, lens.height, cx, cy) == (33, 33, 16.5, 16.5)
        assert fx == fy == pytest.approx(16.5 / np.tan(np.radians(10)))
        assert frame.path is not None
        alpha = read_image(frame.path).alpha
        assert alpha is not None
        border = torch.cat([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
        assert int(border.max()) == 0
        assert 0.03 < float((alpha > 127).float().mean()) < 0.6
        place = -frame.viewmat[:3, :3].T @ frame.viewmat[:3, 3]
        distance = np.linalg.norm(place)
        assert distance == pytest.approx(5.8, rel=1e-5)
        assert -30.1 < np.degrees(np.arcsin(place[2] / distance)) < 60.1


def test_the_file_s_cameras_see_the_pictures(tmp_path: Path, toys: list[Path]) -> None:
    """A mark drawn again through the file's camera, in its world, covers the picture's own."""
    import dataclasses

    from tondo.demo.mesh_pictures import VARIATION
    from tondo.demo.mesh_variation import vary

    plain = dataclasses.replace(VARIATION, hue=(0, 0))
    photograph_meshes(toys[:1], tmp_path, count=3, size=40, seed=9, variation=plain)
    for index, frame in enumerate(read_transforms(tmp_path / "transforms.json").frames):
        mesh = vary(read_colored_mesh(toys[0]), plain, np.random.default_rng([9, index]))
        x, y, z = mesh.vertices.T
        corners = np.stack([x, -z, y], axis=1)[mesh.faces]  # the file's world has +z up
        params = lens_of(frame.intrinsics, None, frame.name).params
        K = torch.tensor([[params[0], 0, params[2]], [0, params[1], params[3]], [0, 0, 1]])
        again = draw(corners, lit_colors(mesh), torch.from_numpy(frame.viewmat), K, 40)
        assert frame.path is not None
        picture = read_image(frame.path)
        assert picture.alpha is not None
        difference = np.abs(again[..., 3].astype(int) - picture.alpha.numpy().astype(int))
        assert (difference > 16).mean() < 0.002
        both = (again[..., 3] == 255) & (picture.alpha.numpy() == 255)
        assert np.abs(again[both][:, :3].astype(int) - picture.rgb.numpy()[both]).mean() < 0.5


def test_the_same_arguments_give_the_same_pictures(tmp_path: Path, toys: list[Path]) -> None:
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder, seed in zip(folders, (1, 1, 2), strict=True):
        photograph_meshes(toys, folder, count=3, size=24, seed=seed)
    files = [[p.read_bytes() for p in sorted((f / "images").iterdir())] for f in folders]
    assert files[0] == files[1]
    assert files[0] != files[2]
    texts = [(f / "transforms.json").read_text() for f in folders]
    assert texts[0] == texts[1] != texts[2]
    assert len(set(files[0])) == 3


def test_wrong_arguments(tmp_path: Path, toys: list[Path]) -> None:
    with pytest.raises(InputError, match="no meshes"):
        photograph_meshes([], tmp_path, count=1, size=32)
    with pytest.raises(OptionError, match="at least 1"):
        photograph_meshes(toys, tmp_path, count=0, size=32)
    with pytest.raises(OptionError, match=r"8\.\.2048"):
        photograph_meshes(toys, tmp_path, count=1, size=4)
    photograph_meshes(toys, tmp_path, count=1, size=8)
    with pytest.raises(OutputError, match="choose another folder"):
        photograph_meshes(toys, tmp_path, count=1, size=8)
