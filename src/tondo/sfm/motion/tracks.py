"""Points seen from known poses, triangulated in a child process (`tondo.io.child`).

As `tondo.sfm.motion.place`: pycolmap aborts its process where the disk is full, and nothing here
needs torch, which the child would wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pycolmap

from tondo.sfm.motion.features import Features
from tondo.sfm.motion.matching import match_pairs, transaction, write_database
from tondo.sfm.motion.quiet import quiet_colmap

# Pixels, at the size of the photos: how far a match may lie from the epipolar line, and a point
# from its feature.
MAX_EPIPOLAR_ERROR = 2.0  # chosen
MAX_REPROJECTION_ERROR = 2.0  # chosen


@dataclass(frozen=True)
class KnownView:
    """A photo with a known pinhole camera.

    Attributes:
        K: [3, 3] float64, pixels. viewmat: [4, 4] float64, world to camera.
        width, height: pixels.
        features: of the photo.
    """

    K: np.ndarray
    viewmat: np.ndarray
    width: int
    height: int
    features: Features


@dataclass(frozen=True)
class Tracks:
    """Triangulated points and who sees them: observation i says that `point[i]` is seen by view
    `view[i]` at `xy[i]`.

    Attributes:
        points: [P, 3] float64, world.
        point, view: [O] int64. xy: [O, 2] float64, pixels.
    """

    points: np.ndarray
    point: np.ndarray
    view: np.ndarray
    xy: np.ndarray


def triangulate_matches(
    views: Sequence[KnownView],
    pairs: Sequence[tuple[int, int]],
    folder: Path,
    seed: int,
    say: Callable[..., None],
) -> Tracks:
    """Match, keep what fits the known poses, and triangulate, with files in `folder`; the cameras
    stay as they are. Points with a larger error than `MAX_REPROJECTION_ERROR` are left out."""
    names = [f"{index:06d}" for index in range(len(views))]
    cameras, camera_of = _distinct_cameras(views)
    database_path = folder / "database.db"
    with quiet_colmap():
        features = [view.features for view in views]
        write_database(database_path, cameras, names, camera_of, features)
        match_pairs(database_path, names, pairs, seed=seed, verify=False)
        _keep_epipolar_matches(database_path, views, pairs)
        model = _known_model(views, names, cameras, camera_of)
        options = pycolmap.IncrementalPipelineOptions()
        options.random_seed = options.mapper.random_seed = options.triangulation.random_seed = seed
        options.extract_colors = False
        options.triangulation.ignore_two_view_tracks = False
        options.triangulation.min_angle = 1.5
        options.mapper.filter_max_reproj_error = MAX_REPROJECTION_ERROR
        options.constant_cameras = {camera.camera_id for camera in cameras}
        (folder / "model").mkdir()
        model = pycolmap.triangulate_points(
            model, database_path, folder, folder / "model", options=options, refine_intrinsics=False
        )
    return _tracks(model)


def _known_model(
    views: Sequence[KnownView],
    names: Sequence[str],
    cameras: Sequence[pycolmap.Camera],
    camera_of: Sequence[int],
) -> pycolmap.Reconstruction:
    model = pycolmap.Reconstruction()
    for camera in cameras:
        model.add_camera_with_trivial_rig(camera)
    for index, view in enumerate(views):
        image = pycolmap.Image(
            name=names[index],
            keypoints=view.features.keypoints[:, :2].astype(np.float64),
            camera_id=camera_of[index] + 1,
            image_id=index + 1,
        )
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(view.viewmat[:3]))
    return model


def _distinct_cameras(views: Sequence[KnownView]) -> tuple[list[pycolmap.Camera], list[int]]:
    """The views' different pinhole cameras, and for each view the index of its own."""
    known: dict[tuple[float, ...], int] = {}
    camera_of = []
    cameras: list[pycolmap.Camera] = []
    for view in views:
        K = view.K.tolist()
        key = (K[0][0], K[1][1], K[0][2], K[1][2], view.width, view.height)
        if key not in known:
            known[key] = len(cameras)
            cameras.append(
                pycolmap.Camera(
                    camera_id=len(cameras) + 1,
                    model="PINHOLE",
                    width=view.width,
                    height=view.height,
                    params=list(key[:4]),
                )
            )
        camera_of.append(known[key])
    return cameras, camera_of


def _keep_epipolar_matches(
    database_path: Path, views: Sequence[KnownView], pairs: Sequence[tuple[int, int]]
) -> None:
    """Write, as verified, the matches that fit the known poses (Sampson distance, Hartley and
    Zisserman 2003, eq. 11.9)."""
    with transaction(database_path) as database:
        for i, j in pairs:
            matches = database.read_matches(i + 1, j + 1)
            if len(matches) == 0:
                continue
            first = views[i].features.keypoints[matches[:, 0], :2].astype(np.float64)
            second = views[j].features.keypoints[matches[:, 1], :2].astype(np.float64)
            F = fundamental_matrix(views[i], views[j])
            good = sampson_error(F, first, second) < MAX_EPIPOLAR_ERROR**2
            if good.sum() < 8:
                continue
            geometry = pycolmap.TwoViewGeometry()
            geometry.config = pycolmap.TwoViewGeometryConfiguration.CALIBRATED
            geometry.F = F
            geometry.inlier_matches = matches[good]
            database.write_two_view_geometry(i + 1, j + 1, geometry)


def fundamental_matrix(first: KnownView, second: KnownView) -> np.ndarray:
    """[3, 3] float64 F with x2^T F x1 = 0 for pixels x1 of `first` and x2 of `second`."""
    second_from_first = second.viewmat @ np.linalg.inv(first.viewmat)
    R, t = second_from_first[:3, :3], second_from_first[:3, 3]
    cross = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]])
    return np.linalg.inv(second.K).T @ cross @ R @ np.linalg.inv(first.K)


def sampson_error(F: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[M] squared Sampson distance, in pixels², of matches `first` [M, 2] to `second` [M, 2]."""
    x1 = np.column_stack([first, np.ones(len(first))])
    x2 = np.column_stack([second, np.ones(len(second))])
    line2, line1 = x1 @ F.T, x2 @ F
    across = (x2 * line2).sum(axis=1) ** 2
    slope = line2[:, 0] ** 2 + line2[:, 1] ** 2 + line1[:, 0] ** 2 + line1[:, 1] ** 2
    return across / np.maximum(slope, 1e-30)


def _tracks(model: pycolmap.Reconstruction) -> Tracks:
    positions = {i: np.array([p.xy for p in im.points2D]) for i, im in model.images.items()}
    points: list[np.ndarray] = []
    seen: list[tuple[int, int, float, float]] = []
    for point in model.points3D.values():
        if point.error > MAX_REPROJECTION_ERROR or not np.isfinite(point.xyz).all():
            continue
        for element in point.track.elements:
            x, y = positions[element.image_id][element.point2D_idx]
            seen.append((len(points), element.image_id - 1, x, y))
        points.append(point.xyz)
    table = np.array(seen, np.float64).reshape(-1, 4)
    return Tracks(
        points=np.array(points, np.float64).reshape(-1, 3),
        point=table[:, 0].astype(np.int64),
        view=table[:, 1].astype(np.int64),
        xy=table[:, 2:],
    )
