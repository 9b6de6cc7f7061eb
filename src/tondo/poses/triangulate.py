"""Points for photos whose poses are known: SIFT matches that agree with the poses, triangulated."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
import pycolmap
import torch

from tondo.data.cameras import Camera
from tondo.data.photos import Photo, PointCloud
from tondo.poses.dense import densify
from tondo.poses.features import Features, choose_pairs, extract_features
from tondo.poses.matching import match_pairs, write_database
from tondo.poses.quiet import quiet_colmap

# Fewer points than this say nothing about the shape of a scene.
MIN_POINTS = 100
# Pixels, at the size of the photos: how far a match may lie from the epipolar line, and a point
# from its feature.
MAX_EPIPOLAR_ERROR = 2.0
MAX_REPROJECTION_ERROR = 2.0


def triangulate(
    photos: tuple[Photo, ...],
    *,
    max_size: int = 800,
    max_features: int = 2000,
    dense_points: int = 0,
    seed: int = 0,
) -> PointCloud | None:
    """Triangulate points seen by photos with known cameras; the cameras stay as they are.

    Args:
        photos: undistorted, with poses. Where a photo has alpha, only its solid part is used.
        max_size: longest side, in pixels, of the pictures in which features are looked for.
        max_features: at most so many features per photo.
        dense_points: add up to so many points from depth maps; see `tondo.poses.dense.densify`.
        seed: of pycolmap's random choices.

    Returns:
        Points in the cameras' world with the mean colour of the pixels that saw them, or None if
        fewer than 100 were found (too few photos, no texture, no overlap, or wrong poses).
    """
    if len(photos) < 2:
        return None
    # Features of the picture's border and of cut-out edges would not be points of the scene.
    features = [
        extract_features(
            cv2.cvtColor(photo.image.numpy(), cv2.COLOR_RGB2GRAY),
            max_size=max_size,
            max_features=max_features,
            contrast=0.01,
            mask=_solid_mask(photo),
        )
        for photo in photos
    ]
    pairs = choose_pairs(features, in_order=False, neighbours=12)
    with quiet_colmap(), tempfile.TemporaryDirectory(prefix="tondo-points-") as folder:
        model = _triangulate_in(Path(folder), photos, features, pairs, seed)
    cloud = _point_cloud(model, photos)
    if cloud is not None and dense_points > 0:
        cloud = densify(photos, cloud, max_points=dense_points, seed=seed)
    return cloud


def _solid_mask(photo: Photo) -> np.ndarray | None:
    """[H, W] uint8, 255 where the photo shows something, or None if it does everywhere."""
    mask = None
    if photo.alpha is not None:
        mask = cv2.erode(photo.alpha.numpy(), np.ones((3, 3), np.uint8))
    if photo.valid is not None:
        valid = cv2.erode(photo.valid.numpy().astype(np.uint8) * 255, np.ones((5, 5), np.uint8))
        mask = valid if mask is None else np.minimum(mask, valid)
    return mask


def _triangulate_in(
    folder: Path,
    photos: tuple[Photo, ...],
    features: list[Features],
    pairs: list[tuple[int, int]],
    seed: int,
) -> pycolmap.Reconstruction:
    """Match, keep what fits the known poses, and triangulate, with files in `folder`."""
    names = [f"{index:06d}" for index in range(len(photos))]
    cameras, camera_of = _distinct_cameras(photos)
    database_path = folder / "database.db"
    write_database(database_path, cameras, names, camera_of, features)
    match_pairs(database_path, names, pairs, seed=seed, verify=False)
    _keep_epipolar_matches(database_path, photos, features, pairs)
    model = pycolmap.Reconstruction()
    for camera in cameras:
        model.add_camera_with_trivial_rig(camera)
    for index, photo in enumerate(photos):
        image = pycolmap.Image(
            name=names[index],
            keypoints=features[index].keypoints[:, :2].astype(np.float64),
            camera_id=camera_of[index] + 1,
            image_id=index + 1,
        )
        model.add_image_with_trivial_frame(
            image, pycolmap.Rigid3d(photo.camera.viewmat[:3].double().numpy())
        )
    options = pycolmap.IncrementalPipelineOptions()
    options.random_seed = options.mapper.random_seed = options.triangulation.random_seed = seed
    options.extract_colors = False
    options.triangulation.ignore_two_view_tracks = False
    options.triangulation.min_angle = 1.5
    options.mapper.filter_max_reproj_error = MAX_REPROJECTION_ERROR
    options.constant_cameras = {camera.camera_id for camera in cameras}
    (folder / "model").mkdir()
    return pycolmap.triangulate_points(
        model, database_path, folder, folder / "model", options=options, refine_intrinsics=False
    )


def _distinct_cameras(photos: tuple[Photo, ...]) -> tuple[list[pycolmap.Camera], list[int]]:
    """The photos' different pinhole cameras, and for each photo the index of its own."""
    known: dict[tuple[float, ...], int] = {}
    camera_of = []
    cameras: list[pycolmap.Camera] = []
    for photo in photos:
        K, width, height = photo.camera.K.tolist(), photo.camera.width, photo.camera.height
        key = (K[0][0], K[1][1], K[0][2], K[1][2], width, height)
        if key not in known:
            known[key] = len(cameras)
            cameras.append(
                pycolmap.Camera(
                    camera_id=len(cameras) + 1,
                    model="PINHOLE",
                    width=width,
                    height=height,
                    params=list(key[:4]),
                )
            )
        camera_of.append(known[key])
    return cameras, camera_of


