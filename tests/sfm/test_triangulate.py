"""Points from photos with known poses against the true surfaces."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from tondo.data.cameras import Camera
from tondo.data.photos import Photo, PointCloud
from tondo.data.similarity import Similarity
from tondo.sfm.motion.features import Features
from tondo.sfm.motion.tracks import KnownView, fundamental_matrix, sampson_error
from tondo.sfm.triangulate import fitting_convention, triangulate

BOARD_Z, WALL_Z, BOARD_HALF = 3.5, 5.0, 0.7


@pytest.fixture(scope="module")
def sparse(scene_photos: tuple[Photo, ...]) -> PointCloud:
    cloud = triangulate(scene_photos, max_features=1000)
    assert cloud is not None
    return cloud


def distance_to_scene(points: torch.Tensor) -> torch.Tensor:
    """[P] distance to the wall, or to the board for points nearer to that."""
    on_board = (points[:, :2].abs() < BOARD_HALF + 0.02).all(dim=1)
    to_wall = (points[:, 2] - WALL_Z).abs()
    return torch.where(on_board, torch.minimum((points[:, 2] - BOARD_Z).abs(), to_wall), to_wall)


def test_points_lie_on_the_surfaces(sparse: PointCloud) -> None:
    assert len(sparse.points) > 1000
    distance = distance_to_scene(sparse.points)
    assert float(distance.median()) < 0.01
    assert float(distance.quantile(0.95)) < 0.08
    on_board = (sparse.points[:, 2] - BOARD_Z).abs() < 0.1
    assert 50 < int(on_board.sum()) < len(sparse.points) / 2


def test_colors_are_those_of_the_photos(
    sparse: PointCloud, scene_photos: tuple[Photo, ...]
) -> None:
    photo = scene_photos[5]
    local = sparse.points @ photo.camera.viewmat[:3, :3].T + photo.camera.viewmat[:3, 3]
    pixels = local @ photo.camera.K.T
    x, y = (pixels[:, 0] / pixels[:, 2]).long(), (pixels[:, 1] / pixels[:, 2]).long()
    board = (sparse.points[:, 2] - BOARD_Z).abs() < 0.05
    seen = board & (x >= 0) & (x < photo.camera.width) & (y >= 0) & (y < photo.camera.height)
    difference = photo.image[y[seen], x[seen]].int() - sparse.colors[seen].int()
    assert int(seen.sum()) > 50
    assert float(difference.abs().float().mean()) < 12


def test_the_same_photos_give_the_same_points(
    sparse: PointCloud, scene_photos: tuple[Photo, ...]
) -> None:
    again = triangulate(scene_photos, max_features=1000)
    assert again is not None
    assert torch.equal(again.points, sparse.points)
    assert torch.equal(again.colors, sparse.colors)


def test_transparent_parts_have_no_points(scene_photos: tuple[Photo, ...]) -> None:
    masked = []
    for photo in scene_photos[3:8]:
        alpha = torch.zeros(photo.camera.height, photo.camera.width, dtype=torch.uint8)
        valid = torch.ones_like(alpha, dtype=torch.bool)
        alpha[:, 130:] = 255
        valid[200:] = False
        masked.append(replace(photo, alpha=alpha, valid=valid))
    cloud = triangulate(tuple(masked), max_features=1000)
    assert cloud is not None
    for photo in masked:
        local = cloud.points @ photo.camera.viewmat[:3, :3].T + photo.camera.viewmat[:3, 3]
        pixels = local @ photo.camera.K.T
        x, y = pixels[:, 0] / pixels[:, 2], pixels[:, 1] / pixels[:, 2]
        hidden = (x < 128) & (x > 0) | (y > 203) & (y < 300)
        # A point may be seen by two other photos, beyond this one's mask.
        assert float(hidden.float().mean()) < 0.35


def test_nothing_comes_of_wrong_poses_blank_photos_or_one_photo(
    scene_photos: tuple[Photo, ...],
) -> None:
    assert triangulate(scene_photos[:1]) is None
    blank = tuple(replace(p, image=torch.full_like(p.image, 99)) for p in scene_photos[:4])
    assert triangulate(blank) is None
    turned = []
    for index, photo in enumerate(scene_photos[:6]):
        angle = 0.7 * index
        turn = torch.eye(4)
        turn[:2, :2] = torch.tensor(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        camera = photo.camera
        wrong = Camera(turn @ camera.viewmat, camera.K, camera.width, camera.height)
        turned.append(replace(photo, camera=wrong))
    cloud = triangulate(tuple(turned), max_features=1000)
    assert cloud is None or len(cloud.points) < 300


def test_epipolar_geometry_of_true_points(scene_cameras: list[Camera]) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform([-1, -1, 3], [1, 1, 6], (20, 3))
    pixels, views = [], []
    none = Features(np.zeros((0, 4), np.float32), np.zeros((0, 128), np.uint8))
    for camera in (scene_cameras[2], scene_cameras[7]):
        viewmat, K = camera.viewmat.double().numpy(), camera.K.double().numpy()
        views.append(KnownView(K, viewmat, camera.width, camera.height, none))
        local = (points @ viewmat[:3, :3].T + viewmat[:3, 3]) @ K.T
        pixels.append(local[:, :2] / local[:, 2:])
    F = fundamental_matrix(*views)
    assert sampson_error(F, *pixels).max() < 1e-4
    # The cameras stand side by side: a shift across the nearly level epipolar lines is an error.
    error = sampson_error(F, pixels[0], pixels[1] + [0.0, 4.0])
    assert error.min() > 4.0
    assert error.max() < 16.0


FLIP = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda viewmat: FLIP @ viewmat, "y and z axes were negated"),
        (lambda viewmat: FLIP @ torch.linalg.inv(viewmat), "inverted .* axes negated"),
    ],
)
def test_poses_of_another_convention_are_told(
    scene_photos: tuple[Photo, ...],
    mistake: Callable[[torch.Tensor], torch.Tensor],
    message: str,
) -> None:
    place = Similarity(2.0, (1.0, -2.0, 3.0))
    wrong = []
    for photo in scene_photos[:4]:
        viewmat = mistake(photo.camera.viewmat)
        turned = viewmat[:3, :3] @ torch.tensor(place.translation)
        viewmat[:3, 3] = (viewmat[:3, 3] + turned) / place.scale
        wrong.append(replace(photo, camera=replace(photo.camera, viewmat=viewmat)))
    assert triangulate(tuple(wrong), max_features=1000) is None
    found = fitting_convention(tuple(wrong), place)
    assert found is not None
    assert re.search(message, found)