def _keep_epipolar_matches(
    database_path: Path,
    photos: tuple[Photo, ...],
    features: list[Features],
    pairs: list[tuple[int, int]],
) -> None:
    """Write, as verified, the matches that fit the known poses (Sampson distance, Hartley and
    Zisserman 2003, eq. 11.9)."""
    database = pycolmap.Database.open(database_path)
    try:
        with pycolmap.DatabaseTransaction(database):
            for i, j in pairs:
                matches = database.read_matches(i + 1, j + 1)
                if len(matches) == 0:
                    continue
                first = features[i].keypoints[matches[:, 0], :2].astype(np.float64)
                second = features[j].keypoints[matches[:, 1], :2].astype(np.float64)
                F = fundamental_matrix(photos[i].camera, photos[j].camera)
                good = sampson_error(F, first, second) < MAX_EPIPOLAR_ERROR**2
                if good.sum() < 8:
                    continue
                geometry = pycolmap.TwoViewGeometry()
                geometry.config = pycolmap.TwoViewGeometryConfiguration.CALIBRATED
                geometry.F = F
                geometry.inlier_matches = matches[good]
                database.write_two_view_geometry(i + 1, j + 1, geometry)
    finally:
        database.close()


def fundamental_matrix(first: Camera, second: Camera) -> np.ndarray:
    """[3, 3] float64 F with x2^T F x1 = 0 for pixels x1 of `first` and x2 of `second`."""
    second_from_first = second.viewmat.double() @ torch.linalg.inv(first.viewmat.double())
    R, t = second_from_first[:3, :3].numpy(), second_from_first[:3, 3].numpy()
    cross = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]])
    K1, K2 = first.K.double().numpy(), second.K.double().numpy()
    return np.linalg.inv(K2).T @ cross @ R @ np.linalg.inv(K1)


def sampson_error(F: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[M] squared Sampson distance, in pixels², of matches `first` [M, 2] to `second` [M, 2]."""
    x1 = np.column_stack([first, np.ones(len(first))])
    x2 = np.column_stack([second, np.ones(len(second))])
    line2, line1 = x1 @ F.T, x2 @ F
    across = (x2 * line2).sum(axis=1) ** 2
    slope = line2[:, 0] ** 2 + line2[:, 1] ** 2 + line1[:, 0] ** 2 + line1[:, 1] ** 2
    return across / np.maximum(slope, 1e-30)


def _point_cloud(model: pycolmap.Reconstruction, photos: tuple[Photo, ...]) -> PointCloud | None:
    """The model's points with the mean colour of the pixels that saw them."""
    points, colors = [], []
    images = [photo.image.numpy() for photo in photos]
    positions = {i: np.array([p.xy for p in im.points2D]) for i, im in model.images.items()}
    for point in model.points3D.values():
        if point.error > MAX_REPROJECTION_ERROR or not np.isfinite(point.xyz).all():
            continue
        seen = []
        for element in point.track.elements:
            x, y = positions[element.image_id][element.point2D_idx]
            image = images[element.image_id - 1]
            seen.append(image[min(int(y), len(image) - 1), min(int(x), image.shape[1] - 1)])
        points.append(point.xyz)
        colors.append(np.mean(seen, axis=0))
    if len(points) < MIN_POINTS:
        return None
    return PointCloud(
        torch.from_numpy(np.array(points)).float(),
        torch.from_numpy(np.rint(np.array(colors)).astype(np.uint8)),
    )
